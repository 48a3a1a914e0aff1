// schedule.hpp: the tasks of a call, their order, their cost and what each waits for, as data.
//
// Threads take the tasks in order. A task waits for tasks that come before it and for no other, so that the
// first unfinished task never waits and any number of threads makes progress. Costs are in multiply-adds.
#pragma once

#include <cstdint>

#include "plan.hpp"

namespace hone {

enum class Work {
    pack_keys,      // slice `index` of k's distinct head `head`
    pack_values,    // the same of v
    attend,         // block of rows `index` of a kv head, and a split of its keys
    join_splits,    // rows of a kv head from `index` on
    join_heads,     // queries of a head group from `index` on
    row_constants,  // queries of a batch entry from `index` on, head groups from `head` on
    key_block,      // key block `index` of a kv head, with all blocks of rows that see it
    clear,          // rows of o after the queries of a batch entry and head, from `index` on
    finish,         // rows of a gradient: `index` of finish()
};

// Waits until the counter has been advanced `value` times; 0: no wait.
struct Wait {
    std::int64_t counter, value;
};

struct Task {
    Work work;
    std::int64_t batch, head, index, split;
    Wait waits[2];
    std::int64_t advances;  // the counter that its end advances; -1: none
};

// Multiply-adds that take as long as loading one element from memory.
inline constexpr double kRead = 8;

// Reading a block of keys from the cache takes as long as multiplying this many rows more.
inline constexpr std::int64_t kPanelRows = 3;

// How much one task joins: this many partial results, but at least those of one row; or the heads of this
// many queries.
inline constexpr std::int64_t kJoinPartials = 64, kJoinQueries = 64;

// Rows of a task that clears or finishes.
inline constexpr std::int64_t kFinishRows = 256;

// Tasks that follow one another and cost the same; first those that prepare, last those that finish what the
// others did.
enum class Phase { prepare, multiply, finish };
struct Tasks {
    Phase phase;
    std::int64_t first, count;
    double cost;  // of one that multiplies
};

class ForwardSchedule {
  public:
    explicit ForwardSchedule(const ForwardPlan& plan) : plan_(plan) {}

    std::int64_t tasks() const;
    Task task(std::int64_t i) const;
    double cost(const Task& task) const;
    // Of all attend tasks. Stops early once it is more than `enough`.
    double total_cost(double enough) const;
    std::int64_t counters() const;
    // Calls body(Tasks) for all tasks in their order.
    template <class Body>
    void for_tasks(Body body) const {
        body(Tasks{Phase::prepare, 0, pack_tasks(), 0});
        const std::int64_t of_rows = heads() * plan_.splits;
        std::int64_t first = pack_tasks();
        for (std::int64_t r = 0; of_rows > 0 && r < plan_.block.row_blocks; ++r, first += of_rows)
            body(Tasks{Phase::multiply, first, of_rows, cost(task(first))});
        body(Tasks{Phase::finish, first, tasks() - first, 0});
    }
    // The rows of a join_splits task; the queries of one that joins heads or clears.
    Range joined_rows(const Task& task) const;
    Range joined_queries(const Task& task) const;
    Range cleared_queries(const Task& task) const;

  private:
    std::int64_t heads() const { return plan_.n.batch * plan_.n.kv_heads; }
    std::int64_t distinct() const;  // heads that are packed
    std::int64_t slices() const;    // of each of them
    std::int64_t pack_tasks() const;
    std::int64_t attend_tasks() const;  // of one head
    std::int64_t join_rows() const;     // of a task
    std::int64_t head_joins() const;    // tasks that join the splits of one head; 0 where there is one split
    std::int64_t group_joins() const;   // tasks that join the heads of one group
    Task pack_task(std::int64_t i) const;
    Task attend_task(std::int64_t i) const;
    Task join_splits_task(std::int64_t i) const;
    Task join_heads_task(std::int64_t i) const;
    Task clear_task(std::int64_t i) const;
    std::int64_t clear_tasks() const;  // of one head
    double attend_cost(const Task& task) const;

    const ForwardPlan& plan_;
};

class BackwardSchedule {
  public:
    explicit BackwardSchedule(const BackwardPlan& plan) : plan_(plan) {}

    std::int64_t tasks() const;
    Task task(std::int64_t i) const;
    double cost(const Task& task) const;
    // Of all key_block tasks. Stops early once it is more than `enough`.
    double total_cost(double enough) const;
    std::int64_t counters() const { return plan_.n.batch + 1; }
    // As forward's. Of one batch entry, as those of several come in an order of their own.
    template <class Body>
    void for_tasks(Body body) const {
        body(Tasks{Phase::prepare, 0, row_tasks(), 0});
        const std::int64_t heads = plan_.n.kv_heads;
        std::int64_t first = row_tasks();
        for (std::int64_t kb = 0; heads > 0 && kb < count(plan_.block.key_blocks); ++kb, first += heads)
            body(Tasks{Phase::multiply, first, heads, cost(task(first))});
        body(Tasks{Phase::finish, first, tasks() - first, 0});
    }

    // What one block of rows costs in the task of a key block, and what it costs to add its dq.
    double step_cost(std::int64_t key_block, std::int64_t row_block) const;
    double add_cost(const Accumulator& gradient) const;

    // The head groups and the queries of a row_constants task.
    Range groups(const Task& task) const;
    Range queries(const Task& task) const;

    // Rows of one distinct head of a gradient that no key_block task finishes.
    struct Finish {
        const Accumulator* gradient;
        std::int64_t batch, head;
        Range rows;
    };
    Finish finish(std::int64_t index) const;
    // The key blocks whose tasks contribute to a row of a distinct head of the gradient.
    Range contributing(const Accumulator& gradient, std::int64_t head, std::int64_t row) const;

  private:
    // Rows [0, before) and [after, rows) of each distinct head.
    struct Unfinished {
        std::int64_t before, after, rows;
    };
    std::int64_t row_tasks() const;  // of one batch entry
    Unfinished unfinished(const Accumulator& gradient) const;
    std::int64_t finish_tasks(const Accumulator& gradient) const;
    double key_block_cost(std::int64_t key_block, double enough) const;
    Task key_block_task(std::int64_t place, std::int64_t batch, std::int64_t kv_head) const;
    Task row_task(std::int64_t batch, std::int64_t i) const;
    Task first_task(std::int64_t i) const;

    const BackwardPlan& plan_;
};

inline ForwardSchedule schedule_of(const ForwardPlan& plan) {
    return ForwardSchedule(plan);
}
inline BackwardSchedule schedule_of(const BackwardPlan& plan) {
    return BackwardSchedule(plan);
}

}  // namespace hone
