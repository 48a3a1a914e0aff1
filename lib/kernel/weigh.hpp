// weigh.hpp: passes over rows of scores.
#pragma once

#include "activation/family.hpp"
#include "kernel/logits.hpp"
#include "kernel/product.hpp"

namespace hone {
namespace {

// A row of a block of scores. Products have filled `columns`, of which the row sees `seen`.
template <class T>
struct Scores {
    T* s;
    Range columns, seen;
    T scale;
    // 0 where an element is hidden, for every vector that holds a seen one; null where none is.
    const T* shown = nullptr;
};

// Some rows of a block of scores, columns of one key block, and what each of them carries.
template <class T>
struct ScoreRows {
    std::int64_t rows;
    Matrix<T> s;  // from column 0 on
    Range columns;
    std::int64_t first_key;  // of column 0
    T scale;
    const Range* seen;  // keys
    const RowConstants<T>* constant;
    RowState<T>* state;
    T* rescale;                // the factor for o so far
    const T* shown = nullptr;  // of the only row: as in Scores
};

// The scores of one of the rows.
template <class T>
inline Scores<T> scores_of(const ScoreRows<T>& of, std::int64_t r) {
    return {of.s.row(r), of.columns, common(relative(of.seen[r], of.first_key), of.columns), of.scale,
            of.shown};
}

// The most rows that a pass takes at once: so few that most of their scores stay in L1 until the next pass.
template <class T>
inline constexpr int kGroupRows = Vectors<T>::width;

// Where the vectors at the edges of a range begin that hold elements inside and outside of it.
struct Edges {
    std::int64_t first, last;  // not before `end` where there are none
    std::int64_t end;
    std::int64_t after(std::int64_t edge) const { return edge < last ? last : end; }
};
template <class T>
inline Edges edges_of(Range seen, Range whole) {
    const std::int64_t last = whole.end < seen.end ? vectors_down<T>(seen.end - 1) : seen.end;
    return {seen.begin < whole.begin ? vectors_down<T>(seen.begin) : last, last, seen.end};
}

// Calls body(c, prepare(c), mask) for each c at which whole vectors of a row begin that hold a seen element.
// The mask is null where all of theirs are seen: those come first, and the next ones are prepared before body
// is called for these. Then come those at the edges.
template <class T, class Prepare, class Body>
inline void for_seen(Range seen, Prepare prepare, Body body) {
    constexpr int w = Vectors<T>::width;
    if (empty(seen)) return;
    const Range whole = {vectors_up<T>(seen.begin), vectors_down<T>(seen.end)};
    if (!empty(whole)) {
        auto prepared = prepare(whole.begin);
        for (std::int64_t c = whole.begin; c < whole.end; c += w) {
            auto next = prepared;
            if (c + w < whole.end) next = prepare(c + w);
            body(c, prepared, static_cast<const VectorsMask<T>*>(nullptr));
            prepared = next;
        }
    }
    const Edges edges = edges_of<T>(seen, whole);
    for (std::int64_t c = edges.first; c < seen.end; c = edges.after(c)) {
        const VectorsMask<T> mask = elements_in<T>(relative(seen, c));
        body(c, prepare(c), &mask);
    }
}

// The same in the same order where some elements are hidden: the mask is always there.
template <class T, class Prepare, class Body>
inline void for_shown(Range seen, const T* shown, Prepare prepare, Body body) {
    constexpr int w = Vectors<T>::width;
    if (empty(seen)) return;
    const Range whole = {vectors_up<T>(seen.begin), vectors_down<T>(seen.end)};
    const Edges edges = edges_of<T>(seen, whole);
    for (std::int64_t c = empty(whole) ? edges.first : whole.begin; c < seen.end;) {
        const VectorsMask<T> mask = nonzero(shown + c);
        body(c, prepare(c), &mask);
        c = !contains(whole, c) ? edges.after(c) : c + w < whole.end ? c + w : edges.first;
    }
}

// Whether passes over a row look at its mask.
enum class Masked { no, yes };

template <Masked masked, class T, class Prepare, class Body>
inline void for_vectors(const Scores<T>& row, Prepare prepare, Body body) {
    if constexpr (masked == Masked::yes)
        for_shown<T>(row.seen, row.shown, prepare, body);
    else
        for_seen<T>(row.seen, prepare, body);
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

// s -> phi(scale s + shift), for one row. The elements of what it gives add up to the sum of phi.
template <class T, class Act, class N, Masked masked>
inline Vec<T> weigh_in_parts(const Scores<T>& row, const Vectors<T>& scale, T shift) {
    T* const s = row.s;
    const Vectors<T> b(shift);
    Vectors<T> sum(0);
    const auto prepare = [&](std::int64_t c) {
        return Act::template prepare<false>(argument<Act, N>(s + c, scale, b));
    };
    for_vectors<masked>(row, prepare, [&](std::int64_t c, const auto& x, const VectorsMask<T>* mask) {
        const Vectors<T> p = seen_or<T>(mask, Act::value(x), 0);
        store(s + c, p);
        if constexpr (N::divides) sum = sum + p;
    });
    clear_unseen(s, row.columns, row.seen);
    return fold(sum, Add());
}

// The same, and the sum. Flattened, as the activation is fast only if all of it is inlined: shared parts of
// value and slope are then computed once.
template <class T, class Act, class N, Masked masked>
[[gnu::noinline, gnu::flatten]] T weigh_row(const Scores<T>& row, T shift) {
    const Vec<T> parts = weigh_in_parts<T, Act, N, masked>(row, Vectors<T>(row.scale), shift);
    return N::divides ? sum_of(parts) : T(0);
}
template <class T, class Act, class N>
inline T weigh_row(const Scores<T>& row, T shift) {
    return row.shown ? weigh_row<T, Act, N, Masked::yes>(row, shift)
                     : weigh_row<T, Act, N, Masked::no>(row, shift);
}

// The same for a group of rows without a mask, each with its shift and its sum.
template <class T, class Act, class N>
[[gnu::noinline, gnu::flatten]] void weigh_group(const ScoreRows<T>& of, Range group, const T* shift,
                                                 T* sum) {
    const Vectors<T> scale(of.scale);
    Vec<T> parts[kGroupRows<T>];
    for (std::int64_t i = 0; i < count(group); ++i)
        parts[i] = weigh_in_parts<T, Act, N, Masked::no>(scores_of(of, group.begin + i), scale, shift[i]);
    if constexpr (N::divides) reduce_rows(parts, count(group), Add(), sum);
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

// The smaller or the larger of two. As rounding keeps order, the largest score is that of the largest
// product, or, where the scale is negative, of the smallest.
template <bool smallest>
struct Further {
    template <class V>
    V operator()(const V& a, const V& b) const {
        return smallest ? at_most(a, b) : at_least(a, b);
    }
};

// One of the elements is the largest product of a row, or the smallest.
template <bool smallest, Masked masked, class T>
inline Vec<T> row_extremes(const Scores<T>& row) {
    constexpr T beyond = smallest ? infinity<T>() : -infinity<T>();
    constexpr Further<smallest> further;
    Vectors<T> extreme(beyond);
    const auto none = [](std::int64_t) { return 0; };
    for_vectors<masked>(row, none, [&](std::int64_t c, int, const VectorsMask<T>* mask) {
        extreme = further(extreme, seen_or<T>(mask, load_vectors(row.s + c), beyond));
    });
    return fold(extreme, further);
}

// The largest score of a row.
template <Masked masked, class T>
inline T row_maximum(const Scores<T>& row) {
    return row.scale * (row.scale < 0 ? reduce(row_extremes<true, masked>(row), Further<true>())
                                      : reduce(row_extremes<false, masked>(row), Further<false>()));
}
// Out of the way of rows without a mask.
template <class T>
[[gnu::noinline, gnu::flatten]] T masked_row_maximum(const Scores<T>& row) {
    return row_maximum<Masked::yes>(row);
}
template <class T>
inline T row_maximum(const Scores<T>& row) {
    return row.shown ? masked_row_maximum(row) : row_maximum<Masked::no>(row);
}

// The largest score of each row of a group without a mask.
template <bool smallest, class T>
[[gnu::noinline, gnu::flatten]] void row_maxima(const ScoreRows<T>& of, Range group, T* maximum) {
    Vec<T> extremes[kGroupRows<T>];
    for (std::int64_t i = 0; i < count(group); ++i)
        extremes[i] = row_extremes<smallest, Masked::no>(scores_of(of, group.begin + i));
    reduce_rows(extremes, count(group), Further<smallest>(), maximum);
    for (std::int64_t i = 0; i < count(group); ++i) maximum[i] *= of.scale;
}
template <class T>
inline void row_maxima(const ScoreRows<T>& of, Range group, T* maximum) {
    of.scale < 0 ? row_maxima<true>(of, group, maximum) : row_maxima<false>(of, group, maximum);
}

}  // namespace
}  // namespace hone
