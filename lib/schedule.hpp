// schedule.hpp: the tasks of a call, their order, their cost and what each waits for, as data.
//
// Threads take the tasks in order. A task waits for tasks that come before it and for no other, so that the
// first unfinished task never waits and any number of threads gets through. Costs are in multiply-adds.
#pragma once

#include <cstdint>

#include "accumulate.hpp"
#include "tiles.hpp"

namespace hone {

enum class Work {
    pack_keys,      // part `chunk` of key block `index` of k's packed copy `head`
    pack_values,    // the same of v
    attend,         // block of rows `index` of a kv head, `chunk` of its keys
    join_chunks,    // rows of a kv head from `index` on
    join_heads,     // queries of a group from `index` on
    row_constants,  // queries of a batch entry from `index` on, groups from `head` on
    key_block,      // key block `index` of a kv head, with all blocks of rows that see it
    finish,  // what no task has added to, and the sum of the copies, of a gradient: `index` of finish()
};

// Until a counter has been advanced `value` times; no wait where the value is 0.
struct Wait {
    std::int64_t counter, value;
};

struct Task {
    Work work;
    std::int64_t batch, head, index, chunk;
    Wait waits[2];
    std::int64_t advances;  // the counter that its end advances; -1: none
};

// Reading a block of keys from the cache takes as long as multiplying so many rows more.
inline constexpr std::int64_t kPanelRows = 3;

// What one task joins: so many partial results of rows, at least one row's; and so many queries of joint
// heads.
inline constexpr std::int64_t kJoinParts = 64, kJoinQueries = 64;

struct ForwardSchedule {
    Extents n;
    Blocks block;
    bool packs;                                           // k and v are packed for all blocks of rows
    bool joint;                                           // heads are joined under one normaliser
    std::int64_t chunks, chunk_blocks;                    // of keys; chunks of so many key blocks
    std::int64_t k_batches, k_heads, v_batches, v_heads;  // distinct ones

    std::int64_t tasks() const;
    Task task(std::int64_t i) const;
    double cost(const Task& task) const;
    // Of all attend tasks; where that is more than `enough`, anything that is more.
    double total_cost(double enough) const;
    std::int64_t counters() const;
    // The rows of a join_chunks task.
    std::int64_t join_rows() const { return chunks < kJoinParts ? kJoinParts / chunks : 1; }

  private:
    std::int64_t k_copies() const { return k_batches * k_heads; }
    std::int64_t v_copies() const { return v_batches * v_heads; }
    std::int64_t heads() const { return n.batch * n.kv_heads; }
    std::int64_t rows() const { return n.queries * n.heads_per_kv; }
    std::int64_t pack_tasks() const;
    std::int64_t copy_packs() const { return block.key_blocks * pack_parts(block); }
    std::int64_t head_joins() const;   // tasks that join the chunks of one head; 0 where there is one chunk
    std::int64_t group_joins() const;  // tasks that join the heads of one group
    Task pack_task(std::int64_t i) const;
    Task attend_task(std::int64_t i) const;
    Task join_chunks_task(std::int64_t i) const;
    Task join_heads_task(std::int64_t i) const;
};

// Blocks of rows, from the last to the first: all tasks of a head then start where every key block is seen.
struct RowBlocks {
    std::int64_t first, end;
};

struct BackwardSchedule {
    Extents n;
    Blocks block;
    std::int64_t row_chunk, row_chunks, row_groups;  // queries of a chunk, chunks; groups that a task takes
    std::int64_t ahead;  // batch entries by which row constants are ahead of key blocks
    Accumulator dq, dk, dv;

    std::int64_t tasks() const;
    Task task(std::int64_t i) const;
    double cost(const Task& task) const;
    // Of all key_block tasks; where that is more than `enough`, anything that is more.
    double total_cost(double enough) const;
    std::int64_t counters() const { return n.batch + 1; }

    // The blocks of rows of which some row sees a key of this block.
    RowBlocks row_blocks(std::int64_t key_block) const;
    // The key blocks of which some row of this block sees a key: the first ones.
    std::int64_t key_blocks(std::int64_t row_block) const;
    // What one block of rows costs in the task of a key block, and what it costs to add its dq.
    double step_cost(std::int64_t key_block, std::int64_t row_block) const;
    double add_cost(const Accumulator& gradient) const;

    // Rows of one distinct head of a gradient which no task of a key block completes.
    struct Finish {
        const Accumulator* gradient;
        std::int64_t batch, head, first, last;
    };
    Finish finish(std::int64_t index) const;
    // Key blocks whose tasks contribute to a row of a distinct head of the gradient.
    std::int64_t contributing(const Accumulator& gradient, std::int64_t head, std::int64_t row) const;

  private:
    struct Range {
        std::int64_t first, last;
    };
    std::int64_t groups() const { return n.query_heads / n.joint_heads; }
    std::int64_t row_tasks() const;  // of one batch entry
    Range unfinished(const Accumulator& gradient) const;
    std::int64_t finish_tasks(const Accumulator& gradient) const;
    double key_block_cost(std::int64_t key_block, double enough) const;
    Task key_block_task(std::int64_t place, std::int64_t batch, std::int64_t kv_head) const;
    Task row_task(std::int64_t batch, std::int64_t i) const;
    Task first_task(std::int64_t i) const;
};

}  // namespace hone
