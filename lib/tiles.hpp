// tiles.hpp: the contract between the library and its ISA units: what a tile function is told, and the table
// of them that each unit gives.
//
// Units are compiled with different instructions, so everything here is plain data; the few inline functions
// live in an anonymous namespace, where no unit's copy can stand in for another's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hone/hone.h"

namespace hone {

// A strided tensor [batch, heads, rows, features]; strides in elements, features contiguous.
template <class T>
struct Tensor {
    T* data;
    std::int64_t batch_stride, head_stride, row_stride;
};

// n equal float32 terms, added one after the other, may lose n/4 units of 2^-24 of their sum. A product over
// a block of keys loses 32, as its chains have 128 terms; with so many blocks added plainly it is 48. The
// limit is 100 (6e-6): longer sums are compensated.
inline constexpr std::int64_t kPlainTerms = 64;

// Whether a sum over so many blocks is too long to be added plainly.
inline constexpr bool needs_parts(std::int64_t blocks) {
    return blocks > kPlainTerms;
}

// The most rows of a block: what a tile function has room for.
inline constexpr std::int64_t kMaxRows = 192;

// Rows that forward treats together along the edge of a causal mask: whole register tiles of 6 and of 8 rows.
inline constexpr std::int64_t kRaggedRows = 48;

struct Extents {
    std::int64_t batch, query_heads, kv_heads, queries;
    std::int64_t keys;      // those that some query sees: the first of
    std::int64_t all_keys;  // the tensors' own
    std::int64_t key_dim, value_dim;
    std::int64_t heads_per_kv;  // query heads that read one kv head
    std::int64_t joint_heads;   // query heads that share a normaliser: 1 but for the joint family
    std::int64_t sees;          // query i sees the keys j < clamp(i + sees, 0, keys)
};

// How the work of one kv head is cut. A "row" is a (query, head of the group) pair: row r is query
// r / heads_per_kv and head r % heads_per_kv, so that the rows of one block see nearly the same keys.
struct Blocks {
    std::int64_t rows, keys;              // extent of a block
    std::int64_t row_blocks, key_blocks;  // number of blocks
    std::int64_t score_stride;            // between the rows of a block of scores, in elements
    std::int64_t key_width, value_width;  // key_dim and value_dim, rounded up to whole panels at least
};

// The keys that one task packs: whole panels of every type.
inline constexpr std::int64_t kPackKeys = 64;

template <class T>
struct Parameters {
    const T* sink;       // [query_heads / joint_heads] or null
    const T* log_prior;  // [query_heads] or null
    const T* shift;      // [query_heads] or null
    T scale;             // of q k^T
    double softmax_n, weight;
};

// Where products find k and v.
enum class Reading {
    in_place,  // where they lie: few rows read them
    own,       // packed by the task that reads them: no other does
    shared,    // packed beforehand, for all blocks of rows
};

// Offsets in elements of T into a thread's scratch.
struct ForwardScratch {
    std::int64_t scores;       // [rows, score_stride]
    std::int64_t output;       // [rows, value_width]
    std::int64_t total, lost;  // the same, where parts are joined; lost: [value_width] where chunks are
    std::int64_t packed_k, packed_v;  // one key block each, where the task packs its own
    std::int64_t turned;              // multiply_transposed's room, where k is read in place
};

template <class T>
struct ForwardCall {
    Extents n;
    Blocks block;
    Parameters<T> parameter;
    ForwardScratch scratch;
    Reading reading;
    Tensor<const T> q, k, v;
    Tensor<T> o;
    T* lse;                // [batch, query_heads, queries] or null: of each head by itself
    T* packed_k;           // [k_copy, key_block, panel of keys, key_dim, panel]: k^T
    T* packed_v;           // [v_copy, key_block, panel of features, keys of the block, panel]
    unsigned char* v_odd;  // [v_copy, key_block, part]: 1 where a value of that part is not finite
    std::int64_t k_batches, k_heads, v_batches, v_heads;  // distinct ones: 1 where the axis is broadcast
    // Where the keys of a row are cut into chunks: what each chunk gives, [batch, kv_head, chunk, row] of its
    // maximum and its sum, and [.., value_width] of its o.
    std::int64_t chunks, chunk_blocks;  // chunks of so many key blocks
    T *part_maximum, *part_o;
    double* part_sum;
    T* joint_lse;  // [batch, query_heads / joint_heads, queries] or null
};

struct BackwardScratch {
    std::int64_t key_panels;                   // k^T: [panel of keys, key_dim, panel]
    std::int64_t value_panels;                 // v^T: [panel of keys, value_dim, panel]
    std::int64_t key_columns;                  // k: [panel of features, keys, panel]
    std::int64_t query_columns, dout_columns;  // [panel of features, rows, panel]
    std::int64_t dk, dv;                       // [keys, key_width], [keys, value_width]
    std::int64_t scores, dscores;              // [rows, score_stride]: s then p; dp then ds
    std::int64_t dq;                           // [rows, key_width]
    std::int64_t dbias;                        // [heads_per_kv] of double
    std::int64_t turned;                       // multiply_transposed's room, where k and v are read in place
    std::int64_t key_odd;                      // [1]: 1 where a key of the block is not finite
    std::int64_t dq_sums, dk_sums, dv_sums;    // the accumulator's
};

template <class T>
struct BackwardCall {
    Extents n;
    Blocks block;
    Parameters<T> parameter;
    BackwardScratch scratch;
    bool in_place;  // k and v are read where they lie
    Tensor<const T> q, k, v, o, dout;
    const T* lse;     // [batch, query_heads / joint_heads, queries]
    const T* dlse;    // the same shape, or null
    bool dq, dk, dv;  // which gradients are wanted
    // Of each row, [batch, query_heads, queries]: see RowConstants.
    T *row_shift, *row_weight, *row_delta;
    double* dbias;                       // [batch, query_heads, key_blocks]: sums of ds, or null
    double* dsink;                       // [batch, query_heads / joint_heads, row chunks], or null
    std::int64_t row_chunk, row_chunks;  // queries of a chunk, chunks
};

// How a row joins what it is added to.
enum class Join {
    store,       // it is the first
    add,         // it is rounded away from what is there
    compensate,  // the same, and what rounding took is kept and comes in with the next (Kahan's summation)
};
inline constexpr int kJoins = 3;

// Rows of a partial sum, times a factor, that are added to rows elsewhere.
template <class T>
struct Addition {
    std::int64_t rows, features;
    T factor;
    const T* from;
    std::int64_t from_stride;
    T* to;
    std::int64_t to_stride;  // 0: all rows are added to one
    T* lost;                 // what rounding has added to `to` so far; null where nothing is compensated
    std::int64_t lost_stride;
};

// The tile functions of one ISA for one scalar type.
template <class T>
struct Tiles {
    int panel;      // columns of a register tile, and of a packed panel
    int tile_rows;  // rows of a register tile
    // Packs one part of a key block of one distinct head.
    void (*share_keys)(const ForwardCall<T>&, std::int64_t copy, std::int64_t key_block, std::int64_t part);
    void (*share_values)(const ForwardCall<T>&, std::int64_t copy, std::int64_t key_block, std::int64_t part);
    // o (and lse) of one block of rows, or what one chunk of keys gives to it.
    void (*forward[HONE_ACTIVATION_COUNT])(const ForwardCall<T>&, std::int64_t batch, std::int64_t kv_head,
                                           std::int64_t row_block, std::int64_t chunk, T* scratch);
    // o (and lse) of one row from its chunks.
    void (*join_chunks[HONE_ACTIVATION_COUNT])(const ForwardCall<T>&, std::int64_t batch,
                                               std::int64_t kv_head, std::int64_t row, T* scratch);
    // Joins the heads of one group under one normaliser, for queries [first, last).
    void (*join_heads)(const ForwardCall<T>&, std::int64_t batch, std::int64_t group, std::int64_t first,
                       std::int64_t last);

    // row_shift, row_weight, row_delta, and dsink's part, of one chunk of queries of one group of heads.
    void (*backward_rows[HONE_ACTIVATION_COUNT])(const BackwardCall<T>&, std::int64_t batch,
                                                 std::int64_t group, std::int64_t chunk);
    // One key block: begin packs it; step finds what one block of rows gives to its dk and dv, and the rows'
    // dq, which is left in scratch; end leaves its dbias.
    void (*backward_begin)(const BackwardCall<T>&, std::int64_t batch, std::int64_t kv_head,
                           std::int64_t key_block, T* scratch);
    void (*backward_step[HONE_ACTIVATION_COUNT])(const BackwardCall<T>&, std::int64_t batch,
                                                 std::int64_t kv_head, std::int64_t key_block,
                                                 std::int64_t row_block, T* scratch);
    void (*backward_end)(const BackwardCall<T>&, std::int64_t batch, std::int64_t kv_head,
                         std::int64_t key_block, T* scratch);
    void (*add[kJoins])(const Addition<T>&);
};

// What one ISA unit exports.
struct Unit {
    Tiles<float> f32;
    Tiles<double> f64;
    hone_activation_info info[HONE_ACTIVATION_COUNT];
};

namespace {

template <class T>
inline T* at(const Tensor<T>& t, std::int64_t batch, std::int64_t head, std::int64_t row) {
    return t.data + batch * t.batch_stride + head * t.head_stride + row * t.row_stride;
}

inline std::int64_t round_up(std::int64_t x, std::int64_t to) {
    return (x + to - 1) / to * to;
}
// Blocks that cover the extent, the last one perhaps in part.
inline std::int64_t blocks_of(std::int64_t extent, std::int64_t block) {
    return (extent + block - 1) / block;
}
inline std::int64_t smaller(std::int64_t a, std::int64_t b) {
    return a < b ? a : b;
}

// Parts of a key block that are packed one by one.
inline std::int64_t pack_parts(const Blocks& block) {
    return blocks_of(block.keys, kPackKeys);
}

// The packed copy that a head reads, where `batches` x `heads` of them are distinct.
inline std::int64_t copy_of(std::int64_t batch, std::int64_t head, std::int64_t batches, std::int64_t heads) {
    return batch % batches * heads + head % heads;
}

// The number of keys that query i sees.
inline std::int64_t keys_seen(const Extents& n, std::int64_t query) {
    const std::int64_t end = query + n.sees;
    return end < 0 ? 0 : smaller(end, n.keys);
}

// The query and the query head of a row of a kv head (see Blocks).
struct RowAt {
    std::int64_t query, head;
};

inline RowAt row_at(const Extents& n, std::int64_t kv_head, std::int64_t row) {
    return {row / n.heads_per_kv, kv_head * n.heads_per_kv + row % n.heads_per_kv};
}

}  // namespace
}  // namespace hone
