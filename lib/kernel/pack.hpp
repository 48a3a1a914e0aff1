// pack.hpp: copies rows of a tensor into panels, the form in which products read their right factor.
#pragma once

#include "kernel/product.hpp"

namespace hone {
namespace {

// Panels of keys: panel[d * kPanel + j] = factor * row j's feature d; zero beyond `rows`.
template <class T>
[[gnu::noinline]] void pack_transposed(const T* from, std::int64_t stride, std::int64_t rows,
                                       std::int64_t features, T factor, T* to) {
    constexpr int w = kPanel<T>;
    for (std::int64_t first = 0; first < rows; first += w, to += features * w) {
        const std::int64_t here = rows - first < w ? rows - first : w;
        for (std::int64_t j = 0; j < here; ++j) {
            const T* row = from + (first + j) * stride;
            for (std::int64_t d = 0; d < features; ++d) to[d * w + j] = factor * row[d];
        }
        for (std::int64_t j = here; j < w; ++j)
            for (std::int64_t d = 0; d < features; ++d) to[d * w + j] = 0;
    }
}

// Panels of features: panel[r * kPanel + d] = row[r]'s feature d, zero beyond `features`; panels are
// panel_stride apart. Whether every value is finite.
template <class T, class Row>
inline bool pack_columns(Row row, std::int64_t rows, std::int64_t features, std::int64_t panel_stride,
                         T* to) {
    constexpr int w = kPanel<T>;
    Vec<T> odd(0);
    T odd_rest = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
        const T* from = row(r);
        T* line = to + r * w;
        std::int64_t first = 0;
        for (; first + w <= features; first += w, line += panel_stride)
#pragma GCC unroll 2
            for (int v = 0; v < kVectors; ++v) {
                const Vec<T> x = load(from + first + v * kWidth<T>);
                odd = fma(x, Vec<T>(0), odd);
                store(line + v * kWidth<T>, x);
            }
        if (first == features) continue;
        for (int i = 0; i < w; ++i) {
            const T x = first + i < features ? from[first + i] : 0;
            odd_rest += x * 0;
            line[i] = x;
        }
    }
    return sum_of(odd) + odd_rest == 0;
}

}  // namespace
}  // namespace hone
