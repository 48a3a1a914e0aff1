// plan.cpp: block sizes, each with its reason, and the layout of the workspace.
#include "plan.hpp"

#include <algorithm>

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

std::int64_t blocks_of(std::int64_t extent, std::int64_t block) {
    return (extent + block - 1) / block;
}

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
    std::int64_t sees = p.keys;
    if (p.mask == HONE_MASK_CAUSAL_TOP_LEFT) sees = 1;
    if (p.mask == HONE_MASK_CAUSAL_BOTTOM_RIGHT) sees = p.keys - p.queries + 1;
    return {p.batch,
            p.query_heads,
            p.kv_heads,
            p.queries,
            p.keys,
            p.key_dim,
            p.value_dim,
            p.query_heads / p.kv_heads,
            joint_heads(p, info),
            sees};
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
    b.rows = std::min(rows, all_rows);
    b.keys = std::min(keys, round_up(std::max<std::int64_t>(n.keys, 1), panel));
    b.row_blocks = blocks_of(all_rows, b.rows);
    b.key_blocks = std::max<std::int64_t>(blocks_of(n.keys, b.keys), 1);
    // One cache line more than the keys: rows a power of two apart would share few sets of L1.
    b.score_stride = b.keys + static_cast<std::int64_t>(64 / element);
    b.key_width = width_for(n.key_dim, all_rows <= kFewRows, machine, element);
    b.value_width = width_for(n.value_dim, all_rows <= kFewRows, machine, element);
    return b;
}

int useful_threads(const Machine& machine, std::int64_t tasks) {
    return static_cast<int>(std::max<std::int64_t>(1, std::min<std::int64_t>(machine.threads, tasks)));
}

// Rows of a block of forward: as many as allowed; less where blocks are so few that threads would wait for
// the last ones. (Where k and v are packed, a row's result is the same in a block of any size.)
std::int64_t balanced_rows(const Extents& n, std::int64_t most, const Machine& machine) {
    const std::int64_t all = n.queries * n.heads_per_kv, heads = n.batch * n.kv_heads;
    const std::int64_t blocks = heads * blocks_of(all, most);
    if (machine.threads == 1 || blocks >= 8 * machine.threads) return most;
    const std::int64_t turns = blocks_of(blocks, machine.threads);
    return std::min(most, round_up(blocks_of(all * heads, turns * machine.threads), machine.tile_rows));
}

}  // namespace

ForwardPlan plan_forward(const hone_problem& p, const hone_forward_args& a, const hone_activation_info& info,
                         const Machine& machine) {
    const auto element = static_cast<std::size_t>(element_size(p));
    ForwardPlan plan = {};
    const Extents& n = plan.n = extents_of(p, info);
    plan.joint = info.joint;
    plan.k_batches = a.k.batch_stride == 0 ? 1 : n.batch;
    plan.k_heads = a.k.head_stride == 0 ? 1 : n.kv_heads;
    plan.v_batches = a.v.batch_stride == 0 ? 1 : n.batch;
    plan.v_heads = a.v.head_stride == 0 ? 1 : n.kv_heads;
    const std::int64_t rows = n.queries * n.heads_per_kv;
    const std::int64_t most_rows = kForwardRowBytes / static_cast<std::int64_t>(element);
    const bool chunked = rows <= most_rows && n.keys > kChunkKeys;
    const bool in_place = rows <= kFewRows;
    // One block where rows are few: how many they are decides how they are multiplied, and so the bits.
    plan.block = blocks_for(n, chunked || in_place ? rows : balanced_rows(n, most_rows, machine),
                            in_place ? kInPlaceKeys : kKeys, machine, element);
    const Blocks& block = plan.block;
    plan.chunk_blocks = chunked ? kChunkKeys / block.keys : block.key_blocks;
    plan.chunks = chunked ? blocks_of(block.key_blocks, plan.chunk_blocks) : 1;
    const bool distinct = std::min(plan.k_batches, plan.v_batches) == n.batch &&
                          std::min(plan.k_heads, plan.v_heads) == n.kv_heads;
    plan.reading = in_place                            ? Reading::in_place
                   : block.row_blocks == 1 && distinct ? Reading::own
                                                       : Reading::shared;
    const std::int64_t heads = n.batch * n.kv_heads, tasks = block.row_blocks * plan.chunks;
    plan.threads = useful_threads(
        machine, heads * (plan.reading == Reading::shared ? std::max(tasks, block.key_blocks) : tasks));

    Layout layout;
    const bool shares = plan.reading == Reading::shared, owns = plan.reading == Reading::own;
    const std::int64_t padded_keys = shares ? block.key_blocks * block.keys : 0;
    plan.packed_k = layout.take(plan.k_batches * plan.k_heads * padded_keys * n.key_dim, element);
    plan.packed_v = layout.take(plan.v_batches * plan.v_heads * padded_keys * block.value_width, element);
    plan.v_odd = layout.take(shares ? plan.v_batches * plan.v_heads * block.key_blocks : 0, 1);
    plan.lse = layout.take(info.joint ? n.batch * n.query_heads * n.queries : 0, element);
    const std::int64_t parts = plan.chunks > 1 ? heads * plan.chunks * rows : 0;
    plan.part_maximum = layout.take(parts, element);
    plan.part_sum = layout.take(parts, element);
    plan.part_o = layout.take(parts * block.value_width, element);

    Layout scratch;
    const auto region = [&](std::int64_t count) {
        return static_cast<std::int64_t>(scratch.take(count, element) / element);
    };
    plan.scratch.scores = region(block.rows * block.score_stride);
    plan.scratch.output = region(plan.chunks > 1 ? 0 : block.rows * block.value_width);
    plan.scratch.packed_k = region(owns ? block.keys * n.key_dim : 0);
    plan.scratch.packed_v = region(owns ? block.keys * block.value_width : 0);
    plan.scratch.turned = region(in_place ? round_up(rows, machine.panel) * (n.key_dim + block.keys) : 0);
    plan.scratch_stride = scratch.bytes();
    plan.scratch_at = layout.take(plan.threads, plan.scratch_stride);
    plan.bytes = layout.bytes();
    return plan;
}

Landing::Place Landing::place(std::int64_t batch, std::int64_t kv_head, std::int64_t key_block,
                              std::int64_t row_block) const {
    const std::int64_t index[] = {batch, kv_head, key_block, row_block};
    Place at = {0, 0};
    for (int i = 0; i < 4; ++i) {
        std::int64_t& part = axis[i].summed ? at.turn : at.cell;
        part = part * axis[i].extent + index[i];
    }
    return at;
}

std::int64_t Landing::cells() const {
    std::int64_t count = 1;
    for (const Axis& a : axis) count *= a.summed ? 1 : a.extent;
    return count;
}

std::int64_t Landing::turns() const {
    std::int64_t count = 1;
    for (const Axis& a : axis) count *= a.summed ? a.extent : 1;
    return count;
}

namespace {

// How many partial copies of dq. The turns of one block of rows keep about row_blocks threads busy; where
// those are few, runs of turns get copies of their own, of at most the size of k in all.
std::int64_t slots_for(const BackwardPlan& plan) {
    constexpr std::int64_t enough = 16;
    const Landing& dq = plan.dq_landing;
    const auto [row_blocks, rows_summed] = dq.axis[3];
    if (!rows_summed && row_blocks >= enough) return 1;
    const std::int64_t turns = dq.turns(), heads_summed = turns / dq.axis[2].extent;
    const std::int64_t affordable = plan.n.keys * heads_summed / (plan.n.queries * plan.n.heads_per_kv);
    return std::clamp<std::int64_t>(std::min(affordable, turns), 1, enough);
}

Landing landing(const BackwardPlan& plan, const hone_tensor& gradient, bool of_rows) {
    const Blocks& block = plan.block;
    const bool rows_summed = gradient.row_stride == 0;
    return {{{plan.n.batch, gradient.batch_stride == 0},
             {plan.n.kv_heads, gradient.head_stride == 0},
             {block.key_blocks, of_rows || rows_summed},
             {of_rows ? block.row_blocks : 1, rows_summed}}};
}

BackwardScratch backward_scratch(const BackwardPlan& plan, const hone_backward_args& a,
                                 const Machine& machine, std::size_t element, Layout& scratch) {
    const Extents& n = plan.n;
    const Blocks& block = plan.block;
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
    s.dbias = region(n.heads_per_kv);
    s.turned = region(round_up(block.rows, machine.panel) * (std::max(n.key_dim, n.value_dim) + block.keys),
                      plan.in_place);
    s.key_odd = region(1);
    return s;
}

}  // namespace

BackwardPlan plan_backward(const hone_problem& p, const hone_backward_args& a,
                           const hone_activation_info& info, const Machine& machine) {
    const auto element = static_cast<std::size_t>(element_size(p));
    BackwardPlan plan = {};
    const Extents& n = plan.n = extents_of(p, info);
    plan.in_place = n.queries * n.heads_per_kv <= kFewRows;
    plan.block = blocks_for(n, kBackwardRows, kKeys, machine, element);
    const Blocks& block = plan.block;
    plan.row_chunk = 256;
    plan.row_chunks = blocks_of(n.queries, plan.row_chunk);
    plan.threads = useful_threads(machine, n.batch * std::max(n.query_heads / n.joint_heads * plan.row_chunks,
                                                              n.kv_heads * block.key_blocks));
    plan.dq_landing = landing(plan, a.dq, true);
    plan.dk_landing = landing(plan, a.dk, false);
    plan.dv_landing = landing(plan, a.dv, false);
    plan.dq_slots = a.dq.data ? slots_for(plan) : 1;
    plan.dq_batches = a.dq.batch_stride == 0 ? 1 : n.batch;
    plan.dq_heads = a.dq.head_stride == 0 ? 1 : n.query_heads;
    plan.dq_rows = a.dq.row_stride == 0 ? 1 : n.queries;

    Layout layout;
    const std::int64_t rows = n.batch * n.query_heads * n.queries;
    const std::int64_t dq_copies = plan.dq_slots > 1 ? plan.dq_slots : 0;
    plan.row_shift = layout.take(rows, element);
    plan.row_weight = layout.take(rows, element);
    plan.row_delta = layout.take(rows, element);
    const bool dbias = a.dshift || a.dlog_prior;
    plan.dbias = layout.take(dbias ? n.batch * n.query_heads * block.key_blocks : 0, sizeof(double));
    plan.dsink =
        layout.take(a.dsink ? n.batch * n.query_heads / n.joint_heads * plan.row_chunks : 0, sizeof(double));
    plan.dq = layout.take(dq_copies * plan.dq_batches * plan.dq_heads * plan.dq_rows * n.key_dim, element);
    plan.rows_done = layout.take(n.batch, sizeof(std::int64_t));
    plan.dq_turns = layout.take(plan.dq_slots * plan.dq_landing.cells(), sizeof(std::int64_t));
    plan.dk_turns = layout.take(plan.dk_landing.cells(), sizeof(std::int64_t));
    plan.dv_turns = layout.take(plan.dv_landing.cells(), sizeof(std::int64_t));
    Layout scratch;
    plan.scratch = backward_scratch(plan, a, machine, element, scratch);
    plan.scratch_stride = scratch.bytes();
    plan.scratch_at = layout.take(plan.threads, plan.scratch_stride);
    plan.bytes = layout.bytes();
    return plan;
}

}  // namespace hone
