// plan.cpp: block sizes, each with its reason, and the layout of the workspace.
#include "plan.hpp"

#include <algorithm>

#include "layout.hpp"

namespace hone {
namespace {

// Keys of a block: k and v of it stay in L2 beside the scores.
constexpr std::int64_t kKeys = 128;
// Rows of a block, 192 in float32: each panel of k and v is read once for all of them. Forward at B1 H8
// N2048, AVX2 on Zen 4, D = 64: 60% of peak with 48 rows, 66% with 96, 70 to 75% with 192, no more with 288
// or 384.
constexpr std::int64_t kForwardRowBytes = 768;
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

Blocks blocks_for(const Extents& n, std::int64_t rows, std::int64_t keys, const Machine& machine,
                  std::size_t element) {
    const std::int64_t all_rows = n.queries * n.heads_per_kv, panel = machine.panel;
    Blocks b;
    b.rows = std::min(rows, all_rows);
    b.keys = std::min(keys, round_up(std::max<std::int64_t>(n.keys, 1), panel));
    b.row_blocks = blocks_of(all_rows, b.rows);
    b.key_blocks = blocks_of(n.keys, b.keys);
    // One cache line more than the keys: rows a power of two apart would share few sets of L1.
    b.score_stride = b.keys + static_cast<std::int64_t>(64 / element);
    b.key_width = round_up(n.key_dim, panel);
    b.value_width = round_up(n.value_dim, panel);
    return b;
}

int useful_threads(const Machine& machine, std::int64_t tasks) {
    return static_cast<int>(std::max<std::int64_t>(1, std::min<std::int64_t>(machine.threads, tasks)));
}

}  // namespace

ForwardPlan plan_forward(const hone_problem& p, const hone_forward_args& a, const hone_activation_info& info,
                         const Machine& machine) {
    const auto element = static_cast<std::size_t>(element_size(p));
    ForwardPlan plan = {};
    const Extents& n = plan.n = extents_of(p, info);
    plan.joint = info.joint;
    plan.block =
        blocks_for(n, kForwardRowBytes / static_cast<std::int64_t>(element), kKeys, machine, element);
    const Blocks& block = plan.block;
    plan.threads =
        useful_threads(machine, n.batch * n.kv_heads * std::max(block.row_blocks, block.key_blocks));
    plan.k_batches = a.k.batch_stride == 0 ? 1 : n.batch;
    plan.k_heads = a.k.head_stride == 0 ? 1 : n.kv_heads;
    plan.v_batches = a.v.batch_stride == 0 ? 1 : n.batch;
    plan.v_heads = a.v.head_stride == 0 ? 1 : n.kv_heads;

    Layout layout;
    const std::int64_t padded_keys = block.key_blocks * block.keys;
    plan.packed_k = layout.take(plan.k_batches * plan.k_heads * padded_keys * n.key_dim, element);
    plan.packed_v = layout.take(plan.v_batches * plan.v_heads * padded_keys * block.value_width, element);
    plan.v_odd = layout.take(plan.v_batches * plan.v_heads * block.key_blocks, 1);
    plan.lse = layout.take(info.joint ? n.batch * n.query_heads * n.queries : 0, element);

    Layout scratch;
    const auto region = [&](std::int64_t count) {
        return static_cast<std::int64_t>(scratch.take(count, element) / element);
    };
    plan.scratch.scores = region(block.rows * block.score_stride);
    plan.scratch.output = region(block.rows * block.value_width);
    plan.scratch_stride = scratch.bytes();
    plan.scratch_at = layout.take(plan.threads, plan.scratch_stride);
    plan.bytes = layout.bytes();
    return plan;
}

namespace {

// How many partial copies of dq. One chain of key blocks per block of rows keeps about row_blocks threads
// busy; where queries are few, runs of key blocks get copies of their own, of at most the size of k in all.
std::int64_t slots_for(const Extents& n, const Blocks& block) {
    constexpr std::int64_t enough = 16;
    if (block.row_blocks >= enough) return 1;
    const std::int64_t affordable = n.keys / (n.queries * n.heads_per_kv);
    return std::clamp<std::int64_t>(std::min(affordable, block.key_blocks), 1, enough);
}

bool broadcast(const hone_tensor& t, std::int64_t batch, std::int64_t heads, std::int64_t rows) {
    return (batch > 1 && t.batch_stride == 0) || (heads > 1 && t.head_stride == 0) ||
           (rows > 1 && t.row_stride == 0);
}

BackwardScratch backward_scratch(const Extents& n, const Blocks& block, std::size_t element,
                                 Layout& scratch) {
    const auto region = [&](std::int64_t count) {
        return static_cast<std::int64_t>(scratch.take(count, element) / element);
    };
    BackwardScratch s;
    s.key_panels = region(block.keys * n.key_dim);
    s.value_panels = region(block.keys * n.value_dim);
    s.key_columns = region(block.keys * block.key_width);
    s.query_columns = region(block.rows * block.key_width);
    s.dout_columns = region(block.rows * block.value_width);
    s.dk = region(block.keys * block.key_width);
    s.dv = region(block.keys * block.value_width);
    s.scores = region(block.rows * block.score_stride);
    s.dscores = region(block.rows * block.score_stride);
    s.dq = region(block.rows * block.key_width);
    s.dbias = region(n.heads_per_kv);
    s.key_odd = region(1);
    return s;
}

}  // namespace

BackwardPlan plan_backward(const hone_problem& p, const hone_backward_args& a,
                           const hone_activation_info& info, const Machine& machine) {
    const auto element = static_cast<std::size_t>(element_size(p));
    BackwardPlan plan = {};
    const Extents& n = plan.n = extents_of(p, info);
    plan.block = blocks_for(n, kBackwardRows, kKeys, machine, element);
    const Blocks& block = plan.block;
    plan.row_chunk = 256;
    plan.row_chunks = blocks_of(n.queries, plan.row_chunk);
    plan.threads = useful_threads(machine, n.batch * std::max(n.query_heads / n.joint_heads * plan.row_chunks,
                                                              n.kv_heads * block.key_blocks));
    plan.dq_slots = slots_for(n, block);
    plan.dq_apart = a.dq.data && (plan.dq_slots > 1 || broadcast(a.dq, n.batch, n.query_heads, n.queries));
    plan.dk_apart = a.dk.data && broadcast(a.dk, n.batch, n.kv_heads, n.keys);
    plan.dv_apart = a.dv.data && broadcast(a.dv, n.batch, n.kv_heads, n.keys);

    Layout layout;
    const std::int64_t rows = n.batch * n.query_heads * n.queries, keys = n.batch * n.kv_heads * n.keys;
    plan.row_shift = layout.take(rows, element);
    plan.row_weight = layout.take(rows, element);
    plan.row_delta = layout.take(rows, element);
    plan.dbias = layout.take(n.batch * n.query_heads * block.key_blocks, sizeof(double));
    plan.dsink = layout.take(n.batch * n.query_heads / n.joint_heads * plan.row_chunks, sizeof(double));
    plan.dq = layout.take(plan.dq_apart ? plan.dq_slots * rows * n.key_dim : 0, element);
    plan.dk = layout.take(plan.dk_apart ? keys * n.key_dim : 0, element);
    plan.dv = layout.take(plan.dv_apart ? keys * n.value_dim : 0, element);
    plan.turns = layout.take(n.batch * n.kv_heads * plan.dq_slots * block.row_blocks, sizeof(int));
    Layout scratch;
    plan.scratch = backward_scratch(n, block, element, scratch);
    plan.scratch_stride = scratch.bytes();
    plan.scratch_at = layout.take(plan.threads, plan.scratch_stride);
    plan.bytes = layout.bytes();
    return plan;
}

}  // namespace hone
