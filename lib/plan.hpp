// plan.hpp: a pure function from a problem and a machine to blocks, a schedule and the layout of the
// workspace.
//
// What decides the bits of a result (the blocks of keys, their chunks, whether they are packed, and in
// backward the blocks of rows and the copies of a gradient) depends on the shape of one head alone, never on
// threads or batch. (A gradient that is summed over a batch depends on the batch, of course.)
#pragma once

#include <cstddef>
#include <cstdint>

#include "schedule.hpp"
#include "tiles.hpp"

namespace hone {

struct Machine {
    int threads;
    int panel, tile_rows;  // Tiles::panel, Tiles::tile_rows
};

// Offsets are in bytes from the start of the workspace, which is aligned to kAlignment.
inline constexpr std::size_t kAlignment = 64;

struct ForwardPlan {
    ForwardSchedule schedule;
    ForwardScratch scratch;
    Reading reading;
    int threads;
    std::size_t counters;
    std::size_t part_maximum, part_sum, part_o;  // where there is more than one chunk
    std::size_t packed_k, packed_v, v_odd, lse;  // lse: of each head, where heads are joined
    std::size_t scratch_at, scratch_stride;      // one for each thread
    std::size_t bytes;
};

struct BackwardPlan {
    BackwardSchedule schedule;
    BackwardScratch scratch;
    bool in_place;
    int threads;
    std::size_t counters;
    std::size_t row_shift, row_weight, row_delta, dbias, dsink;
    std::size_t scratch_at, scratch_stride;
    std::size_t bytes;
};

ForwardPlan plan_forward(const hone_problem& p, const hone_forward_args& a, const hone_activation_info& info,
                         const Machine& machine);
BackwardPlan plan_backward(const hone_problem& p, const hone_backward_args& a,
                           const hone_activation_info& info, const Machine& machine);

}  // namespace hone
