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
#include "wait.hpp"

namespace hone {

template <class T>
struct BackwardCall;
template <class T>
struct Tiles;

// n equal float32 terms, added one after the other, may lose n/4 units of 2^-24 of their sum. A product over
// a block of keys loses 32, as its chains have 128 terms; with so many blocks added plainly it is 48. The
// limit is 100 (6e-6): longer sums are compensated.
inline constexpr std::int64_t kPlainTerms = 64;

// Up to this many tasks can end at the same time without waiting for each other.
inline constexpr std::int64_t kMostCopies = 16;

enum class Side { queries, keys };

// Whether tasks that add to one cell may run at the same time: never on one thread.
enum class Meeting { never, possible };

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

// Rows of a gradient that one task adds: of a query head for dq, of a kv head for dk and dv.
template <class T>
struct Rows {
    std::int64_t head, first, count;
    const T* from;
    std::int64_t from_stride;
};

// One gradient while it is summed. What the task of a key block gives to it is kept in the task's scratch
// until it is complete, and then added in turn.
template <class T>
class GradientSum {
  public:
    // The gradient is `factor` times the sum of the contributions. Tasks that may meet wait for their turns.
    GradientSum(const Accumulator& how, const Target<T>& gradient, T factor, const Tiles<T>& tiles,
                std::byte* workspace, Meeting meeting);

    // Waits for the turn, calls body(add), where add(rows) adds for the task, and passes the turn on.
    template <class Body>
    void in_turn(const KeyBlockTask& task, const Turn& turn, Body body) const;

    // Rows of a distinct head, each of so many contributions, become the sums of their copies, or 0 where
    // there are none.
    struct FinishedRows {
        std::int64_t batch, head;
        Range rows;
        std::int64_t contributions;
    };
    void finish(const FinishedRows& finish) const;

    const Accumulator& how() const { return how_; }

  private:
    const Accumulator& how_;
    const Tiles<T>& tiles_;
    Target<T> gradient_;  // the caller's
    Target<T> sum_;       // the same, or its copies
    Target<T> lost_;      // the rounding error in sum_
    T factor_;
    Counter* counters_;
};

// Elements of T for a task's own sums of dq, and of dk or dv.
std::int64_t query_sums_size(const Accumulator& dq, const Shape& shape);
std::int64_t key_sums_size(const Accumulator& gradient, const Blocks& block, std::int64_t width);

// What the task of a key block gives to dq: the tile that each step leaves, summed over the heads and rows
// that fall together.
template <class T>
class QueryContribution {
  public:
    QueryContribution(const GradientSum<T>& sum, const BackwardCall<T>& call, const Tiles<T>& tiles,
                      const KeyBlockTask& task, T* scratch);
    // In the order of for_steps.
    void add_step(std::int64_t row_block);
    void end();

  private:
    Turn turn(std::int64_t row_block) const;
    void add_to_running_sums(std::int64_t row_block);
    void add_heads_together(std::int64_t row_block);
    void add_rows(std::int64_t row_block);

    const GradientSum<T>& sum_;
    const Tiles<T>& tiles_;
    const Shape& shape_;
    const KeyBlockTask task_;
    const T* const tile_;  // [rows, key_width]
    T* const sums_;        // query_sums_size
};

// What the task of a key block gives to dk or dv: the partial sum that steps add to, which is added to a
// compensated sum after every kPlainTerms of them.
template <class T>
class KeyContribution {
  public:
    struct PartialSum {
        T *sum, *sums;  // [keys, width]; key_sums_size
        std::int64_t width;
    };
    KeyContribution(const GradientSum<T>& sum, const BackwardCall<T>& call, const Tiles<T>& tiles,
                    const KeyBlockTask& task, const PartialSum& partial);
    void add_step(std::int64_t row_block);
    void end();

  private:
    bool folds() const { return needs_compensation(block_.row_blocks); }
    void fold();

    const GradientSum<T>& sum_;
    const Tiles<T>& tiles_;
    const Blocks& block_;
    const KeyBlockTask task_;
    const std::int64_t keys_;
    const PartialSum partial_;
};

// Gradients of parameters are sums over tasks, each of which leaves its part in the workspace in double: they
// are added up in the end, in the order of the tasks.
template <class T>
void sum_parameter_gradients(const BackwardCall<T>& call);

}  // namespace hone
