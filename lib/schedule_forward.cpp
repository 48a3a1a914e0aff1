// schedule_forward.cpp: the arithmetic of the order of forward's tasks.
#include <algorithm>

#include "schedule.hpp"

namespace hone {
namespace {

// Multiply-adds that take as long as taking one score through the activation.
constexpr double kActivate = 16;

}  // namespace

std::int64_t ForwardSchedule::distinct() const {
    return count(plan_.distinct_k) + count(plan_.distinct_v);
}

std::int64_t ForwardSchedule::slices() const {
    return count(plan_.block.key_blocks) * slices_of_block(plan_.block);
}

std::int64_t ForwardSchedule::pack_tasks() const {
    return plan_.reading == Reading::shared ? distinct() * slices() : 0;
}

std::int64_t ForwardSchedule::attend_tasks() const {
    return plan_.block.row_blocks * plan_.splits;
}

std::int64_t ForwardSchedule::join_rows() const {
    return std::max<std::int64_t>(kJoinPartials / plan_.splits, 1);
}

std::int64_t ForwardSchedule::head_joins() const {
    return plan_.splits > 1 ? blocks_of(row_count(plan_.n), join_rows()) : 0;
}

std::int64_t ForwardSchedule::group_joins() const {
    return plan_.joint ? blocks_of(plan_.n.queries, kJoinQueries) : 0;
}

std::int64_t ForwardSchedule::tasks() const {
    return pack_tasks() + heads() * (attend_tasks() + head_joins()) +
           plan_.n.batch * (group_count(plan_.n) * group_joins() + plan_.n.query_heads * clear_tasks());
}

// Of each distinct head that is packed, of the splits of each head, of each batch entry.
std::int64_t ForwardSchedule::counters() const {
    return distinct() + heads() + plan_.n.batch;
}

Task ForwardSchedule::task(std::int64_t i) const {
    if (i < pack_tasks()) return pack_task(i);
    i -= pack_tasks();
    const std::int64_t attends = heads() * attend_tasks(), joins = heads() * head_joins();
    if (i < attends) return attend_task(i);
    i -= attends;
    if (i < joins) return join_splits_task(i);
    i -= joins;
    const std::int64_t groups = plan_.n.batch * group_count(plan_.n) * group_joins();
    return i < groups ? join_heads_task(i) : clear_task(i - groups);
}

Task ForwardSchedule::pack_task(std::int64_t i) const {
    const std::int64_t head = i / slices(), slice = i % slices(), k_heads = count(plan_.distinct_k);
    if (head < k_heads) return {Work::pack_keys, 0, head, slice, 0, {}, head};
    return {Work::pack_values, 0, head - k_heads, slice, 0, {}, head};
}

// The longest tasks first: from the last block of rows to the first, as under a causal mask.
Task ForwardSchedule::attend_task(std::int64_t i) const {
    const std::int64_t split = i % plan_.splits, at = i / plan_.splits % heads();
    const std::int64_t row_block = plan_.block.row_blocks - 1 - i / plan_.splits / heads();
    const std::int64_t batch = at / plan_.n.kv_heads, head = at % plan_.n.kv_heads;
    Task task = {Work::attend, batch, head, row_block, split, {}, -1};
    if (plan_.reading == Reading::shared) {
        task.waits[0] = {index_of(plan_.distinct_k, batch, head), slices()};
        task.waits[1] = {count(plan_.distinct_k) + index_of(plan_.distinct_v, batch, head), slices()};
    }
    task.advances = plan_.splits > 1 ? distinct() + at : distinct() + heads() + batch;
    return task;
}

Task ForwardSchedule::join_splits_task(std::int64_t i) const {
    const std::int64_t at = i / head_joins(), batch = at / plan_.n.kv_heads;
    return {Work::join_splits,
            batch,
            at % plan_.n.kv_heads,
            i % head_joins() * join_rows(),
            0,
            {{distinct() + at, attend_tasks()}},
            distinct() + heads() + batch};
}

Task ForwardSchedule::join_heads_task(std::int64_t i) const {
    const std::int64_t at = i / group_joins(), batch = at / group_count(plan_.n);
    const std::int64_t before = plan_.splits > 1 ? head_joins() : plan_.block.row_blocks;
    return {Work::join_heads,
            batch,
            at % group_count(plan_.n),
            i % group_joins() * kJoinQueries,
            0,
            {{distinct() + heads() + batch, plan_.n.kv_heads * before}},
            -1};
}

std::int64_t ForwardSchedule::clear_tasks() const {
    return blocks_of(plan_.padding, kFinishRows);
}

Task ForwardSchedule::clear_task(std::int64_t i) const {
    const std::int64_t at = i / clear_tasks();
    const std::int64_t query = plan_.n.queries + i % clear_tasks() * kFinishRows;
    return {Work::clear, at / plan_.n.query_heads, at % plan_.n.query_heads, query, 0, {}, -1};
}

Range ForwardSchedule::cleared_queries(const Task& task) const {
    return {task.index, smaller(task.index + kFinishRows, plan_.n.queries + plan_.padding)};
}

Range ForwardSchedule::joined_rows(const Task& task) const {
    return {task.index, smaller(task.index + join_rows(), row_count(plan_.n))};
}

Range ForwardSchedule::joined_queries(const Task& task) const {
    return {task.index, smaller(task.index + kJoinQueries, plan_.n.queries)};
}

double ForwardSchedule::cost(const Task& task) const {
    const Extents& n = plan_.n;
    const double key_dim = static_cast<double>(n.key_dim), value_dim = static_cast<double>(n.value_dim);
    const auto slice_keys = [&] { return static_cast<double>(count(slice_at(plan_, task.index).keys)); };
    switch (task.work) {
        case Work::pack_keys:
            return kRead * slice_keys() * key_dim;
        case Work::pack_values:
            return kRead * slice_keys() * value_dim;
        case Work::join_splits:
            return kRead * static_cast<double>(count(joined_rows(task)) * plan_.splits) * value_dim;
        case Work::join_heads:
            return kRead * static_cast<double>(count(joined_queries(task)) * n.group_heads) * value_dim;
        case Work::clear:
            return kRead * static_cast<double>(count(cleared_queries(task))) * value_dim;
        default:
            return attend_cost(task);
    }
}

double ForwardSchedule::attend_cost(const Task& task) const {
    const Extents& n = plan_.n;
    const double dims = static_cast<double>(n.key_dim + n.value_dim);
    const Range rows = rows_of_block(plan_, task.index);
    const std::int64_t first = plan_.block.key_blocks.begin + task.split * plan_.split_blocks;
    const Range keys =
        common(plan_.keys, {first * plan_.block.keys, (first + plan_.split_blocks) * plan_.block.keys});
    double scores = static_cast<double>(kPanelRows * count(keys));
    for (std::int64_t row = rows.begin; row < rows.end; row += kEdgeRows) {
        const Range some = {row, smaller(row + kEdgeRows, rows.end)};
        const Range seen = common(keys_seen(plan_.visibility, queries_of(n, some)), keys);
        scores += static_cast<double>(count(seen) * count(some));
    }
    const double reads = plan_.reading == Reading::shared ? 0 : static_cast<double>(count(keys));
    return scores * (dims + kActivate) + kRead * reads * dims +
           kRead * static_cast<double>(count(rows)) * dims;
}

double ForwardSchedule::total_cost(double enough) const {
    const std::int64_t attends = heads() > 0 ? attend_tasks() : 0;
    double sum = 0;
    for (std::int64_t i = 0; i < attends && sum <= enough; ++i)
        sum += static_cast<double>(heads()) *
               attend_cost({Work::attend, 0, 0, i / plan_.splits, i % plan_.splits, {}, -1});
    return sum;
}

}  // namespace hone
