// accumulate.cpp: the arithmetic of turns and copies.
#include "accumulate.hpp"

#include <algorithm>

namespace hone {
namespace {

std::int64_t copies_for(const Accumulator& a, const Extents& n) {
    const std::int64_t terms = contributions(a, a.key_blocks);
    if (terms <= 1 || copy_size(a) == 0) return 1;
    if (a.side == Side::queries && !a.sums.rows && a.row_blocks >= kEnoughRowBlocks) return 1;
    // All copies together have at most the size of k.
    const std::int64_t affordable = n.batch * n.kv_heads * n.keys / (a.batches * a.heads * a.rows);
    return std::clamp<std::int64_t>(std::min(affordable, terms), 1, kMostCopies);
}

}  // namespace

std::int64_t contributions(const Accumulator& a, Range key_blocks) {
    if (empty(key_blocks)) return 0;
    const bool sums_keys = a.side == Side::queries || a.sums.rows;
    return (a.sums.batch ? a.batch : 1) * (a.sums.heads ? a.kv_heads : 1) *
           (sums_keys ? count(key_blocks) : 1);
}

Turn turn_of(const Accumulator& a, const KeyBlockTask& task, std::int64_t row_block, Range key_blocks) {
    std::int64_t cell = 0, number = 0;
    const auto axis = [&](bool summed, std::int64_t extent, std::int64_t index) {
        std::int64_t& part = summed ? number : cell;
        part = part * extent + index;
    };
    axis(a.side == Side::queries || a.sums.rows, count(a.key_blocks), place_of(task.key_block, key_blocks));
    axis(a.sums.batch, a.batch, task.batch);
    axis(a.sums.heads, a.kv_heads, task.kv_head);
    if (a.side == Side::queries && !a.sums.rows) axis(false, a.row_blocks, row_block);
    return {cell * a.copies + number % a.copies, number % a.copies, number / a.copies};
}

std::int64_t counter_count(const Accumulator& a) {
    if (!a.wanted || contributions(a, a.key_blocks) <= 1) return 0;
    const std::int64_t cells_of_rows = a.sums.rows               ? 1
                                       : a.side == Side::queries ? a.row_blocks
                                                                 : count(a.key_blocks);
    return (a.sums.batch ? 1 : a.batch) * (a.sums.heads ? 1 : a.kv_heads) * cells_of_rows * a.copies;
}

std::int64_t copy_size(const Accumulator& a) {
    return a.batches * a.heads * a.rows * a.features;
}

Accumulator accumulator_for(Side side, const hone_tensor& gradient, std::int64_t features,
                            const Shape& shape) {
    const Extents& n = shape.n;
    const bool queries = side == Side::queries;
    Accumulator a = {};
    a.wanted = gradient.data != nullptr;
    a.side = side;
    a.sums = broadcast_of(hone_const(gradient));
    a.key_blocks = shape.block.key_blocks, a.row_blocks = shape.block.row_blocks;
    a.batch = n.batch, a.kv_heads = n.kv_heads;
    a.batches = distinct_along(a.sums.batch, n.batch);
    a.heads = distinct_along(a.sums.heads, queries ? n.query_heads : n.kv_heads);
    a.rows = distinct_along(a.sums.rows, queries ? n.queries : n.keys);
    a.features = features;
    a.copies = copies_for(a, n);
    a.compensated = contributions(a, a.key_blocks) > kPlainTerms * a.copies;
    return a;
}

bool sums_group(const Accumulator& dq, const Extents& n) {
    return dq.sums.heads && !dq.sums.rows && n.heads_per_kv > 1;
}

std::int64_t query_sums_size(const Accumulator& dq, const Shape& shape) {
    const Extents& n = shape.n;
    if (!dq.wanted) return 0;
    if (dq.sums.rows) return 2 * (dq.sums.heads ? 1 : n.heads_per_kv) * shape.block.key_width;
    return sums_group(dq, n) ? (shape.block.rows / n.heads_per_kv + 4) * shape.block.key_width : 0;
}

std::int64_t key_sums_size(const Accumulator& gradient, const Blocks& block, std::int64_t width) {
    if (!gradient.wanted) return 0;
    const std::int64_t folded = needs_compensation(block.row_blocks) ? block.keys : 0;
    return 2 * (folded + (gradient.sums.rows ? 1 : 0)) * width;
}

}  // namespace hone
