// plan.hpp: a pure function from a problem and a machine to blocks, tasks and the layout of the workspace.
//
// What decides the bits of a result (the blocks of keys, their chunks, whether they are packed, and in
// backward the blocks of rows) depends on the shape of one head alone, never on threads or batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tiles.hpp"

namespace hone {

struct Machine {
    int threads;
    int panel, tile_rows;  // Tiles::panel, Tiles::tile_rows
};

// Offsets are in bytes from the start of the workspace, which is aligned to kAlignment.
inline constexpr std::size_t kAlignment = 64;

struct ForwardPlan {
    Extents n;
    Blocks block;
    ForwardScratch scratch;
    Reading reading;
    int threads;
    std::int64_t chunks, chunk_blocks;                    // of keys; chunks of so many key blocks
    std::size_t part_maximum, part_sum, part_o;           // where there is more than one chunk
    bool joint;                                           // heads are joined under one normaliser afterwards
    std::int64_t k_batches, k_heads, v_batches, v_heads;  // distinct ones, each packed once
    std::size_t packed_k, packed_v, v_odd, lse;           // lse: of each head, where heads are joined
    std::size_t scratch_at, scratch_stride;               // one for each thread
    std::size_t bytes;
};

// Where what a task adds to a gradient lands, and when: an axis that is summed decides the turn, one that is
// not the cell. Tasks add to a cell in the order of turns, which is that in which tasks start.
struct Landing {
    struct Axis {
        std::int64_t extent;
        bool summed;
    };
    Axis axis[4];  // batch, kv head, key block, block of rows

    struct Place {
        std::int64_t cell, turn;
    };
    Place place(std::int64_t batch, std::int64_t kv_head, std::int64_t key_block,
                std::int64_t row_block) const;
    std::int64_t cells() const;
    std::int64_t turns() const;
};

struct BackwardPlan {
    Extents n;
    Blocks block;
    BackwardScratch scratch;
    bool in_place;
    int threads;
    std::int64_t row_chunk, row_chunks;
    Landing dq_landing, dk_landing, dv_landing;
    // dq is summed in so many partial copies, of [dq_batches, dq_heads, dq_rows], where one copy's turns
    // would leave threads idle; they lie in the workspace.
    std::int64_t dq_slots, dq_batches, dq_heads, dq_rows;
    std::size_t row_shift, row_weight, row_delta, dbias, dsink, dq;
    std::size_t rows_done;                     // [batch] of int64_t: tasks over its rows that are done
    std::size_t dq_turns, dk_turns, dv_turns;  // [slot, cell], [cell] of int64_t: whose turn it is
    std::size_t scratch_at, scratch_stride;
    std::size_t bytes;
};

ForwardPlan plan_forward(const hone_problem& p, const hone_forward_args& a, const hone_activation_info& info,
                         const Machine& machine);
BackwardPlan plan_backward(const hone_problem& p, const hone_backward_args& a,
                           const hone_activation_info& info, const Machine& machine);

}  // namespace hone
