// differentiate.hpp: backward's pass over one row of scores.
#pragma once

#include "kernel/weigh.hpp"

namespace hone {
namespace {

// What a pass adds up beside its work.
enum class Sums { none, ds };

// s -> p, dp -> ds; gives the sum of ds if asked to.
template <class T, class Act, class N, Sums sums, Masked masked>
[[gnu::noinline, gnu::flatten]] T differentiate(const Scores<T>& row, T* dp,
                                                const RowConstants<T>& constant) {
    constexpr int power = N::template weight_power<Act>;
    static_assert(power > 0 || Act::slope_factor == 1);
    Vectors<T> sum(0);
    T* const s = row.s;
    const Vectors<T> a(row.scale), b(constant.shift), d(constant.delta), w(constant.weight);
    const Vectors<T> slope_w((power == 2 ? constant.weight * constant.weight : constant.weight) *
                             static_cast<T>(Act::slope_factor));
    const auto prepare = [&](std::int64_t c) {
        return Act::template prepare<true>(argument<Act, N>(s + c, a, b));
    };
    for_vectors<masked>(row, prepare, [&](std::int64_t c, const auto& x, const VectorsMask<T>* mask) {
        Vectors<T> p = Act::value(x), slope = Act::slope(x), ds = load_vectors(dp + c);
        if constexpr (power > 0) p = w * p;
        if constexpr (power > 1) p = w * p;
        if constexpr (power > 0) slope = slope_w * slope;  // first: softplus's weight may be near overflow
        if constexpr (N::divides) ds = ds - d;
        ds = seen_or<T>(mask, slope * ds, 0);
        store(s + c, seen_or<T>(mask, p, 0));
        store(dp + c, ds);
        if constexpr (sums == Sums::ds) sum = sum + ds;
    });
    clear_unseen(s, row.columns, row.seen);
    clear_unseen(dp, row.columns, row.seen);
    return sum_of(sum);
}

template <class T, class Act, class N, Sums sums>
inline T differentiate(const Scores<T>& row, T* dp, const RowConstants<T>& constant) {
    return row.shown ? differentiate<T, Act, N, sums, Masked::yes>(row, dp, constant)
                     : differentiate<T, Act, N, sums, Masked::no>(row, dp, constant);
}

}  // namespace
}  // namespace hone
