// visibility.hpp: which keys a query sees. Causal masks, windows and the diagonal that they share are decided
// here, and nowhere else.
//
// A query sees one range of keys, and neither end of the range decreases from one query to the next. So
// consecutive queries together see the keys from the first one's begin to the last one's end, and the queries
// that see any of some consecutive keys are consecutive, too. That is all that others know.
#pragma once

#include "hone/hone.h"
#include "range.hpp"

namespace hone {

// Query i sees the keys [i - before, i + beyond), clipped to [0, keys); before + beyond >= 1, unless both are
// so far off that no query sees any key.
struct Visibility {
    std::int64_t queries, keys;
    std::int64_t before, beyond;
};

// Of a block of queries and keys: no query sees any key, some do, or every query sees every key.
enum class Seen { none, partly, wholly };

namespace {

// Of all queries of the problem, where batch entries do not differ. Shifts and bounds may be any 64-bit
// numbers.
inline Visibility visibility_of(const hone_problem& p) {
    const std::int64_t all = p.queries + p.keys;  // where a bound is that far away, there is none
    const auto bound = [&](__int128 x) {
        return static_cast<std::int64_t>(x < -all ? -all : x > all ? all : x);
    };
    const __int128 diagonal =
        static_cast<__int128>(p.diagonal_shift) + (p.alignment == HONE_BOTTOM_RIGHT ? p.keys - p.queries : 0);
    Visibility v = {p.queries, p.keys, all, all};
    if (p.flags & HONE_CAUSAL) v.beyond = bound(diagonal + 1);
    if (p.flags & HONE_WINDOW) {
        if (p.window_left >= 0) v.before = bound(p.window_left - diagonal);
        if (p.window_right >= 0) v.beyond = smaller(v.beyond, bound(p.window_right + diagonal + 1));
    }
    return v;
}

// The keys that a query sees.
inline Range keys_seen(const Visibility& v, std::int64_t query) {
    const std::int64_t end = clamp(query + v.beyond, 0, v.keys);
    return {clamp(query - v.before, 0, end), end};
}

// The number of keys that a query sees. Defaults that depend on the number of keys use it.
inline std::int64_t count_seen(const Visibility& v, std::int64_t query) {
    return count(keys_seen(v, query));
}

// The fewest keys that any query sees. A window is cut only near the first key and near the last, so it is
// the first query or the last that sees the fewest.
inline std::int64_t fewest_seen(const Visibility& v) {
    return smaller(count_seen(v, 0), count_seen(v, v.queries - 1));
}

// The keys that some of these queries see: all from the first such key to the last.
inline Range keys_seen(const Visibility& v, Range queries) {
    if (empty(queries)) return {0, 0};
    return {keys_seen(v, queries.begin).begin, keys_seen(v, queries.end - 1).end};
}

// The queries that see some of these keys.
inline Range queries_seeing(const Visibility& v, Range keys) {
    if (empty(keys)) return {0, 0};
    const std::int64_t begin = clamp(keys.begin - v.beyond + 1, 0, v.queries);
    return {begin, clamp(keys.end + v.before, begin, v.queries)};
}

inline Seen seen_of(const Visibility& v, Range queries, Range keys) {
    if (empty(common(keys_seen(v, queries), keys))) return Seen::none;
    const bool wholly =
        keys_seen(v, queries.end - 1).begin <= keys.begin && keys_seen(v, queries.begin).end >= keys.end;
    return wholly ? Seen::wholly : Seen::partly;
}

}  // namespace
}  // namespace hone
