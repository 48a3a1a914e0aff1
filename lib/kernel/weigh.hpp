// weigh.hpp: the pass over a row of scores, and the product with what the rows of a block see.
#pragma once

#include "activation/family.hpp"
#include "kernel/in_place.hpp"
#include "kernel/rows.hpp"

namespace hone {
namespace {

// Calls body(c, prepare(c), visible) for each group of vectors of a row of which the first `seen` elements
// are visible; visible is null where the whole group is. The next group is prepared before body is called for
// this one.
template <class T, class Prepare, class Body>
inline void for_visible(std::int64_t seen, Prepare prepare, Body body) {
    constexpr int w = Group<T>::width;
    if (seen <= 0) return;
    std::int64_t c = 0;
    auto prepared = prepare(c);
    for (; c + w < seen; c += w) {
        const auto next = prepare(c + w);
        body(c, prepared, static_cast<const GroupMask<T>*>(nullptr));
        prepared = next;
    }
    if (c + w == seen) {
        body(c, prepared, static_cast<const GroupMask<T>*>(nullptr));
    } else {
        const GroupMask<T> visible = first_of<T>(seen - c);
        body(c, prepared, &visible);
    }
}
template <class T, class Body>
inline void for_visible(std::int64_t seen, Body body) {
    for_visible<T>(
        seen, [](std::int64_t) { return 0; },
        [&](std::int64_t c, int, const GroupMask<T>* visible) { body(c, visible); });
}

// Zeroes the whole groups beyond the visible ones, up to `columns`.
template <class T>
inline void clear_hidden(T* row, std::int64_t seen, std::int64_t columns) {
    constexpr int w = Group<T>::width;
    for (std::int64_t c = round_up(seen, w); c < columns; c += w) store(row + c, Group<T>(0));
}

template <class T>
inline Group<T> visible_or(const GroupMask<T>* visible, Group<T> x, T otherwise) {
    return visible ? select(*visible, x, Group<T>(otherwise)) : x;
}

template <class Act>
inline constexpr bool shifts = Act::subtracts_maximum || Act::takes_shift;

// The argument of phi, from products s = q k^T. The product with the scale is rounded before the shift is
// added, so that x is exactly 0 for the largest score of a row that has it subtracted.
template <class Act, class T>
inline Group<T> argument(const T* s, const Group<T>& scale, const Group<T>& shift) {
    const Group<T> x = load_group(s) * scale;
    if constexpr (shifts<Act>)
        return x + shift;
    else
        return x;
}

// Step 2 for one row: s -> phi, and its sum. Flattened, as the activation is worth its speed only when all of
// it is inlined: shared parts of value and slope are then computed once.
template <class T, class Act>
[[gnu::noinline, gnu::flatten]] T weigh(T* s, std::int64_t seen, std::int64_t columns, T scale, T shift) {
    Group<T> sum(0);
    const Group<T> a(scale), b(shift);
    const auto prepare = [&](std::int64_t c) {
        return Act::template prepare<false>(argument<Act>(s + c, a, b));
    };
    for_visible<T>(seen, prepare, [&](std::int64_t c, const auto& x, const GroupMask<T>* visible) {
        const Group<T> p = visible_or<T>(visible, Act::value(x), 0);
        store(s + c, p);
        if constexpr (Act::normalised) sum = sum + p;
    });
    clear_hidden(s, seen, columns);
    return Act::normalised ? sum_of(sum) : T(0);
}

// A row of a phi that is not shifted by its maximum, and whose sum in one block of keys is larger than
// kLarge, carries its weights times e^-kLowered from then on, as if kLowered were its maximum: any phi that
// is finite is then of the order of kLarge at most, and what vanishes of the order of kLarge^-2 of the sum.
template <class T>
inline constexpr T kLarge = sizeof(T) == 4 ? 0x1p32 : 0x1p256;
template <class T>
inline constexpr T kLowered = sizeof(T) == 4 ? 66 : 532;  // 3/4 of the exponent's range

// Lowers the weights of one block; gives their sum.
template <class T>
[[gnu::noinline, gnu::cold]] T lower_weights(T* p, std::int64_t seen) {
    const Group<T> factor(natural_exp(-kLowered<T>));
    Group<T> sum(0);
    for (std::int64_t c = 0; c < seen; c += Group<T>::width) {  // what is hidden is 0
        const Group<T> lowered = load_group(p + c) * factor;
        store(p + c, lowered);
        sum = sum + lowered;
    }
    return sum_of(sum);
}

// The largest product of a row, or the smallest.
template <bool smallest, class T>
inline T row_extreme(const T* s, std::int64_t seen) {
    constexpr T beyond = smallest ? infinity<T>() : -infinity<T>();
    Group<T> extreme(beyond);
    for_visible<T>(seen, [&](std::int64_t c, const GroupMask<T>* visible) {
        const Group<T> x = visible_or<T>(visible, load_group(s + c), beyond);
        extreme = smallest ? at_most(extreme, x) : at_least(extreme, x);
    });
    return smallest ? min_of(extreme) : max_of(extreme);
}

// The largest score of a row: as rounding keeps order, that of the largest product, or of the smallest.
template <class T>
inline T row_maximum(const T* s, std::int64_t seen, T scale) {
    return scale * (scale < 0 ? row_extreme<true>(s, seen) : row_extreme<false>(s, seen));
}

// Of `columns` keys from first_key on, those that a row sees that sees `end` keys in all.
inline std::int64_t seen_of(std::int64_t end, std::int64_t first_key, std::int64_t columns) {
    return end <= first_key ? 0 : smaller(end - first_key, columns);
}

// c (+)= a b by rows, of which row r has seen(r) elements that are not 0. Where b is odd (holds a NaN or inf,
// and some row does not see some key), rows read just what they see: 0 * NaN is NaN.
template <class T, class B, class Seen>
void multiply_seen(const T* a, std::int64_t a_stride, std::int64_t rows, B b, bool odd, Seen seen,
                   std::int64_t columns, T* c, std::int64_t c_stride, bool add) {
    const T* row[kMaxRows];
    for (std::int64_t r = 0; r < rows; ++r) row[r] = a + r * a_stride;
    if (!odd) {
        multiply(ByRow<T>{row}, rows, b, columns, c, c_stride, add);
        return;
    }
    for (std::int64_t r = 0; r < rows; ++r) {
        b.depth = seen(r);
        multiply(ByRow<T>{row + r}, 1, b, columns, c + r * c_stride, c_stride, add);
    }
}

}  // namespace
}  // namespace hone
