// rows.hpp: what is computed once per row, outside the loop over keys.
#pragma once

#include "kernel/math.hpp"
#include "tiles.hpp"

namespace hone {
namespace {

template <class T>
inline constexpr T infinity() {
    return static_cast<T>(__builtin_inf());
}

inline float natural_log(float x) {
    return __builtin_logf(x);
}
inline double natural_log(double x) {
    return __builtin_log(x);
}
inline float natural_exp(float x) {
    return __builtin_expf(x);
}
inline double natural_exp(double x) {
    return __builtin_exp(x);
}

// e^(logit - most), for a logit <= most: 1 where they are the same, be they infinite, but 0 at -inf.
template <class T>
inline T share_of(T logit, T most) {
    return logit == -infinity<T>() ? T(0) : logit == most ? T(1) : natural_exp(logit - most);
}

// The log of a sum of exponentials, term by term: log sum = most + log(sum e^(x - most)).
template <class T>
struct LogSum {
    T most = -infinity<T>();
    double sum = 0;

    void add(T x) {
        if (x > most)
            sum = sum * share_of(most, x) + 1, most = x;
        else
            sum += share_of(x, most);
    }
    double value() const { return most + natural_log(sum); }
    // What share of the sum is e^x.
    double share(T x) const { return sum == 0 ? 0 : share_of(x, most) / sum; }
};

template <class T>
inline T* packed_keys(const ForwardCall<T>& call, std::int64_t copy, std::int64_t key_block) {
    return call.packed_k + (copy * call.block.key_blocks + key_block) * call.block.keys * call.n.key_dim;
}

template <class T>
inline T* packed_values(const ForwardCall<T>& call, std::int64_t copy, std::int64_t key_block) {
    return call.packed_v +
           (copy * call.block.key_blocks + key_block) * call.block.keys * call.block.value_width;
}

// Where v_odd of a key block begins.
template <class T>
inline std::int64_t odd_index(const ForwardCall<T>& call, std::int64_t copy, std::int64_t key_block) {
    return (copy * call.block.key_blocks + key_block) * pack_parts(call.block);
}

// p = w phi(x), ds = w phi'(x) (dp - delta), for x = scale * s + shift, s = q k^T; w is weight, or its square
// where phi is normalised.
template <class T>
struct RowConstants {
    T shift, weight, delta;
};

template <class T, class Act>
inline RowConstants<T> row_constants(const Extents& n, const Parameters<T>& parameter, std::int64_t query,
                                     std::int64_t head) {
    if constexpr (Act::normalised) {
        return {0, 1, 0};
    } else {
        const double keys = static_cast<double>(keys_seen(n, query));
        if (keys == 0) return {0, 0, 0};
        const double shift = parameter.shift ? parameter.shift[head] : Act::default_shift(keys);
        const bool given = Act::takes_weight && parameter.weight != 0;
        return {static_cast<T>(shift), static_cast<T>(given ? parameter.weight : Act::default_weight(keys)),
                0};
    }
}

// to = factor * from, for `features` elements; +0 where that is -0, as the sign of a sum that vanished
// depends on how many terms of 0 followed.
template <class T>
inline void scale_row(const T* from, std::int64_t features, T factor, T* to) {
    std::int64_t d = 0;
    for (; d + kWidth<T> <= features; d += kWidth<T>)
        store(to + d, fma(load(from + d), Vec<T>(factor), Vec<T>(0)));
    for (; d < features; ++d) to[d] = from[d] * factor + T(0);
}

template <class T>
void clear_rows(T* to, std::int64_t stride, std::int64_t rows, std::int64_t features) {
    for (std::int64_t r = 0; r < rows; ++r, to += stride)
        for (std::int64_t d = 0; d < features; ++d) to[d] = 0;
}

template <class T>
inline T dot(const T* a, const T* b, std::int64_t features) {
    constexpr int w = Group<T>::width;
    Group<T> sum(0);
    std::int64_t d = 0;
    for (; d + w <= features; d += w) sum = fma(load_group(a + d), load_group(b + d), sum);
    T total = sum_of(sum);
    for (; d < features; ++d) total += a[d] * b[d];
    return total;
}

}  // namespace
}  // namespace hone
