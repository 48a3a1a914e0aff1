// schedule_backward.cpp: the arithmetic of the order of backward's tasks.
#include <algorithm>
#include <limits>

#include "schedule.hpp"

namespace hone {
namespace {

// Multiply-adds that take as long as taking one score through the derivative of the activation.
constexpr double kDifferentiate = 24;

}  // namespace

std::int64_t BackwardSchedule::row_tasks() const {
    return blocks_of(group_count(plan_.n), plan_.group_block) * plan_.query_blocks;
}

// All batch entries' key blocks at the first place (place_of), then all at the second, and so on: under a
// causal mask the later ones are shorter. The constants of an entry's rows, for which dout is read too, come
// a little before its first key block.
std::int64_t BackwardSchedule::tasks() const {
    return plan_.n.batch * (row_tasks() + plan_.n.kv_heads * count(plan_.block.key_blocks)) +
           finish_tasks(plan_.dq) + finish_tasks(plan_.dk) + finish_tasks(plan_.dv);
}

// The key block at `place` in the order of tasks.
Task BackwardSchedule::key_block_task(std::int64_t place, std::int64_t batch, std::int64_t kv_head) const {
    const std::int64_t key_block = key_block_at(place, plan_.block.key_blocks);
    return {Work::key_block, batch, kv_head, key_block, 0, {{batch, row_tasks()}}, plan_.n.batch};
}

Task BackwardSchedule::row_task(std::int64_t batch, std::int64_t i) const {
    const std::int64_t group = i / plan_.query_blocks * plan_.group_block;
    const std::int64_t query = i % plan_.query_blocks * plan_.query_block;
    return {Work::row_constants, batch, group, query, 0, {}, batch};
}

// The constants of `ahead` entries; then, entry by entry, the constants of one more and the key blocks of
// one.
Task BackwardSchedule::first_task(std::int64_t i) const {
    const std::int64_t rows = row_tasks(), kv_heads = plan_.n.kv_heads, both = rows + kv_heads;
    const std::int64_t before = smaller(plan_.ahead, plan_.n.batch);
    if (i < before * rows) return row_task(i / rows, i % rows);
    i -= before * rows;
    if (i >= (plan_.n.batch - before) * both) {
        i -= (plan_.n.batch - before) * both;
        return key_block_task(0, plan_.n.batch - before + i / kv_heads, i % kv_heads);
    }
    const std::int64_t entry = i / both, step = i % both;
    return step < rows ? row_task(before + entry, step) : key_block_task(0, entry, step - rows);
}

Task BackwardSchedule::task(std::int64_t i) const {
    const std::int64_t kv_heads = plan_.n.kv_heads, heads = plan_.n.batch * kv_heads;
    const std::int64_t rows = plan_.n.batch * row_tasks(), key_blocks = count(plan_.block.key_blocks);
    if (key_blocks == 0 && i < rows) return row_task(i / row_tasks(), i % row_tasks());
    if (key_blocks > 0 && i < rows + heads) return first_task(i);
    i -= rows;
    if (i < heads * key_blocks) return key_block_task(i / heads, i % heads / kv_heads, i % kv_heads);
    i -= heads * key_blocks;
    const std::int64_t before = finish(i).gradient->copies > 1 ? heads * key_blocks : 0;
    return {Work::finish, 0, 0, i, 0, {{plan_.n.batch, before}}, -1};
}

Range BackwardSchedule::groups(const Task& task) const {
    return {task.head, smaller(task.head + plan_.group_block, group_count(plan_.n))};
}

Range BackwardSchedule::queries(const Task& task) const {
    return {task.index, smaller(task.index + plan_.query_block, plan_.n.queries)};
}

Range BackwardSchedule::contributing(const Accumulator& gradient, std::int64_t head, std::int64_t row) const {
    const Blocks& block = plan_.block;
    if (gradient.sums.rows) return block.key_blocks;
    if (gradient.side == Side::keys) {
        const std::int64_t key_block = row / block.keys;
        return contains(block.key_blocks, key_block) && row < plan_.keys.end ? Range{key_block, key_block + 1}
                                                                             : Range{0, 0};
    }
    if (row >= gradient.rows) return {0, 0};
    const std::int64_t in_group = gradient.sums.heads ? 0 : head % plan_.n.heads_per_kv;
    return key_blocks_seen(plan_, (row * plan_.n.heads_per_kv + in_group) / block.rows);
}

BackwardSchedule::Unfinished BackwardSchedule::unfinished(const Accumulator& gradient) const {
    const std::int64_t rows = gradient.rows + gradient.padding;
    if (!gradient.wanted || gradient.batches * gradient.heads == 0) return {0, 0, 0};
    if (gradient.copies > 1 || empty(plan_.block.key_blocks)) return {rows, rows, rows};
    if (gradient.sums.rows) return {0, rows, rows};
    if (gradient.side == Side::keys)
        return {plan_.block.key_blocks.begin * plan_.block.keys, plan_.keys.end, rows};
    const std::int64_t heads = plan_.n.heads_per_kv, block = plan_.block.rows;
    const Range blocks = row_blocks_seeing(plan_, plan_.keys);
    return {smaller(blocks_of(blocks.begin * block, heads), gradient.rows),
            smaller(blocks.end * block / heads, gradient.rows), rows};
}

std::int64_t BackwardSchedule::finish_tasks(const Accumulator& gradient) const {
    const auto [before, after, rows] = unfinished(gradient);
    return gradient.batches * gradient.heads *
           (blocks_of(before, kFinishRows) + blocks_of(rows - after, kFinishRows));
}

BackwardSchedule::Finish BackwardSchedule::finish(std::int64_t index) const {
    const Accumulator* gradient = &plan_.dq;
    for (const Accumulator* next : {&plan_.dk, &plan_.dv}) {
        if (index < finish_tasks(*gradient)) break;
        index -= finish_tasks(*gradient);
        gradient = next;
    }
    const auto [before, after, rows] = unfinished(*gradient);
    const std::int64_t early = blocks_of(before, kFinishRows);
    const std::int64_t parts = early + blocks_of(rows - after, kFinishRows);
    const std::int64_t head = index / parts, part = index % parts;
    const std::int64_t first = part < early ? part * kFinishRows : after + (part - early) * kFinishRows;
    return {gradient,
            head / gradient->heads,
            head % gradient->heads,
            {first, smaller(first + kFinishRows, part < early ? before : rows)}};
}

double BackwardSchedule::step_cost(std::int64_t key_block, std::int64_t row_block) const {
    const Extents& n = plan_.n;
    const Range rows = rows_of_block(plan_, row_block);
    const Range seen =
        common(keys_seen(plan_.visibility, queries_of(n, rows)), keys_of_block(plan_, key_block));
    const double scores = static_cast<double>(count(rows) * count(seen));
    const double key_dim = static_cast<double>(n.key_dim), value_dim = static_cast<double>(n.value_dim);
    const double products = key_dim * (1 + plan_.dq.wanted + plan_.dk.wanted) +
                            value_dim * (1 + plan_.dv.wanted) + kDifferentiate;
    return scores * products + kRead * static_cast<double>(count(rows)) * (key_dim + value_dim);
}

double BackwardSchedule::add_cost(const Accumulator& gradient) const {
    if (!gradient.wanted) return 0;
    const std::int64_t rows = gradient.sums.rows               ? 1
                              : gradient.side == Side::queries ? plan_.block.rows
                                                               : plan_.block.keys;
    return kRead * static_cast<double>(rows * gradient.features);
}

double BackwardSchedule::key_block_cost(std::int64_t key_block, double enough) const {
    const std::int64_t keys = count(keys_of_block(plan_, key_block));
    const Accumulator& dq = plan_.dq;
    double sum = kRead * static_cast<double>(keys * (plan_.n.key_dim + plan_.n.value_dim)) +
                 add_cost(plan_.dk) + add_cost(plan_.dv);
    if (dq.sums.rows) sum += add_cost(dq);
    const Range blocks = row_blocks_seeing(plan_, key_block);
    for (std::int64_t r = blocks.begin; r < blocks.end && sum <= enough; ++r)
        sum += step_cost(key_block, r) + (dq.sums.rows ? 0 : add_cost(dq));
    return sum;
}

double BackwardSchedule::cost(const Task& task) const {
    if (task.work == Work::row_constants) {
        const std::int64_t heads = count(groups(task)) * plan_.n.group_heads;
        return kRead * static_cast<double>(count(queries(task)) * heads) *
               static_cast<double>(2 * plan_.n.value_dim);
    }
    if (task.work == Work::finish) {
        const Finish rows = finish(task.index);
        return kRead *
               static_cast<double>(count(rows.rows) * rows.gradient->copies * rows.gradient->features);
    }
    return key_block_cost(task.index, std::numeric_limits<double>::infinity());
}

double BackwardSchedule::total_cost(double enough) const {
    const auto heads = static_cast<double>(plan_.n.batch * plan_.n.kv_heads);
    const Range blocks = plan_.block.key_blocks;
    double sum = 0;
    for (std::int64_t kb = blocks.begin; kb < blocks.end && sum <= enough; ++kb)
        sum += heads * key_block_cost(kb, enough / heads);
    return sum;
}

}  // namespace hone
