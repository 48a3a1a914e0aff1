// add.hpp: adds rows of partial sums to other sums, plainly or compensated.
#pragma once

#include "kernel/simd.hpp"
#include "tiles.hpp"

namespace hone {
namespace {

template <class T>
inline Vec<T> finite_or_zero(Vec<T> x) {
    return xsimd::select(x - x == Vec<T>(0), x, Vec<T>(0));
}
template <class T>
inline T finite_or_zero(T x) {
    return x - x == 0 ? x : T(0);
}

// Of the elements that whole vectors leave over; not fused, as that is a call where the ISA has no such
// instruction.
inline float fma(float a, float b, float c) {
    return a * b + c;
}
inline double fma(double a, double b, double c) {
    return a * b + c;
}

// to += factor * from. `lost` is the rounding error in the sum so far; the next addition subtracts it. An
// infinite sum has lost nothing that can be known.
template <class V>
inline void compensate(V from, V factor, V& to, V& lost) {
    const V term = fma(from, factor, V(0) - lost), sum = to + term;
    lost = finite_or_zero(V((sum - to) - term));
    to = sum;
}

// Calls vector(d) for whole vectors of a row's features from d on, then element(d) for each that is left.
template <class T, class Vector, class Element>
inline void for_features(std::int64_t features, Vector vector, Element element) {
    std::int64_t d = 0;
    for (; d + kWidth<T> <= features; d += kWidth<T>) vector(d);
    for (; d < features; ++d) element(d);
}

template <class T>
inline void compensate_row(const T* from, std::int64_t features, T factor, T* to, T* lost) {
    for_features<T>(
        features,
        [&](std::int64_t d) {
            Vec<T> sum = load(to + d), rest = load(lost + d);
            compensate(load(from + d), Vec<T>(factor), sum, rest);
            store(to + d, sum);
            store(lost + d, rest);
        },
        [&](std::int64_t d) { compensate(from[d], factor, to[d], lost[d]); });
}

template <class T, Join join>
void add_rows(const Addition<T>& a) {
    const T* from = a.from;
    T *to = a.to, *lost = a.lost;
    const Vec<T> factor(a.factor);
    for (std::int64_t r = 0; r < a.rows; ++r) {
        if constexpr (join == Join::compensate)
            compensate_row(from, a.features, a.factor, to, lost);
        else
            for_features<T>(
                a.features,
                [&](std::int64_t d) {
                    const Vec<T> before = join == Join::add ? load(to + d) : Vec<T>(0);
                    store(to + d, fma(load(from + d), factor, before));
                },
                [&](std::int64_t d) { to[d] = from[d] * a.factor + (join == Join::add ? to[d] : T(0)); });
        if (join == Join::store && lost)
            for (std::int64_t d = 0; d < a.features; ++d) lost[d] = 0;
        from += a.from_stride, to += a.to_stride, lost += lost ? a.lost_stride : 0;
    }
}

}  // namespace
}  // namespace hone
