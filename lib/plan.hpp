// plan.hpp: a pure function from a problem and a machine to blocks, tasks and the layout of the workspace.
//
// Blocks depend on the shape of one head alone, never on threads or batch: that keeps results bitwise the
// same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tiles.hpp"

namespace hone {

struct Machine {
    int threads;
    int panel;  // Tiles::panel
};

// Offsets are in bytes from the start of the workspace, which is aligned to kAlignment.
inline constexpr std::size_t kAlignment = 64;

struct ForwardPlan {
    Extents n;
    Blocks block;
    ForwardScratch scratch;
    int threads;
    bool joint;                                           // heads are joined under one normaliser afterwards
    std::int64_t k_batches, k_heads, v_batches, v_heads;  // distinct ones, each packed once
    std::size_t packed_k, packed_v, v_odd, lse;           // lse: of each head, where heads are joined
    std::size_t scratch_at, scratch_stride;               // one for each thread
    std::size_t bytes;
};

struct BackwardPlan {
    Extents n;
    Blocks block;
    BackwardScratch scratch;
    int threads;
    std::int64_t row_chunk, row_chunks;
    // dq is summed in `dq_slots` partial copies where one chain of key blocks would leave threads idle. Each
    // gradient lies in the workspace first where it is partial, or its input is broadcast.
    std::int64_t dq_slots;
    bool dq_apart, dk_apart, dv_apart;
    std::size_t row_shift, row_weight, row_delta, dbias, dsink, dq, dk, dv;
    std::size_t turns;  // [batch, kv_heads, dq_slots, row_blocks] of int: key blocks already added to dq
    std::size_t scratch_at, scratch_stride;
    std::size_t bytes;
};

ForwardPlan plan_forward(const hone_problem& p, const hone_forward_args& a, const hone_activation_info& info,
                         const Machine& machine);
BackwardPlan plan_backward(const hone_problem& p, const hone_backward_args& a,
                           const hone_activation_info& info, const Machine& machine);

}  // namespace hone
