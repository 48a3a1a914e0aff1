// accumulate.hpp: where a contribution to a gradient lands, in which order, and in which precision.
//
// A gradient falls into cells that do not meet in memory: one for each block of its rows in each head of each
// batch entry. Along an axis of stride 0, over which the gradient is summed, cells coincide. A task
// gives each cell one contribution; where all of its blocks of rows belong to one cell, it sums them up
// first. Contributions to a cell are added in the order of the tasks, whoever computes them: so the bits are
// the same at every number of threads.
//
// A cell to which many tasks add at their end is summed in several copies, so that tasks which end at about
// the same time do not wait for each other. Where a sum has more than kPlainTerms, it is compensated.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hone/hone.h"
#include "shape.hpp"
#include "source.hpp"

namespace hone {

// n equal float32 terms, added one after the other, may lose n/4 units of 2^-24 of their sum. A product over
// a block of keys loses 32, as its chains have 128 terms; with so many blocks added plainly it is 48. The
// limit is 100 (6e-6): longer sums are compensated.
inline constexpr std::int64_t kPlainTerms = 64;

// Up to this many tasks can end at the same time without waiting for each other.
inline constexpr std::int64_t kMostCopies = 16;

// With so many blocks of rows tasks seldom want to add to the same one at once: a sum has one copy.
inline constexpr std::int64_t kEnoughRowBlocks = 16;

enum class Side { queries, keys };

// The task of a key block of a kv head. As far as additions go, tasks come in the order of key blocks
// (place_of), those of one key block by batch entries, those of one entry by kv heads.
struct KeyBlockTask {
    std::int64_t batch, kv_head, key_block;
};

// The first key blocks come in reverse. Under a causal mask a task reaches the diagonal sooner than the tasks
// of the key blocks before its own, and would wait for their turns: so it goes first. Later key blocks start
// when the first ones are far ahead, and need no such order.
inline constexpr std::int64_t kReversed = 4;

namespace {

// Whether a sum over so many blocks is too long to be added plainly.
inline bool needs_compensation(std::int64_t blocks) {
    return blocks > kPlainTerms;
}

// The place of a key block among those of a range, in the order of tasks, and the key block at a place. A
// sub-range has the order of the whole range.
inline std::int64_t place_of(std::int64_t key_block, Range key_blocks) {
    const std::int64_t reversed = smaller(key_blocks.end, kReversed);
    return key_block < reversed ? reversed - 1 - key_block : key_block - key_blocks.begin;
}
inline std::int64_t key_block_at(std::int64_t place, Range key_blocks) {
    const std::int64_t reversed = smaller(key_blocks.end, kReversed);
    return place < reversed - key_blocks.begin ? reversed - 1 - place : key_blocks.begin + place;
}

// Calls body(row_block) for each step of a key block's task: the blocks of rows that see it, the last one
// first.
template <class Body>
inline void for_steps(const Shape& shape, std::int64_t key_block, Body body) {
    const Range rows = row_blocks_seeing(shape, key_block);
    for (std::int64_t row_block = rows.end - 1; row_block >= rows.begin; --row_block) body(row_block);
}

}  // namespace

// A contribution is added to this copy, once the counter has reached `number`. Contributions to a cell are
// dealt to its copies in turn; in the end the copies are added in their order.
struct Turn {
    std::int64_t counter, copy, number;
};

// How one gradient is summed, and where in the workspace.
struct Accumulator {
    bool wanted;
    Side side;
    Broadcast sums;                               // the axes along which contributions are summed
    std::int64_t batch, kv_heads, row_blocks;     // of all tasks
    Range key_blocks;                             // of all tasks
    std::int64_t batches, heads, rows, features;  // of the gradient: distinct ones
    std::int64_t padding;                         // rows after these, which are 0
    std::int64_t copies;
    bool compensated;
    std::size_t copies_at, lost_at, counters_at;
};

// Contributions to a cell to which these key blocks contribute.
std::int64_t contributions(const Accumulator& a, Range key_blocks);
// The turn of a task among the key blocks that contribute to the cell.
Turn turn_of(const Accumulator& a, const KeyBlockTask& task, std::int64_t row_block, Range key_blocks);
// 0 if every cell gets one contribution at most.
std::int64_t counter_count(const Accumulator& a);
// Elements of one copy.
std::int64_t copy_size(const Accumulator& a);

// The gradient of q (Side::queries), or of k or v, of `features` features. The strides of `gradient` tell
// whether it is broadcast.
Accumulator accumulator_for(Side side, const hone_tensor& gradient, std::int64_t features,
                            const Shape& shape);

// Heads of a group, of one query, that lie in one row of dq and are summed within a task.
bool sums_group(const Accumulator& dq, const Extents& n);
// Elements of T for a task's own sums of dq, and of dk or dv.
std::int64_t query_sums_size(const Accumulator& dq, const Shape& shape);
std::int64_t key_sums_size(const Accumulator& gradient, const Blocks& block, std::int64_t width);

}  // namespace hone
