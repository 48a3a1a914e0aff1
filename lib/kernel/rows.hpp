// rows.hpp: operations on single rows of features.
#pragma once

#include "kernel/product.hpp"
#include "kernel/vectors.hpp"

namespace hone {
namespace {

// to = factor * from, for `features` elements; +0 where that is -0, as the sign of a sum of 0 depends on
// how many terms of 0 were added.
template <class T>
inline void scale_row(const T* from, std::int64_t features, T factor, T* to) {
    std::int64_t d = 0;
    for (; d + kWidth<T> <= features; d += kWidth<T>)
        store(to + d, fma(load(from + d), Vec<T>(factor), Vec<T>(0)));
    for (; d < features; ++d) to[d] = from[d] * factor + T(0);
}

template <class T>
void clear_rows(Matrix<T> to, std::int64_t rows, std::int64_t features) {
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t d = 0; d < features; ++d) to.row(r)[d] = 0;
}

// S, U: how the rows are stored.
template <class T, class S, class U>
inline T dot(const S* a, const U* b, std::int64_t features) {
    constexpr int w = Vectors<T>::width;
    Vectors<T> sum(0);
    std::int64_t d = 0;
    for (; d + w <= features; d += w) sum = fma(load_vectors(a + d), load_vectors(b + d), sum);
    T total = sum_of(sum);
    for (; d < features; ++d) total += a[d] * b[d];
    return total;
}

// The same of two rows of tensors.
template <class T>
inline T dot(const Source<T>& a, const RowIndex& at_a, const Source<T>& b, const RowIndex& at_b,
             std::int64_t features) {
    return with_rows(a, at_a, [&](const auto& x) {
        return with_rows(b, at_b,
                         [&](const auto& y) { return dot<T>(row_of(x, 0), row_of(y, 0), features); });
    });
}

// Where L of each head is left: where heads are joined, that is not yet the caller's.
template <class T>
inline RowNumbers<T> head_lse(const ForwardCall<T>& call) {
    if (!call.joint) return call.lse;
    const Extents& n = call.n;
    return {reinterpret_cast<T*>(call.workspace + call.head_lse), n.query_heads * n.queries, n.queries};
}

}  // namespace
}  // namespace hone
