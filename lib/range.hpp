// range.hpp: ranges of indices, and the arithmetic of cutting an extent into blocks.
//
// Everything that a file of an ISA sees inline is in an anonymous namespace: no copy compiled with other
// instructions can stand in for it.
#pragma once

#include <cstdint>

namespace hone {

// Indices [begin, end); empty where they are equal.
struct Range {
    std::int64_t begin, end;
};

namespace {

inline std::int64_t smaller(std::int64_t a, std::int64_t b) {
    return a < b ? a : b;
}
inline std::int64_t larger(std::int64_t a, std::int64_t b) {
    return a < b ? b : a;
}
inline std::int64_t clamp(std::int64_t x, std::int64_t least, std::int64_t most) {
    return x < least ? least : smaller(x, most);
}
inline std::int64_t round_up(std::int64_t x, std::int64_t to) {
    return (x + to - 1) / to * to;
}
inline std::int64_t round_down(std::int64_t x, std::int64_t to) {
    return x / to * to;
}
// Blocks that cover the extent, the last one perhaps in part.
inline std::int64_t blocks_of(std::int64_t extent, std::int64_t block) {
    return (extent + block - 1) / block;
}

inline std::int64_t count(Range r) {
    return r.end - r.begin;
}
inline bool empty(Range r) {
    return r.end <= r.begin;
}
inline bool contains(Range r, std::int64_t i) {
    return r.begin <= i && i < r.end;
}
inline bool same(Range a, Range b) {
    return a.begin == b.begin && a.end == b.end;
}
// The indices that both have.
inline Range common(Range a, Range b) {
    const std::int64_t begin = larger(a.begin, b.begin), end = smaller(a.end, b.end);
    return {begin, larger(begin, end)};
}
// The same indices, counted from `origin`.
inline Range relative(Range r, std::int64_t origin) {
    return {r.begin - origin, r.end - origin};
}
// The blocks that hold an index of the range.
inline Range blocks_touched(Range r, std::int64_t block) {
    return empty(r) ? Range{0, 0} : Range{r.begin / block, blocks_of(r.end, block)};
}

// The next consecutive indices of a range for which holds(i), from `begin` on; empty at the end of it.
template <class Holds>
inline Range next_range(Range range, std::int64_t begin, Holds holds) {
    while (begin < range.end && !holds(begin)) ++begin;
    std::int64_t end = begin;
    while (end < range.end && holds(end)) ++end;
    return {begin, end};
}

}  // namespace
}  // namespace hone
