// weigh.hpp: passes over one row of scores.
#pragma once

#include "activation/family.hpp"
#include "kernel/logits.hpp"

namespace hone {
namespace {

// A row of a block of scores. Products have filled `columns`, of which the row sees `seen`.
template <class T>
struct Scores {
    T* s;
    Range columns, seen;
    T scale;
    const T* shown =
        nullptr;  // 0 where an element of any vector that holds a seen one is hidden; null: none is
};

// Calls body(c, prepare(c), mask) for each c at which whole vectors of a row begin that hold a seen element.
// Those come first that lie inside `seen`, and then those at its edges. The mask is null where all elements
// are seen; the next vectors are prepared there before body is called for these. `shown` is as in
// Scores.
template <class T, class Prepare, class Body>
inline void for_seen(Range seen, const T* shown, Prepare prepare, Body body) {
    constexpr int w = Vectors<T>::width;
    if (empty(seen)) return;
    const Range whole = {vectors_up<T>(seen.begin), vectors_down<T>(seen.end)};
    if (!empty(whole) && !shown) {
        auto prepared = prepare(whole.begin);
        for (std::int64_t c = whole.begin; c < whole.end; c += w) {
            auto next = prepared;
            if (c + w < whole.end) next = prepare(c + w);
            body(c, prepared, static_cast<const VectorsMask<T>*>(nullptr));
            prepared = next;
        }
    }
    const std::int64_t last = whole.end < seen.end ? vectors_down<T>(seen.end - 1) : seen.end;
    const std::int64_t edge = seen.begin < whole.begin ? vectors_down<T>(seen.begin) : last;
    std::int64_t c = shown && !empty(whole) ? whole.begin : edge;
    while (c < seen.end) {
        const VectorsMask<T> mask = shown ? nonzero(shown + c) : elements_in<T>(relative(seen, c));
        body(c, prepare(c), &mask);
        if (contains(whole, c))
            c = c + w < whole.end ? c + w : edge;
        else
            c = c < last ? last : seen.end;
    }
}
template <class T, class Body>
inline void for_seen(Range seen, const T* shown, Body body) {
    for_seen<T>(
        seen, shown, [](std::int64_t) { return 0; },
        [&](std::int64_t c, int, const VectorsMask<T>* mask) { body(c, mask); });
}

// Zeroes the vectors of `columns` that hold no seen element.
template <class T>
inline void clear_unseen(T* row, Range columns, Range seen) {
    constexpr int w = Vectors<T>::width;
    const std::int64_t first = vectors_down<T>(columns.begin);
    const Range kept =
        empty(seen) ? Range{first, first} : Range{vectors_down<T>(seen.begin), vectors_up<T>(seen.end)};
    for (std::int64_t c = first; c < kept.begin; c += w) store(row + c, Vectors<T>(0));
    for (std::int64_t c = kept.end; c < columns.end; c += w) store(row + c, Vectors<T>(0));
}

template <class T>
inline Vectors<T> seen_or(const VectorsMask<T>* mask, Vectors<T> x, T otherwise) {
    return mask ? select(*mask, x, Vectors<T>(otherwise)) : x;
}

// The argument of phi, from products s = q k^T. The product with the scale is rounded before the shift is
// added, so that x is exactly 0 for the largest score of a row that has it subtracted. N is the normaliser.
template <class Act, class N, class T>
inline Vectors<T> argument(const T* s, const Vectors<T>& scale, const Vectors<T>& shift) {
    const Vectors<T> x = load_vectors(s) * scale;
    if constexpr (N::template shifts<Act>)
        return x + shift;
    else
        return x;
}

// s -> phi(scale s + shift), and the sum of it. Flattened, as the activation is fast only if all of it is
// inlined: shared parts of value and slope are then computed once.
template <class T, class Act, class N>
[[gnu::noinline, gnu::flatten]] T weigh(const Scores<T>& row, T shift) {
    Vectors<T> sum(0);
    T* const s = row.s;
    const Vectors<T> a(row.scale), b(shift);
    const auto prepare = [&](std::int64_t c) {
        return Act::template prepare<false>(argument<Act, N>(s + c, a, b));
    };
    for_seen<T>(row.seen, row.shown, prepare, [&](std::int64_t c, const auto& x, const VectorsMask<T>* mask) {
        const Vectors<T> p = seen_or<T>(mask, Act::value(x), 0);
        store(s + c, p);
        if constexpr (N::divides) sum = sum + p;
    });
    clear_unseen(s, row.columns, row.seen);
    return N::divides ? sum_of(sum) : T(0);
}

// p -> factor p; gives their sum. What is not seen is 0.
template <class T>
[[gnu::noinline, gnu::cold]] T scale_weights(const Scores<T>& row, T factor) {
    Vectors<T> sum(0);
    if (empty(row.seen)) return 0;
    for (std::int64_t c = vectors_down<T>(row.seen.begin); c < row.seen.end; c += Vectors<T>::width) {
        const Vectors<T> scaled = load_vectors(row.s + c) * Vectors<T>(factor);
        store(row.s + c, scaled);
        sum = sum + scaled;
    }
    return sum_of(sum);
}

// The largest product of a row, or the smallest.
template <bool smallest, class T>
inline T row_extreme(const Scores<T>& row) {
    constexpr T beyond = smallest ? infinity<T>() : -infinity<T>();
    Vectors<T> extreme(beyond);
    for_seen<T>(row.seen, row.shown, [&](std::int64_t c, const VectorsMask<T>* mask) {
        const Vectors<T> x = seen_or<T>(mask, load_vectors(row.s + c), beyond);
        extreme = smallest ? at_most(extreme, x) : at_least(extreme, x);
    });
    return smallest ? min_of(extreme) : max_of(extreme);
}

// The largest score of a row: as rounding keeps order, that of the largest product, or of the smallest.
template <class T>
inline T row_maximum(const Scores<T>& row) {
    return row.scale * (row.scale < 0 ? row_extreme<true>(row) : row_extreme<false>(row));
}

}  // namespace
}  // namespace hone
