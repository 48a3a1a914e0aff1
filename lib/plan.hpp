// plan.hpp: what a call computes and how its work is cut: a pure function of a problem and a machine.
//
// What decides the bits of a result (the blocks of keys, their splits, whether they are packed, and in
// backward the blocks of rows and the copies of a gradient) depends on the shape of one head alone, never on
// threads or batch. (A gradient that is summed over a batch depends on the batch, of course.)
#pragma once

#include <cstddef>
#include <cstdint>

#include "accumulate.hpp"
#include "regions.hpp"
#include "shape.hpp"
#include "source.hpp"
#include "tuning.hpp"
#include "visibility.hpp"

namespace hone {

struct Machine {
    int threads;
    const Tuning& tuning;
};

// How products read k and v.
enum class Reading {
    in_place,  // where they lie: few rows read them
    own,       // packed by the task that reads them, as no other does; v also where it lies
    shared,    // packed beforehand, for all blocks of rows
};

// Offsets of a thread's scratch, in elements of the kernel's scalars.
struct ForwardScratch {
    std::int64_t q;            // [rows, key_width]: of packed keys, where rows do not lie together
    std::int64_t scores;       // [rows, score_stride]
    std::int64_t o;            // [rows, value_width]
    std::int64_t total, lost;  // the same, where partial sums are joined; lost: [value_width] for splits
    std::int64_t packed_k, packed_v;  // one key block each, where the task packs its own
    std::int64_t transposed;          // multiply_transposed's room, where k is read in place
};

struct ForwardPlan : Shape {
    int activation;
    std::int64_t padding;  // queries after these, whose o is 0
    Reading reading;
    bool joint;                            // heads are joined under one normaliser
    DistinctHeads distinct_k, distinct_v;  // those that are packed
    std::int64_t splits, split_blocks;     // of the keys of a row; splits of so many key blocks
    int threads;
    ForwardScratch scratch;
    std::size_t counters;
    std::size_t partial_state, partial_o;   // [batch, kv_head, split, row], of RowState and of o's rows
    std::size_t packed_k;                   // [distinct head, key block, panel of keys, key_dim, panel]: k^T
    std::size_t packed_v;                   // [distinct head, key block, panel of features, key, panel]
    std::size_t v_non_finite;               // [distinct head, slice]: 1 where a value of it is not finite
    std::size_t head_lse;                   // [batch, query_head, query], where heads are joined
    std::size_t scratch_at, scratch_bytes;  // one for each thread
    std::size_t bytes;                      // of the workspace
};

struct BackwardScratch {
    std::int64_t q, dout;                      // [rows, width]: likewise
    std::int64_t key_panels;                   // k^T: [panel of keys, key_dim, panel]
    std::int64_t value_panels;                 // v^T: [panel of keys, value_dim, panel]
    std::int64_t key_columns;                  // k: [panel of features, keys, panel]
    std::int64_t query_columns, dout_columns;  // [panel of features, rows, panel]
    std::int64_t dk, dv;                       // [keys, key_width], [keys, value_width]
    std::int64_t scores, dscores;              // [rows, score_stride]: s then p; dp then ds
    std::int64_t dq;                           // [rows, key_width]
    std::int64_t dbias;                        // [heads_per_kv] of double
    std::int64_t transposed;                   // multiply_transposed's room, where k and v are read in place
    std::int64_t k_non_finite;                 // [1]: 1 where a key of the block is not finite
    std::int64_t dq_sums, dk_sums, dv_sums;    // the accumulator's
};

struct BackwardPlan : Shape {
    int activation;
    bool in_place;                           // k and v are read where they lie
    bool wants_dbias, wants_dsink;           // dbias: of a shift or a log-prior
    std::int64_t query_block, query_blocks;  // queries whose constants one tile function computes
    std::int64_t group_block;                // head groups for which one task computes them
    std::int64_t ahead;  // batch entries by which the constants of rows are ahead of key blocks
    Accumulator dq, dk, dv;
    int threads;
    BackwardScratch scratch;
    std::size_t counters;
    std::size_t row_constants;  // [batch, query_head, query]
    std::size_t dbias;          // [batch, query_head, key_block] of double: sums of ds
    std::size_t dsink;          // [batch, head group, query block] of double
    std::size_t scratch_at, scratch_bytes;
    std::size_t bytes;
};

// Keys of a block, where k and v are packed: whole slices whose k and v fit into the budget.
std::int64_t block_keys(const hone_problem& p, const Tuning& tuning);

// How the work of batch entries that have the same extents is cut, with no memory yet,
ForwardPlan cut_forward(const hone_problem& p, const hone_forward_args& a, const hone_activation_info& info,
                        const Visibility& visibility, const Machine& machine);
BackwardPlan cut_backward(const hone_problem& p, const hone_backward_args& a,
                          const hone_activation_info& info, const Visibility& visibility,
                          const Machine& machine);
// and what lies where in the workspace: the scratch of threads is last.
void lay_out(ForwardPlan& plan, const hone_problem& p, const Tuning& tuning);
void lay_out(BackwardPlan& plan, const hone_problem& p, const Tuning& tuning);

}  // namespace hone
