// gradient_sum.hpp: gradients while they are summed, as accumulate.hpp has it: what each task gives, and its
// turn to add it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "accumulate.hpp"
#include "source.hpp"
#include "tiles.hpp"
#include "wait.hpp"

namespace hone {

// Whether tasks that add to one cell may run at the same time: never on one thread.
enum class Meeting { never, possible };

// Before tasks that may meet.
void clear_counters(const Accumulator& gradient, std::byte* workspace);

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
// are added up in the end, in the order of the parts of the call and their tasks.
template <class T>
void sum_parameter_gradients(std::span<const BackwardCall<T>> parts);

// A gradient that is summed over the parts of a call, each of which has left its own as a tensor without
// gaps.
template <class T>
struct SumOverParts {
    std::span<const BackwardCall<T>> parts;
    Accumulator BackwardCall<T>::*how;
    Target<T> Gradients<T>::*term;
    Target<T> sum;
    std::int64_t heads, rows, features;  // of the sum: distinct ones
};
// Sums rows of a head; `lost` has room for a row.
template <class T>
void sum_over_parts(const SumOverParts<T>& of, const Tiles<T>& tiles, std::int64_t head, Range rows, T* lost);

}  // namespace hone
