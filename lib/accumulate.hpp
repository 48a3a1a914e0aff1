// accumulate.hpp: where a contribution to a gradient lands, in which order, and in which precision.
//
// A gradient falls into cells that do not meet in memory: one for each block of its rows in each head of each
// batch entry. Along an axis of stride 0, over which the gradient is summed, cells fall together. A task
// gives each cell one contribution; where all of its blocks of rows belong to one cell, it sums them up
// first. Contributions to a cell are added in the order of the tasks, whoever computes them: so the bits are
// the same at every number of threads.
//
// A cell to which many tasks add at their end is summed in several copies, so that tasks which end at about
// the same time do not wait for each other. Where a sum has more than kPlainTerms, it is compensated.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tiles.hpp"
#include "wait.hpp"

namespace hone {

// As many tasks can end at the same time and not wait for each other.
inline constexpr std::int64_t kMostCopies = 16;

enum class Side { queries, keys };

// Whether tasks that add to one cell may meet: not where one thread takes them in their order.
enum class Meeting { never, possible };

// A task of backward, as far as the order of additions goes: tasks come in the order of key blocks
// (in_order), those of one key block by batch entries, those of one entry by kv heads.
struct KeyBlockTask {
    std::int64_t batch, kv_head, key_block;
};

// The first key blocks come in reverse. Under a causal mask a key block is done with its own edge sooner than
// the key blocks before it, and would wait there for their turns: so it is before them. The later ones start
// when the first ones are far ahead.
inline constexpr std::int64_t kReversed = 4;

// The place of a key block among the first `key_blocks`, and the key block at a place.
inline std::int64_t in_order(std::int64_t key_block, std::int64_t key_blocks) {
    const std::int64_t reversed = smaller(key_blocks, kReversed);
    return key_block < reversed ? reversed - 1 - key_block : key_block;
}

// The key blocks of which some row of a block of rows sees a key: the first ones.
inline std::int64_t key_blocks_seen(const Extents& n, const Blocks& block, std::int64_t row_block) {
    const std::int64_t last = smaller((row_block + 1) * block.rows, n.queries * n.heads_per_kv) - 1;
    return blocks_of(keys_seen(n, last / n.heads_per_kv), block.keys);
}

// A contribution is added to this copy, once the counter has reached `number`.
struct Turn {
    std::int64_t counter, copy, number;
};

// How one gradient is summed, and where in the workspace.
struct Accumulator {
    bool wanted;
    Side side;
    bool sums_batch, sums_heads, sums_rows;
    std::int64_t key_blocks, batch, kv_heads, row_blocks;  // of all tasks
    std::int64_t batches, heads, rows, features;           // of the gradient: distinct ones
    std::int64_t copies;
    bool compensated;
    std::size_t copies_at, lost_at, counters_at;

    // Contributions to a cell to which so many key blocks contribute.
    std::int64_t contributions(std::int64_t key_blocks) const;
    // `contributing` key blocks contribute to the cell: the first ones.
    Turn turn(const KeyBlockTask& task, std::int64_t row_block, std::int64_t contributing) const;
    // 0 where no cell is added to twice.
    std::int64_t counters() const;
    std::int64_t copy_size() const { return batches * heads * rows * features; }
};

// The gradient of q (Side::queries), or of k or v, of `features` features. Whether it is broadcast is told by
// the strides of `gradient`.
Accumulator accumulator_for(Side side, const hone_tensor& gradient, std::int64_t features, const Extents& n,
                            const Blocks& block);

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
    GradientSum(const Accumulator& how, const hone_tensor& gradient, T factor, const Tiles<T>& tiles,
                std::byte* workspace, Meeting meeting);

    // Waits for the turn, calls body(add), where add(rows) adds for the task, and passes the turn on.
    template <class Body>
    void in_turn(const KeyBlockTask& task, const Turn& turn, Body body) const;

    // Rows [first, last) of a distinct head, each of so many contributions, become the sums of their copies,
    // or 0 where there are none.
    struct Range {
        std::int64_t batch, head, first, last;
    };
    void finish(const Range& rows, std::int64_t contributions) const;

    const Accumulator& how() const { return how_; }

  private:
    const Accumulator& how_;
    const Tiles<T>& tiles_;
    Tensor<T> gradient_;  // the caller's
    Tensor<T> sum_;       // the same, or its copies
    Tensor<T> lost_;      // what rounding has added to sum_
    T factor_;
    Counter* counters_;
};

// Elements of T for a task's own sums of dq, and of dk or dv.
std::int64_t query_sums_size(const Accumulator& dq, const Extents& n, const Blocks& block);
std::int64_t key_sums_size(const Accumulator& gradient, const Blocks& block, std::int64_t width);

// What the task of a key block gives to dq: the tile that each step leaves, summed over the heads and rows
// that fall together.
template <class T>
class QueryContribution {
  public:
    QueryContribution(const GradientSum<T>& sum, const BackwardCall<T>& call, const Tiles<T>& tiles,
                      const KeyBlockTask& task, T* scratch);
    // Blocks of rows come from the last to the first.
    void add_step(std::int64_t row_block);
    void end();

  private:
    Turn turn_of(std::int64_t row_block) const;
    void add_to_running_sums(std::int64_t row_block);
    void add_heads_together(std::int64_t row_block);
    void add_rows(std::int64_t row_block);

    const GradientSum<T>& sum_;
    const Tiles<T>& tiles_;
    const Extents& n_;
    const Blocks& block_;
    const KeyBlockTask task_;
    const T* const tile_;  // [rows, key_width]
    T* const sums_;        // query_sums_size
};

// What it gives to dk or dv: the partial sum that steps add to, which is added to a compensated one whenever
// it has kPlainTerms.
template <class T>
class KeyContribution {
  public:
    struct Partial {
        T *sum, *sums;  // [keys, width]; key_sums_size
        std::int64_t width;
    };
    KeyContribution(const GradientSum<T>& sum, const BackwardCall<T>& call, const Tiles<T>& tiles,
                    const KeyBlockTask& task, const Partial& partial);
    void add_step(std::int64_t row_block);
    void end();

  private:
    bool folds() const { return needs_parts(block_.row_blocks); }
    void fold();

    const GradientSum<T>& sum_;
    const Tiles<T>& tiles_;
    const Blocks& block_;
    const KeyBlockTask task_;
    const std::int64_t keys_;
    const Partial partial_;
};

}  // namespace hone
