// shape.hpp: the extents of a call, and how the work of one kv head is cut into blocks of rows and of keys.
#pragma once

#include "range.hpp"
#include "visibility.hpp"

namespace hone {

struct Extents {
    std::int64_t batch, query_heads, kv_heads, queries, keys, key_dim, value_dim;
    std::int64_t heads_per_kv;  // query heads that read one kv head
    std::int64_t group_heads;   // query heads that share a normaliser: 1 but for the joint family
};

// A "row" is a (query, query head) pair of one kv head: row r is query r / heads_per_kv and head
// r % heads_per_kv among the heads of its kv head, so that the rows of one block see nearly the same keys.
struct Blocks {
    std::int64_t rows, keys;              // of a block
    std::int64_t row_blocks;              // how many
    Range key_blocks;                     // those with a key that some query sees
    std::int64_t score_stride;            // between the rows of a block of scores, in elements
    std::int64_t key_width, value_width;  // key_dim and value_dim, rounded up to whole panels at least
};

struct Shape {
    Extents n;
    Visibility visibility;  // of every batch entry
    Range keys;             // those that some query sees
    Blocks block;
};

// The keys that one task packs, a slice of a key block: whole panels of every type.
inline constexpr std::int64_t kSliceKeys = 64;

// Rows that forward treats together where a block of rows sees a block of keys in part: whole register tiles
// of 6 and of 8 rows. (Zen 5, N 2048: causal takes 0.531 of the full time, not 0.559.)
inline constexpr std::int64_t kEdgeRows = 48;

namespace {

// The rows of a kv head.
inline std::int64_t row_count(const Extents& n) {
    return n.queries * n.heads_per_kv;
}
inline std::int64_t group_count(const Extents& n) {
    return n.query_heads / n.group_heads;
}
inline Range rows_of_block(const Shape& s, std::int64_t row_block) {
    return common({row_block * s.block.rows, (row_block + 1) * s.block.rows}, {0, row_count(s.n)});
}
inline Range keys_of_block(const Shape& s, std::int64_t key_block) {
    return common({key_block * s.block.keys, (key_block + 1) * s.block.keys}, {0, s.keys.end});
}
inline std::int64_t slices_of_block(const Blocks& block) {
    return blocks_of(block.keys, kSliceKeys);
}

// A slice of the keys of a head, where slices are counted through its key blocks.
struct Slice {
    std::int64_t key_block, index;
    Range keys;
};
inline Slice slice_at(const Shape& s, std::int64_t slice) {
    const std::int64_t slices = slices_of_block(s.block);
    const std::int64_t key_block = s.block.key_blocks.begin + slice / slices, index = slice % slices;
    const Range keys = keys_of_block(s, key_block);
    const std::int64_t begin = keys.begin + index * kSliceKeys;
    return {key_block, index, common({begin, begin + kSliceKeys}, {begin, keys.end})};
}

// The queries of a range of rows.
inline Range queries_of(const Extents& n, Range rows) {
    return blocks_touched(rows, n.heads_per_kv);
}

struct QueryHead {
    std::int64_t query, head;
};
inline QueryHead row_at(const Extents& n, std::int64_t kv_head, std::int64_t row) {
    return {row / n.heads_per_kv, kv_head * n.heads_per_kv + row % n.heads_per_kv};
}

// Some rows of a kv head, without a division for each.
inline void list_rows(const Extents& n, std::int64_t kv_head, Range rows, QueryHead* to) {
    const std::int64_t first_head = kv_head * n.heads_per_kv, end_head = first_head + n.heads_per_kv;
    QueryHead at = row_at(n, kv_head, rows.begin);
    for (std::int64_t r = 0; r < count(rows); ++r) {
        to[r] = at;
        at = at.head + 1 < end_head ? QueryHead{at.query, at.head + 1} : QueryHead{at.query + 1, first_head};
    }
}

// Where the value of a row lies in an array [batch, query_heads, queries].
inline std::int64_t row_index(const Extents& n, std::int64_t batch, const QueryHead& at) {
    return (batch * n.query_heads + at.head) * n.queries + at.query;
}

// The blocks of keys of which some of these rows see a key, and of rows that see a key of this block. The two
// agree: row_blocks_seeing(kb) contains rb exactly where key_blocks_seen(rb) contains kb.
inline Range key_blocks_seen(const Shape& s, std::int64_t row_block) {
    return blocks_touched(keys_seen(s.visibility, queries_of(s.n, rows_of_block(s, row_block))),
                          s.block.keys);
}
inline Range row_blocks_seeing(const Shape& s, Range keys) {
    const Range queries = queries_seeing(s.visibility, keys);
    return blocks_touched({queries.begin * s.n.heads_per_kv, queries.end * s.n.heads_per_kv}, s.block.rows);
}
inline Range row_blocks_seeing(const Shape& s, std::int64_t key_block) {
    return row_blocks_seeing(s, keys_of_block(s, key_block));
}

}  // namespace
}  // namespace hone
