// visibility.hpp owns which rows of its tensors a batch entry has, and which keys a query sees.
#pragma once

#include <hone/hone.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace hone::reference {

using std::int64_t;
// Holds any sum of a few int64_t.
__extension__ typedef __int128 wide_int;

inline int64_t integer(const hone_const_integers& array, int64_t n) {
    return array.dtype == HONE_INT32 ? static_cast<const int32_t*>(array.data)[n]
                                     : static_cast<const int64_t*>(array.data)[n];
}

// A batch entry's rows of a tensor: `rows` of them from row `first` of batch element `batch`. Those beyond
// the first `length` are padding.
struct Segment {
    int64_t batch, first, rows, length;
    int64_t tensor_rows;  // of all entries that share a batch element
};

inline Segment ragged_segment(const hone_const_integers& offsets, int64_t total, int64_t b) {
    const int64_t first = integer(offsets, b), rows = integer(offsets, b + 1) - first;
    return {0, first, rows, rows, total};
}

inline Segment queries_of(const hone_problem& p, int64_t b) {
    Segment s = {b, 0, p.queries, p.queries, p.queries};
    if (p.flags & HONE_RAGGED_QUERIES) s = ragged_segment(p.query_offsets, p.total_queries, b);
    if (p.flags & HONE_QUERY_LENGTHS) s.length = integer(p.query_lengths, b);
    return s;
}

inline Segment keys_of(const hone_problem& p, int64_t b) {
    Segment s = {b, 0, p.keys, p.keys, p.keys};
    if (p.flags & HONE_RAGGED_KEYS) s = ragged_segment(p.key_offsets, p.total_keys, b);
    if (p.flags & HONE_KEY_LENGTHS) s.length = integer(p.key_lengths, b);
    return s;
}

struct Entry {
    int64_t b;
    Segment queries, keys;
};

inline Entry entry_of(const hone_problem& p, int64_t b) {
    return {b, queries_of(p, b), keys_of(p, b)};
}

// Query i of a batch entry, counted within it, and a head, or a group of heads.
struct At {
    const Entry& entry;
    int64_t h, i;
};

// Whether the mask shows a key to a query.
inline bool shown(const hone_const_scores& mask, const At& at, int64_t j) {
    const auto step = [](int64_t extent, int64_t stride, int64_t n) { return extent == 1 ? 0 : n * stride; };
    return static_cast<const unsigned char*>(mask.data)[step(mask.batch, mask.batch_stride, at.entry.b) +
                                                        step(mask.heads, mask.head_stride, at.h) +
                                                        step(mask.queries, mask.query_stride, at.i) +
                                                        step(mask.keys, mask.key_stride, j)] != 0;
}

// Lists the keys that a query sees, in rising order, counted within the entry.
inline void list_keys(const hone_problem& p, const hone_const_scores& mask, const At& at,
                      std::vector<int64_t>& keys) {
    const int64_t nq = at.entry.queries.length, nk = at.entry.keys.length;
    // The key on the diagonal. The keys in sight are [begin, end).
    const wide_int key = at.i + wide_int(p.diagonal_shift) + (p.alignment == HONE_BOTTOM_RIGHT ? nk - nq : 0);
    wide_int begin = 0, end = nk;
    if (p.flags & HONE_CAUSAL) end = std::min(end, key + 1);
    if (p.flags & HONE_WINDOW) {
        if (p.window_left != -1) begin = std::max(begin, key - p.window_left);
        if (p.window_right != -1) end = std::min(end, key + p.window_right + 1);
    }
    const auto clip = [&](wide_int j) { return int64_t(std::clamp<wide_int>(j, 0, nk)); };
    keys.clear();
    for (int64_t j = clip(begin); j < clip(end); ++j)
        if (!mask.data || shown(mask, at, j)) keys.push_back(j);
}

}  // namespace hone::reference
