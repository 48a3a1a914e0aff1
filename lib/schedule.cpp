// schedule.cpp: the arithmetic of the order of tasks.
#include "schedule.hpp"

#include <algorithm>
#include <limits>

namespace hone {
namespace {

// Multiply-adds that take as long as one element's way from memory, and as one score's way through the
// activation, or through its derivative.
constexpr double kRead = 8, kActivate = 16, kDifferentiate = 24;

// Rows of a finish task.
constexpr std::int64_t kFinishRows = 256;

}  // namespace

std::int64_t ForwardSchedule::pack_tasks() const {
    return packs ? (k_copies() + v_copies()) * copy_packs() : 0;
}

std::int64_t ForwardSchedule::head_joins() const {
    return chunks > 1 ? blocks_of(rows(), join_rows()) : 0;
}

std::int64_t ForwardSchedule::group_joins() const {
    return joint ? blocks_of(n.queries, kJoinQueries) : 0;
}

std::int64_t ForwardSchedule::tasks() const {
    return pack_tasks() + heads() * (block.row_blocks * chunks + head_joins()) +
           n.batch * n.query_heads / n.joint_heads * group_joins();
}

// Of each packed copy, of the chunks of each head, of each batch entry.
std::int64_t ForwardSchedule::counters() const {
    return k_copies() + v_copies() + heads() + n.batch;
}

Task ForwardSchedule::task(std::int64_t i) const {
    if (i < pack_tasks()) return pack_task(i);
    i -= pack_tasks();
    const std::int64_t attends = heads() * block.row_blocks * chunks, joins = heads() * head_joins();
    if (i < attends) return attend_task(i);
    i -= attends;
    return i < joins ? join_chunks_task(i) : join_heads_task(i - joins);
}

Task ForwardSchedule::pack_task(std::int64_t i) const {
    const std::int64_t copy = i / copy_packs(), part = i % copy_packs();
    const std::int64_t key_block = part / pack_parts(block), chunk = part % pack_parts(block);
    if (copy < k_copies()) return {Work::pack_keys, 0, copy, key_block, chunk, {}, copy};
    return {Work::pack_values, 0, copy - k_copies(), key_block, chunk, {}, copy};
}

// The last rows first: under a causal mask they see the most keys.
Task ForwardSchedule::attend_task(std::int64_t i) const {
    const std::int64_t chunk = i % chunks, at = i / chunks % heads(), row_block = i / chunks / heads();
    const std::int64_t batch = at / n.kv_heads, head = at % n.kv_heads, first = k_copies() + v_copies();
    Task task = {Work::attend, batch, head, block.row_blocks - 1 - row_block, chunk, {}, -1};
    if (packs) {
        task.waits[0] = {copy_of(batch, head, k_batches, k_heads), copy_packs()};
        task.waits[1] = {k_copies() + copy_of(batch, head, v_batches, v_heads), copy_packs()};
    }
    task.advances = chunks > 1 ? first + at : first + heads() + batch;
    return task;
}

Task ForwardSchedule::join_chunks_task(std::int64_t i) const {
    const std::int64_t at = i / head_joins(), first = k_copies() + v_copies();
    return {Work::join_chunks,
            at / n.kv_heads,
            at % n.kv_heads,
            i % head_joins() * join_rows(),
            0,
            {{first + at, block.row_blocks * chunks}},
            first + heads() + at / n.kv_heads};
}

Task ForwardSchedule::join_heads_task(std::int64_t i) const {
    const std::int64_t groups = n.query_heads / n.joint_heads, at = i / group_joins(), batch = at / groups;
    const std::int64_t before = chunks > 1 ? head_joins() : block.row_blocks;
    return {Work::join_heads,
            batch,
            at % groups,
            i % group_joins() * kJoinQueries,
            0,
            {{k_copies() + v_copies() + heads() + batch, n.kv_heads * before}},
            -1};
}

double ForwardSchedule::cost(const Task& task) const {
    const double key_dim = static_cast<double>(n.key_dim), value_dim = static_cast<double>(n.value_dim);
    const std::int64_t unpacked = n.keys - task.index * block.keys - task.chunk * kPackKeys;
    const auto packed = static_cast<double>(std::clamp<std::int64_t>(unpacked, 0, kPackKeys));
    switch (task.work) {
        case Work::pack_keys:
            return kRead * packed * key_dim;
        case Work::pack_values:
            return kRead * packed * value_dim;
        case Work::join_chunks:
            return kRead * static_cast<double>(smaller(join_rows(), rows() - task.index) * chunks) *
                   value_dim;
        case Work::join_heads:
            return kRead *
                   static_cast<double>(smaller(kJoinQueries, n.queries - task.index) * n.joint_heads) *
                   value_dim;
        default:
            break;
    }
    const std::int64_t first = task.index * block.rows, last = smaller(first + block.rows, rows());
    const std::int64_t from = task.chunk * chunk_blocks * block.keys;
    const std::int64_t end = smaller(n.keys, from + chunk_blocks * block.keys);
    double scores = static_cast<double>(kPanelRows * (end - from));
    for (std::int64_t row = first; row < last; row += kRaggedRows) {
        const std::int64_t rows = smaller(kRaggedRows, last - row);
        const std::int64_t seen = smaller(keys_seen(n, (row + rows - 1) / n.heads_per_kv), end) - from;
        scores += static_cast<double>(std::max<std::int64_t>(seen, 0) * rows);
    }
    const double reads = packs ? 0 : static_cast<double>(end - from);
    return scores * (key_dim + value_dim + kActivate) + kRead * reads * (key_dim + value_dim) +
           kRead * static_cast<double>(last - first) * (key_dim + value_dim);
}

double ForwardSchedule::total_cost(double enough) const {
    const std::int64_t attends = heads() > 0 ? block.row_blocks * chunks : 0;
    double sum = 0;
    for (std::int64_t i = 0; i < attends && sum <= enough; ++i)
        sum += static_cast<double>(heads()) * cost({Work::attend, 0, 0, i / chunks, i % chunks, {}, -1});
    return sum;
}

std::int64_t BackwardSchedule::row_tasks() const {
    return blocks_of(groups(), row_groups) * row_chunks;
}

RowBlocks BackwardSchedule::row_blocks(std::int64_t key_block) const {
    // Query i sees the keys before i + n.sees.
    const std::int64_t query = std::clamp<std::int64_t>(key_block * block.keys + 1 - n.sees, 0, n.queries);
    return {query * n.heads_per_kv / block.rows, block.row_blocks};
}

std::int64_t BackwardSchedule::key_blocks(std::int64_t row_block) const {
    return key_blocks_seen(n, block, row_block);
}

// All batch entries' key blocks at the first place (in_order), then all at the second, and so on: under a
// causal mask the later ones are shorter. The constants of an entry's rows, for which dout is read too, come
// a little before its first key block.
std::int64_t BackwardSchedule::tasks() const {
    return n.batch * (row_tasks() + n.kv_heads * block.key_blocks) + finish_tasks(dq) + finish_tasks(dk) +
           finish_tasks(dv);
}

// The key block at `place` in the order of tasks.
Task BackwardSchedule::key_block_task(std::int64_t place, std::int64_t batch, std::int64_t kv_head) const {
    const std::int64_t key_block = in_order(place, block.key_blocks);
    return {Work::key_block, batch, kv_head, key_block, 0, {{batch, row_tasks()}}, n.batch};
}

Task BackwardSchedule::row_task(std::int64_t batch, std::int64_t i) const {
    return {
        Work::row_constants, batch, i / row_chunks * row_groups, i % row_chunks * row_chunk, 0, {}, batch};
}

// The constants of `ahead` entries; then, entry by entry, the constants of one more and the key blocks of
// one.
Task BackwardSchedule::first_task(std::int64_t i) const {
    const std::int64_t rows = row_tasks(), both = rows + n.kv_heads, before = smaller(ahead, n.batch);
    if (i < before * rows) return row_task(i / rows, i % rows);
    i -= before * rows;
    if (i >= (n.batch - before) * both) {
        i -= (n.batch - before) * both;
        return key_block_task(0, n.batch - before + i / n.kv_heads, i % n.kv_heads);
    }
    const std::int64_t entry = i / both, step = i % both;
    return step < rows ? row_task(before + entry, step) : key_block_task(0, entry, step - rows);
}

Task BackwardSchedule::task(std::int64_t i) const {
    const std::int64_t heads = n.batch * n.kv_heads, rows = n.batch * row_tasks();
    if (block.key_blocks == 0 && i < rows) return row_task(i / row_tasks(), i % row_tasks());
    if (block.key_blocks > 0 && i < rows + heads) return first_task(i);
    i -= rows;
    if (i < heads * block.key_blocks)
        return key_block_task(i / heads, i % heads / n.kv_heads, i % n.kv_heads);
    i -= heads * block.key_blocks;
    const std::int64_t before = finish(i).gradient->copies > 1 ? heads * block.key_blocks : 0;
    return {Work::finish, 0, 0, i, 0, {{n.batch, before}}, -1};
}

std::int64_t BackwardSchedule::contributing(const Accumulator& gradient, std::int64_t head,
                                            std::int64_t row) const {
    if (gradient.side == Side::keys) return gradient.sums_rows ? block.key_blocks : row < n.keys ? 1 : 0;
    if (block.row_blocks == 0) return 0;
    if (gradient.sums_rows) return key_blocks(block.row_blocks - 1);
    const std::int64_t in_group = gradient.sums_heads ? 0 : head % n.heads_per_kv;
    return key_blocks((row * n.heads_per_kv + in_group) / block.rows);
}

BackwardSchedule::Range BackwardSchedule::unfinished(const Accumulator& gradient) const {
    if (!gradient.wanted || gradient.batches * gradient.heads == 0) return {0, 0};
    if (gradient.copies > 1 || n.batch * n.query_heads * n.queries == 0 || n.keys == 0)
        return {0, gradient.rows};
    if (gradient.sums_rows) return {0, 0};
    if (gradient.side == Side::keys) return {n.keys, gradient.rows};
    return {0, smaller(blocks_of(row_blocks(0).first * block.rows, n.heads_per_kv), gradient.rows)};
}

std::int64_t BackwardSchedule::finish_tasks(const Accumulator& gradient) const {
    const Range range = unfinished(gradient);
    return gradient.batches * gradient.heads * blocks_of(range.last - range.first, kFinishRows);
}

BackwardSchedule::Finish BackwardSchedule::finish(std::int64_t index) const {
    const Accumulator* gradient = &dq;
    for (const Accumulator* next : {&dk, &dv}) {
        if (index < finish_tasks(*gradient)) break;
        index -= finish_tasks(*gradient);
        gradient = next;
    }
    const Range range = unfinished(*gradient);
    const std::int64_t parts = blocks_of(range.last - range.first, kFinishRows), head = index / parts;
    const std::int64_t first = range.first + index % parts * kFinishRows;
    return {gradient, head / gradient->heads, head % gradient->heads, first,
            smaller(first + kFinishRows, range.last)};
}

double BackwardSchedule::step_cost(std::int64_t key_block, std::int64_t row_block) const {
    const std::int64_t first = row_block * block.rows;
    const std::int64_t last = smaller(first + block.rows, n.queries * n.heads_per_kv);
    const std::int64_t from = key_block * block.keys;
    const std::int64_t seen = smaller(keys_seen(n, (last - 1) / n.heads_per_kv) - from, block.keys);
    const double scores = static_cast<double>((last - first) * std::max<std::int64_t>(seen, 0));
    const double key_dim = static_cast<double>(n.key_dim), value_dim = static_cast<double>(n.value_dim);
    const double products =
        key_dim * (1 + dq.wanted + dk.wanted) + value_dim * (1 + dv.wanted) + kDifferentiate;
    return scores * products + kRead * static_cast<double>(last - first) * (key_dim + value_dim);
}

double BackwardSchedule::add_cost(const Accumulator& gradient) const {
    if (!gradient.wanted) return 0;
    const std::int64_t rows = gradient.sums_rows               ? 1
                              : gradient.side == Side::queries ? block.rows
                                                               : block.keys;
    return kRead * static_cast<double>(rows * gradient.features);
}

double BackwardSchedule::key_block_cost(std::int64_t key_block, double enough) const {
    const std::int64_t keys = smaller(block.keys, n.keys - key_block * block.keys);
    double sum = kRead * static_cast<double>(keys * (n.key_dim + n.value_dim)) + add_cost(dk) + add_cost(dv);
    if (dq.sums_rows) sum += add_cost(dq);
    const RowBlocks rows = row_blocks(key_block);
    for (std::int64_t r = rows.first; r < rows.end && sum <= enough; ++r)
        sum += step_cost(key_block, r) + (dq.sums_rows ? 0 : add_cost(dq));
    return sum;
}

double BackwardSchedule::cost(const Task& task) const {
    if (task.work == Work::row_constants) {
        const std::int64_t queries = smaller(row_chunk, n.queries - task.index);
        const std::int64_t heads = smaller(row_groups, groups() - task.head) * n.joint_heads;
        return kRead * static_cast<double>(queries * heads) * static_cast<double>(2 * n.value_dim);
    }
    if (task.work == Work::finish) {
        const Finish rows = finish(task.index);
        return kRead * static_cast<double>((rows.last - rows.first) * rows.gradient->copies *
                                           rows.gradient->features);
    }
    return key_block_cost(task.index, std::numeric_limits<double>::infinity());
}

double BackwardSchedule::total_cost(double enough) const {
    const auto heads = static_cast<double>(n.batch * n.kv_heads);
    double sum = 0;
    for (std::int64_t key_block = 0; key_block < block.key_blocks && sum <= enough; ++key_block)
        sum += heads * key_block_cost(key_block, enough / heads);
    return sum;
}

}  // namespace hone
