// plan.cpp: block sizes, each with its reason, and the layout of the workspace.
#include "plan.hpp"

#include <algorithm>
#include <cmath>

#include "layout.hpp"

namespace hone {
namespace {

// Keys of a block: k and v of it stay in L2 beside the scores. On Zen 5 256 beat 128 by 3 to 5% in forward
// with AVX-512 (by 2% at D = 32 with AVX2), and by 2 to 4% in backward, where all of a block is 0.9 MiB at D
// = 64.
constexpr std::int64_t kKeys = 256;
// Rows of a block, 192 in float32: each panel of k and v is read once for all of them. Forward at B1 H8
// N2048, AVX2 on Zen 4, D = 64: 60% of peak with 48 rows, 66% with 96, 70 to 75% with 192, no more with 288
// or 384.
constexpr std::int64_t kForwardRowBytes = 768;
// Up to so many rows of one kv head k and v are read where they lie.
constexpr std::int64_t kFewRows = 16;
constexpr std::int64_t kInPlaceKeys = 512;
// Where one block holds all rows of a kv head, its keys are cut into chunks of so many, each a task.
constexpr std::int64_t kChunkKeys = 1024;
static_assert(kChunkKeys % kKeys == 0 && kChunkKeys % kInPlaceKeys == 0);
// Backward holds a second block of scores, and both sides' panels.
constexpr std::int64_t kBackwardRows = 96;
static_assert(kForwardRowBytes / 4 <= kMaxRows && kBackwardRows <= kMaxRows);
// Queries whose constants one call computes.
constexpr std::int64_t kRowChunk = 256;
// The least multiply-adds for each thread, some 40 to 60 microseconds' worth.
constexpr double kThreadCost = 2e6;

// Hands out aligned regions, one after the other.
class Layout {
  public:
    std::size_t take(std::int64_t count, std::size_t element) {
        const std::size_t at = bytes_;
        bytes_ += (static_cast<std::size_t>(count) * element + kAlignment - 1) / kAlignment * kAlignment;
        return at;
    }
    std::size_t bytes() const { return bytes_; }

  private:
    std::size_t bytes_ = 0;
};

Extents extents_of(const hone_problem& p, const hone_activation_info& info) {
    Extents n = {};
    n.batch = p.batch, n.query_heads = p.query_heads, n.kv_heads = p.kv_heads;
    n.queries = p.queries, n.keys = n.all_keys = p.keys;
    n.key_dim = p.key_dim, n.value_dim = p.value_dim;
    n.heads_per_kv = p.kv_heads > 0 ? p.query_heads / p.kv_heads : 0;
    n.joint_heads = joint_heads(p, info);
    n.sees = p.keys;
    if (p.mask == HONE_MASK_CAUSAL_TOP_LEFT) n.sees = 1;
    if (p.mask == HONE_MASK_CAUSAL_BOTTOM_RIGHT) n.sees = p.keys - p.queries + 1;
    const bool rows = p.batch > 0 && p.query_heads > 0 && p.queries > 0;
    n.keys = rows ? keys_seen(n, p.queries - 1) : 0;
    return n;
}

// Whether k and v are read in place.
bool few_rows(const Extents& n) {
    return n.queries * n.heads_per_kv <= kFewRows;
}

// Where rows are few, k and v are read whole lines at a time, while a sum for each row stays in L1: an odd
// number of cache lines apart, or they would share few sets of it with each other and with the lines.
std::int64_t width_for(std::int64_t features, bool few_rows, const Machine& machine, std::size_t element) {
    const std::int64_t width = round_up(features, machine.panel);
    const std::int64_t cache_line = static_cast<std::int64_t>(64 / element);
    return few_rows ? (blocks_of(width, cache_line) | 1) * cache_line : width;
}

Blocks blocks_for(const Extents& n, std::int64_t rows, std::int64_t keys, const Machine& machine,
                  std::size_t element) {
    const std::int64_t all_rows = n.queries * n.heads_per_kv, panel = machine.panel;
    Blocks b;
    b.rows = std::max<std::int64_t>(std::min(rows, all_rows), 1);
    b.keys = std::min(keys, round_up(std::max<std::int64_t>(n.keys, 1), panel));
    b.row_blocks = blocks_of(all_rows, b.rows);
    b.key_blocks = blocks_of(n.keys, b.keys);
    // One cache line more than the keys: rows a power of two apart would share few sets of L1.
    b.score_stride = b.keys + static_cast<std::int64_t>(64 / element);
    b.key_width = width_for(n.key_dim, few_rows(n), machine, element);
    b.value_width = width_for(n.value_dim, few_rows(n), machine, element);
    return b;
}

// The threads that a schedule's work is worth: one that starts and ends costs some microseconds, and many
// where other programs hold the cores.
template <class Schedule>
int worthwhile_threads(int threads, const Schedule& schedule) {
    const double cost = schedule.total_cost(kThreadCost * threads);
    return static_cast<int>(std::clamp(cost / kThreadCost, 1.0, static_cast<double>(threads)));
}

// No more than are needed to be as fast: a task each, and where tasks are equal, the same number of rounds.
int needed_threads(const ForwardSchedule& s, int threads) {
    const std::int64_t attends = s.n.batch * s.n.kv_heads * s.block.row_blocks * s.chunks;
    const std::int64_t most = std::clamp<std::int64_t>(s.packs ? s.tasks() : attends, 1, threads);
    if (keys_seen(s.n, 0) < s.n.keys || attends < most) return static_cast<int>(most);
    return static_cast<int>(blocks_of(attends, blocks_of(attends, most)));
}

// When the last of `threads` ends, in units of the longest task, where they take tasks in the order of their
// lengths, which fall evenly from 1 to `least`. Twice as many tasks as threads pair up to equal sums, a long
// one with a short one; what such rounds leave is added on top.
double time_of_falling(double tasks, double threads, double least) {
    const auto length = [&](double from_end) { return least + (1 - least) * from_end / tasks; };
    const double rest = tasks - std::floor(tasks / (2 * threads)) * 2 * threads;
    const double even = (tasks * (least + 1) - rest * (least + length(rest))) / 2 / threads;
    if (rest == 0) return even;
    return even + std::max(length(rest), rest > threads ? 2 * length(rest - threads) : 0);
}

// The same where they take `few` tasks of length `least` and then `many` of length 1. A thread that has taken
// fewer of the short ones goes on first.
double time_of_equal(double few, double least, double many, double threads) {
    const double taken = std::floor(few / threads), more = few - taken * threads;
    const double rounds = std::floor(many / threads), rest = many - rounds * threads;
    const bool last_took_more = rest > 0 ? rest > threads - more : more > 0;
    return rounds + (rest > 0 ? 1 : 0) + least * (taken + (last_took_more ? 1 : 0));
}

// Rows of a block of forward: the most with which the last thread is likely to end first. (Where k and v are
// packed, a row's result is the same in a block of any size.)
std::int64_t balanced_rows(const Extents& n, std::int64_t most, const Machine& machine) {
    const std::int64_t all = n.queries * n.heads_per_kv, all_seen = keys_seen(n, 0);
    if (machine.threads == 1 || all == 0 || n.keys == 0) return most;
    const auto heads = static_cast<double>(n.batch * n.kv_heads);
    const auto time_with = [&](std::int64_t rows) {
        const auto longest = static_cast<double>(rows + kPanelRows);
        const auto whole = static_cast<double>(blocks_of(all, rows) - 1);  // blocks of a head but the last
        if (all_seen < n.keys)
            return longest * time_of_falling(heads * (whole + 1), machine.threads,
                                             static_cast<double>(all_seen) / static_cast<double>(n.keys));
        const auto shortest = static_cast<double>(all + kPanelRows) - whole * static_cast<double>(rows);
        return longest * time_of_equal(heads, shortest / longest, heads * whole, machine.threads);
    };
    std::int64_t best = most;
    double soonest = time_with(most);
    for (std::int64_t rows = most - machine.tile_rows; rows > 0; rows -= machine.tile_rows) {
        const double time = time_with(rows);
        if (time < soonest) soonest = time, best = rows;
    }
    return best;
}

ForwardSchedule schedule_for(const hone_problem& p, const hone_forward_args& a,
                             const hone_activation_info& info, Machine machine) {
    const auto element = static_cast<std::size_t>(element_size(p));
    ForwardSchedule s = {};
    const Extents& n = s.n = extents_of(p, info);
    s.joint = info.joint;
    const auto distinct = [](std::int64_t stride, std::int64_t extent) {
        return stride == 0 ? smaller(extent, 1) : extent;
    };
    s.k_batches = distinct(a.k.batch_stride, n.batch);
    s.k_heads = distinct(a.k.head_stride, n.kv_heads);
    s.v_batches = distinct(a.v.batch_stride, n.batch);
    s.v_heads = distinct(a.v.head_stride, n.kv_heads);
    const std::int64_t rows = n.queries * n.heads_per_kv;
    const std::int64_t most_rows = kForwardRowBytes / static_cast<std::int64_t>(element);
    const bool split = rows <= most_rows && n.keys > kChunkKeys, in_place = few_rows(n);
    s.block = blocks_for(n, most_rows, in_place ? kInPlaceKeys : kKeys, machine, element);
    s.chunk_blocks = split ? kChunkKeys / s.block.keys : s.block.key_blocks;
    s.chunks = split ? blocks_of(s.block.key_blocks, s.chunk_blocks) : 1;
    machine.threads = worthwhile_threads(machine.threads, s);
    // Few rows stay in one block: how many they are decides how they are multiplied, and so the bits.
    if (!split && !in_place) {
        s.block.rows = std::max<std::int64_t>(smaller(rows, balanced_rows(n, most_rows, machine)), 1);
        s.block.row_blocks = blocks_of(rows, s.block.rows);
    }
    const bool distinct_kv =
        std::min(s.k_batches, s.v_batches) == n.batch && std::min(s.k_heads, s.v_heads) == n.kv_heads;
    s.packs = !in_place && !(s.block.row_blocks == 1 && distinct_kv);
    return s;
}

}  // namespace

ForwardPlan plan_forward(const hone_problem& p, const hone_forward_args& a, const hone_activation_info& info,
                         const Machine& machine) {
    const auto element = static_cast<std::size_t>(element_size(p));
    ForwardPlan plan = {};
    const ForwardSchedule& s = plan.schedule = schedule_for(p, a, info, machine);
    const Extents& n = s.n;
    const Blocks& block = s.block;
    const std::int64_t heads = n.batch * n.kv_heads, rows = n.queries * n.heads_per_kv;
    const bool in_place = few_rows(n), owns = !in_place && !s.packs;
    plan.reading = in_place ? Reading::in_place : owns ? Reading::own : Reading::shared;
    plan.threads = needed_threads(s, worthwhile_threads(machine.threads, s));

    Layout layout;
    const std::int64_t padded_keys = s.packs ? block.key_blocks * block.keys : 0;
    plan.packed_k = layout.take(s.k_batches * s.k_heads * padded_keys * n.key_dim, element);
    plan.packed_v = layout.take(s.v_batches * s.v_heads * padded_keys * block.value_width, element);
    plan.v_odd = layout.take(s.packs ? s.v_batches * s.v_heads * block.key_blocks * pack_parts(block) : 0, 1);
    plan.lse = layout.take(info.joint ? n.batch * n.query_heads * n.queries : 0, element);
    const std::int64_t parts = s.chunks > 1 ? heads * s.chunks * rows : 0;
    plan.part_maximum = layout.take(parts, element);
    plan.part_sum = layout.take(parts, sizeof(double));
    plan.part_o = layout.take(parts * block.value_width, element);
    plan.counters = layout.take(plan.threads > 1 ? s.counters() : 0, sizeof(Counter));

    Layout scratch;
    const auto region = [&](std::int64_t count) {
        return static_cast<std::int64_t>(scratch.take(count, element) / element);
    };
    plan.scratch.scores = region(block.rows * block.score_stride);
    plan.scratch.output = region(s.chunks > 1 ? 0 : block.rows * block.value_width);
    const bool joins = needs_parts(s.chunk_blocks);
    plan.scratch.total = region(joins ? block.rows * block.value_width : 0);
    plan.scratch.lost = region(joins ? block.rows * block.value_width : s.chunks > 1 ? block.value_width : 0);
    plan.scratch.packed_k = region(owns ? block.keys * n.key_dim : 0);
    plan.scratch.packed_v = region(owns ? block.keys * block.value_width : 0);
    plan.scratch.turned = region(in_place ? round_up(rows, machine.panel) * (n.key_dim + block.keys) : 0);
    plan.scratch_stride = scratch.bytes();
    plan.scratch_at = layout.take(plan.threads, plan.scratch_stride);
    plan.bytes = layout.bytes();
    return plan;
}

namespace {

BackwardScratch backward_scratch(const BackwardPlan& plan, const hone_backward_args& a,
                                 const Machine& machine, std::size_t element, Layout& scratch) {
    const BackwardSchedule& schedule = plan.schedule;
    const Extents& n = schedule.n;
    const Blocks& block = schedule.block;
    const auto region = [&](std::int64_t count, bool wanted = true) {
        return static_cast<std::int64_t>(scratch.take(wanted ? count : 0, element) / element);
    };
    BackwardScratch s;
    s.key_panels = region(block.keys * n.key_dim, !plan.in_place);
    s.value_panels = region(block.keys * n.value_dim, !plan.in_place);
    s.key_columns = region(block.keys * block.key_width, !plan.in_place);
    s.query_columns = region(block.rows * block.key_width, a.dk.data);
    s.dout_columns = region(block.rows * block.value_width, a.dv.data);
    s.dk = region(block.keys * block.key_width, a.dk.data);
    s.dv = region(block.keys * block.value_width, a.dv.data);
    s.scores = region(block.rows * block.score_stride);
    s.dscores = region(block.rows * block.score_stride);
    s.dq = region(block.rows * block.key_width, a.dq.data);
    s.dbias = region(n.heads_per_kv * static_cast<std::int64_t>(sizeof(double) / element));
    s.turned = region(round_up(block.rows, machine.panel) * (std::max(n.key_dim, n.value_dim) + block.keys),
                      plan.in_place);
    s.key_odd = region(1);
    s.dq_sums = region(query_sums_size(schedule.dq, n, block));
    s.dk_sums = region(key_sums_size(schedule.dk, block, block.key_width));
    s.dv_sums = region(key_sums_size(schedule.dv, block, block.value_width));
    return s;
}

BackwardSchedule schedule_for(const hone_problem& p, const hone_backward_args& a,
                              const hone_activation_info& info, const Machine& machine) {
    BackwardSchedule s = {};
    const Extents& n = s.n = extents_of(p, info);
    s.block = blocks_for(n, kBackwardRows, kKeys, machine, static_cast<std::size_t>(element_size(p)));
    s.row_chunk = kRowChunk;
    s.row_chunks = blocks_of(n.queries, s.row_chunk);
    s.row_groups =
        std::max<std::int64_t>(kRowChunk / std::max<std::int64_t>(n.queries * n.joint_heads, 1), 1);
    s.dq = accumulator_for(Side::queries, a.dq, n.key_dim, n, s.block);
    s.dk = accumulator_for(Side::keys, a.dk, n.key_dim, n, s.block);
    s.dv = accumulator_for(Side::keys, a.dv, n.value_dim, n, s.block);
    return s;
}

}  // namespace

BackwardPlan plan_backward(const hone_problem& p, const hone_backward_args& a,
                           const hone_activation_info& info, const Machine& machine) {
    const auto element = static_cast<std::size_t>(element_size(p));
    BackwardPlan plan = {};
    BackwardSchedule& s = plan.schedule = schedule_for(p, a, info, machine);
    const Extents& n = s.n;
    plan.in_place = few_rows(n);
    plan.threads =
        worthwhile_threads(static_cast<int>(std::clamp<std::int64_t>(s.tasks(), 1, machine.threads)), s);
    s.ahead = plan.threads - 1;

    Layout layout;
    const std::int64_t rows = n.batch * n.query_heads * n.queries;
    plan.row_shift = layout.take(rows, element);
    plan.row_weight = layout.take(rows, element);
    plan.row_delta = layout.take(rows, element);
    const bool dbias = a.dshift || a.dlog_prior;
    plan.dbias = layout.take(dbias ? n.batch * n.query_heads * s.block.key_blocks : 0, sizeof(double));
    plan.dsink =
        layout.take(a.dsink ? n.batch * n.query_heads / n.joint_heads * s.row_chunks : 0, sizeof(double));
    for (Accumulator* gradient : {&s.dq, &s.dk, &s.dv}) {
        const std::int64_t sums = gradient->wanted ? gradient->copies * gradient->copy_size() : 0;
        gradient->copies_at = layout.take(gradient->copies > 1 ? sums : 0, element);
        gradient->lost_at = layout.take(gradient->compensated ? sums : 0, element);
        gradient->counters_at = layout.take(plan.threads > 1 ? gradient->counters() : 0, sizeof(Counter));
    }
    plan.counters = layout.take(plan.threads > 1 ? s.counters() : 0, sizeof(Counter));
    Layout scratch;
    plan.scratch = backward_scratch(plan, a, machine, element, scratch);
    plan.scratch_stride = scratch.bytes();
    plan.scratch_at = layout.take(plan.threads, plan.scratch_stride);
    plan.bytes = layout.bytes();
    return plan;
}

}  // namespace hone
