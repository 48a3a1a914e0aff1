// plan.cpp: how work is cut into blocks, and what lies where in the workspace.
#include "plan.hpp"

#include <algorithm>

#include "balance.hpp"
#include "operands.hpp"
#include "regions.hpp"
#include "schedule.hpp"
#include "tiles.hpp"
#include "wait.hpp"

namespace hone {
namespace {

// Queries whose constants one call computes.
constexpr std::int64_t kQueryBlock = 256;
// Scalars of a row's constants; the state of a row is as large in every type.
constexpr std::int64_t kRowConstants = sizeof(RowConstants<double>) / sizeof(double);
static_assert(sizeof(RowConstants<float>) == kRowConstants * sizeof(float));
static_assert(sizeof(RowState<float>) == sizeof(RowState<double>));

Extents extents_of(const hone_problem& p, const hone_activation_info& info) {
    Extents n = {};
    n.batch = p.batch, n.query_heads = p.query_heads, n.kv_heads = p.kv_heads;
    n.queries = p.queries, n.keys = p.keys;
    n.key_dim = p.key_dim, n.value_dim = p.value_dim;
    n.heads_per_kv = p.kv_heads > 0 ? p.query_heads / p.kv_heads : 0;
    n.group_heads = group_heads(p, info);
    return n;
}

// Whether k and v are read in place.
bool few_rows(const Extents& n, const Tuning& tuning) {
    return row_count(n) <= tuning.few_rows;
}

// Where rows are few, k and v are read whole lines at a time, while a sum for each row stays in L1. The sums
// are an odd number of cache lines apart, so that they spread over all sets of it.
std::int64_t width_for(std::int64_t features, const Extents& n, const Tuning& tuning, std::size_t element) {
    const std::int64_t width = round_up(features, tuning.panel);
    const std::int64_t cache_line = static_cast<std::int64_t>(64 / element);
    return few_rows(n, tuning) ? (blocks_of(width, cache_line) | 1) * cache_line : width;
}

Shape shape_for(const hone_problem& p, const hone_activation_info& info, const Visibility& visibility) {
    Shape s = {};
    s.n = extents_of(p, info);
    s.visibility = visibility;
    s.keys = p.batch > 0 && p.query_heads > 0 ? keys_seen(s.visibility, Range{0, p.queries}) : Range{0, 0};
    return s;
}

Blocks blocks_for(const Shape& s, std::int64_t rows, std::int64_t keys, const Tuning& tuning,
                  std::size_t element) {
    const Extents& n = s.n;
    Blocks b;
    b.rows = std::max<std::int64_t>(std::min(rows, row_count(n)), 1);
    b.keys = std::min(keys, round_up(std::max<std::int64_t>(s.keys.end, 1), tuning.panel));
    b.row_blocks = blocks_of(row_count(n), b.rows);
    b.key_blocks = blocks_touched(s.keys, b.keys);
    // One cache line more than the keys: rows a power of two apart would share few sets of L1.
    b.score_stride = b.keys + static_cast<std::int64_t>(64 / element);
    b.key_width = width_for(n.key_dim, n, tuning, element);
    b.value_width = width_for(n.value_dim, n, tuning, element);
    return b;
}

}  // namespace

std::int64_t block_keys(const hone_problem& p, const Tuning& tuning) {
    const std::int64_t key_bytes = (p.key_dim + p.value_dim) * element_size(p);
    return std::clamp(round_down(tuning.block_bytes / key_bytes, kSliceKeys), kSliceKeys, tuning.block_keys);
}

ForwardPlan cut_forward(const hone_problem& p, const hone_forward_args& a, const hone_activation_info& info,
                        const Visibility& visibility, const Machine& machine) {
    const auto element = static_cast<std::size_t>(element_size(p));
    const Tuning& tuning = machine.tuning;
    ForwardPlan plan = {};
    static_cast<Shape&>(plan) = shape_for(p, info, visibility);
    plan.activation = p.activation;
    const Extents& n = plan.n;
    plan.joint = info.joint;
    plan.distinct_k = distinct_heads(a.k, n.batch, n.kv_heads);
    plan.distinct_v = distinct_heads(a.v, n.batch, n.kv_heads);
    const std::int64_t rows = row_count(n);
    const bool in_place = few_rows(n, tuning);
    const bool split = rows <= tuning.forward_rows && count(plan.keys) > tuning.split_keys;
    const std::int64_t keys = in_place ? tuning.in_place_keys : block_keys(p, tuning);
    plan.block = blocks_for(plan, tuning.forward_rows, keys, tuning, element);
    const std::int64_t key_blocks = count(plan.block.key_blocks);
    plan.split_blocks = split ? tuning.split_keys / plan.block.keys : key_blocks;
    plan.splits = split ? blocks_of(key_blocks, plan.split_blocks) : 1;
    // Few rows stay in one block: how many they are decides how they are multiplied, and so the bits.
    if (!split && !in_place) {
        const int threads = worthwhile_threads(plan, machine);
        const std::int64_t balanced = balanced_rows(plan, tuning.forward_rows, threads, tuning.tile_rows);
        plan.block.rows = std::max<std::int64_t>(smaller(rows, balanced), 1);
        plan.block.row_blocks = blocks_of(rows, plan.block.rows);
    }
    const bool distinct = std::min(count(plan.distinct_k), count(plan.distinct_v)) == n.batch * n.kv_heads;
    plan.reading = in_place                                 ? Reading::in_place
                   : plan.block.row_blocks == 1 && distinct ? Reading::own
                                                            : Reading::shared;
    plan.threads = needed_threads(plan, worthwhile_threads(plan, machine));
    return plan;
}

void lay_out(ForwardPlan& plan, const hone_problem& p, const Tuning& tuning) {
    const auto element = static_cast<std::size_t>(element_size(p));
    const Extents& n = plan.n;
    const Blocks& block = plan.block;
    const std::int64_t rows = row_count(n), key_blocks = count(block.key_blocks);
    const bool in_place = plan.reading == Reading::in_place, owns = plan.reading == Reading::own;
    const bool shares = plan.reading == Reading::shared, is_split = plan.splits > 1;

    Regions regions;
    const std::int64_t packed_keys = shares ? key_blocks * block.keys : 0;
    plan.packed_k = regions.take(count(plan.distinct_k) * packed_keys * n.key_dim, element);
    plan.packed_v = regions.take(count(plan.distinct_v) * packed_keys * block.value_width, element);
    plan.v_non_finite =
        regions.take(shares ? count(plan.distinct_v) * key_blocks * slices_of_block(block) : 0, 1);
    plan.head_lse = regions.take(plan.joint ? n.batch * n.query_heads * n.queries : 0, element);
    const std::int64_t partials = is_split ? n.batch * n.kv_heads * plan.splits * rows : 0;
    plan.partial_state = regions.take(partials, sizeof(RowState<double>));
    plan.partial_o = regions.take(partials * block.value_width, element);
    plan.counters = regions.take(plan.threads > 1 ? ForwardSchedule(plan).counters() : 0, sizeof(Counter));

    Regions scratch;
    const auto region = [&](std::int64_t count) { return scratch.take_elements(count, element); };
    const bool joins = needs_compensation(plan.split_blocks);
    ForwardScratch& at = plan.scratch;
    at.q = region(!in_place ? block.rows * block.key_width : 0);
    at.scores = region(block.rows * block.score_stride);
    at.o = region(!is_split ? block.rows * block.value_width : 0);
    at.total = region(joins ? block.rows * block.value_width : 0);
    at.lost = region(joins ? block.rows * block.value_width : is_split ? block.value_width : 0);
    at.packed_k = region(owns ? block.keys * n.key_dim : 0);
    at.packed_v = region(owns ? block.keys * block.value_width : 0);
    at.transposed = region(in_place ? round_up(rows, tuning.panel) * (n.key_dim + block.keys) : 0);
    plan.scratch_bytes = scratch.bytes();
    plan.scratch_at = regions.take(plan.threads, plan.scratch_bytes);
    plan.bytes = regions.bytes();
}

namespace {

BackwardScratch backward_scratch(const BackwardPlan& plan, const Tuning& tuning, std::size_t element,
                                 Regions& scratch) {
    const Extents& n = plan.n;
    const Blocks& block = plan.block;
    const auto region = [&](std::int64_t count) { return scratch.take_elements(count, element); };
    BackwardScratch s;
    s.q = region(!plan.in_place ? block.rows * block.key_width : 0);
    s.dout = region(!plan.in_place ? block.rows * block.value_width : 0);
    s.key_panels = region(!plan.in_place ? block.keys * n.key_dim : 0);
    s.value_panels = region(!plan.in_place ? block.keys * n.value_dim : 0);
    s.key_columns = region(!plan.in_place ? block.keys * block.key_width : 0);
    s.query_columns = region(plan.dk.wanted ? block.rows * block.key_width : 0);
    s.dout_columns = region(plan.dv.wanted ? block.rows * block.value_width : 0);
    s.dk = region(plan.dk.wanted ? block.keys * block.key_width : 0);
    s.dv = region(plan.dv.wanted ? block.keys * block.value_width : 0);
    s.scores = region(block.rows * block.score_stride);
    s.dscores = region(block.rows * block.score_stride);
    s.dq = region(plan.dq.wanted ? block.rows * block.key_width : 0);
    s.dbias = region(n.heads_per_kv * static_cast<std::int64_t>(sizeof(double) / element));
    const std::int64_t transposed =
        round_up(block.rows, tuning.panel) * (std::max(n.key_dim, n.value_dim) + block.keys);
    s.transposed = region(plan.in_place ? transposed : 0);
    s.k_non_finite = region(1);
    s.dq_sums = region(query_sums_size(plan.dq, plan));
    s.dk_sums = region(key_sums_size(plan.dk, block, block.key_width));
    s.dv_sums = region(key_sums_size(plan.dv, block, block.value_width));
    return s;
}

}  // namespace

BackwardPlan cut_backward(const hone_problem& p, const hone_backward_args& a,
                          const hone_activation_info& info, const Visibility& visibility,
                          const Machine& machine) {
    const auto element = static_cast<std::size_t>(element_size(p));
    const Tuning& tuning = machine.tuning;
    BackwardPlan plan = {};
    static_cast<Shape&>(plan) = shape_for(p, info, visibility);
    plan.activation = p.activation;
    const Extents& n = plan.n;
    plan.block = blocks_for(plan, tuning.backward_rows, block_keys(p, tuning), tuning, element);
    plan.in_place = few_rows(n, tuning);
    plan.wants_dbias = a.dshift || a.dlog_prior;
    plan.wants_dsink = a.dsink != nullptr;
    plan.query_block = kQueryBlock;
    plan.query_blocks = blocks_of(n.queries, kQueryBlock);
    plan.group_block =
        std::max<std::int64_t>(kQueryBlock / std::max<std::int64_t>(n.queries * n.group_heads, 1), 1);
    plan.dq = accumulator_for(Side::queries, a.dq, n.key_dim, plan);
    plan.dk = accumulator_for(Side::keys, a.dk, n.key_dim, plan);
    plan.dv = accumulator_for(Side::keys, a.dv, n.value_dim, plan);
    const auto tasks = std::clamp<std::int64_t>(BackwardSchedule(plan).tasks(), 1, machine.threads);
    plan.threads = std::min(worthwhile_threads(plan, machine), static_cast<int>(tasks));
    plan.ahead = plan.threads - 1;
    return plan;
}

void lay_out(BackwardPlan& plan, const hone_problem& p, const Tuning& tuning) {
    const auto element = static_cast<std::size_t>(element_size(p));
    const Extents& n = plan.n;
    Regions regions;
    plan.row_constants = regions.take(n.batch * n.query_heads * n.queries * kRowConstants, element);
    plan.dbias = regions.take(plan.wants_dbias ? n.batch * n.query_heads * count(plan.block.key_blocks) : 0,
                              sizeof(double));
    plan.dsink =
        regions.take(plan.wants_dsink ? n.batch * group_count(n) * plan.query_blocks : 0, sizeof(double));
    for (Accumulator* gradient : {&plan.dq, &plan.dk, &plan.dv}) {
        const std::int64_t sums = gradient->wanted ? gradient->copies * copy_size(*gradient) : 0;
        gradient->copies_at = regions.take(gradient->copies > 1 ? sums : 0, element);
        gradient->lost_at = regions.take(gradient->compensated ? sums : 0, element);
        gradient->counters_at =
            regions.take(plan.threads > 1 ? counter_count(*gradient) : 0, sizeof(Counter));
    }
    plan.counters = regions.take(plan.threads > 1 ? BackwardSchedule(plan).counters() : 0, sizeof(Counter));
    Regions scratch;
    plan.scratch = backward_scratch(plan, tuning, element, scratch);
    plan.scratch_bytes = scratch.bytes();
    plan.scratch_at = regions.take(plan.threads, plan.scratch_bytes);
    plan.bytes = regions.bytes();
}

}  // namespace hone
