// tiles.hpp: the contract between the library and the kernels of each ISA: what a tile function is told, and
// the table of them that each ISA gives.
//
// Kernels are compiled with different instructions, so everything here is plain data.
#pragma once

#include "boolean_mask.hpp"
#include "hone/hone.h"
#include "plan.hpp"
#include "source.hpp"
#include "stage.hpp"

namespace hone {

// The activations are numbered as activations.def lists them.
enum : int {
#define HONE_ACTIVATION(ENUMERATOR, name) kNumber_##name,
#include "hone/activations.def"
#undef HONE_ACTIVATION
    kActivationCount
};

template <class T>
struct Parameters {
    const T* sink;       // [query_heads / group_heads] or null
    const T* log_prior;  // [query_heads] or null
    const T* shift;      // [query_heads] or null
    T scale;             // of q k^T
    double softmax_n, weight;
};

// A call is its plan plus pointers.
template <class T>
struct ForwardCall : ForwardPlan {
    Parameters<T> parameter;
    Stages<T> stages;
    BooleanMask mask;
    Source<T> q, k, v;
    Target<T> o;
    RowNumbers<T> lse;  // [batch, query_heads / group_heads, queries]
    std::byte* workspace;
};

// The gradients to compute; null ones are not wanted.
template <class T>
struct Gradients {
    Target<T> q, k, v;
    T *sink, *log_prior, *shift;
};

template <class T>
struct BackwardCall : BackwardPlan {
    Parameters<T> parameter;
    Stages<T> stages;
    BooleanMask mask;
    Source<T> q, k, v, o, dout;
    RowNumbers<const T> lse;   // [batch, query_heads / group_heads, queries]
    RowNumbers<const T> dlse;  // the same shape
    Gradients<T> gradient;
    std::byte* workspace;
};

// What a row carries from key block to key block, as its activation's normaliser has it.
template <class T>
struct RowState {
    double sum;
    T maximum;
};

// p = w phi(x), ds = w phi'(x) (dp - delta), for x = scale * s + shift, s = q k^T; w is weight, or its square
// where phi is divided by its sum.
template <class T>
struct RowConstants {
    T shift, weight, delta;
};

// A block of rows of a kv head, and a split of its keys.
struct AttendTask {
    std::int64_t batch, kv_head, row_block, split;
};
// A row of a kv head.
struct KvRow {
    std::int64_t batch, kv_head, row;
};
// Queries of a head group.
struct GroupTask {
    std::int64_t batch, group;
    Range queries;
};

// How a row is added to another.
enum class Join {
    store,       // it is the first
    add,         // added with ordinary rounding
    compensate,  // the same, and what rounding took is kept and comes in with the next (Kahan's summation)
};
inline constexpr int kJoins = 3;

// Rows of a partial sum, times a factor, that are added to rows elsewhere.
template <class T>
struct Addition {
    std::int64_t rows, features;
    T factor = 1;
    const T* from;
    std::int64_t from_stride = 0;
    T* to;
    std::int64_t to_stride = 0;  // 0: all rows are added to one
    T* lost = nullptr;           // the rounding error in `to` so far, where it is compensated
    std::int64_t lost_stride = 0;
};

// The tile functions of one ISA for one scalar type. `scratch` is the thread's.
template <class T>
struct Tiles {
    Tuning tuning;
    // Packs one slice of a distinct head: slices are counted through its key blocks.
    void (*pack_keys)(const ForwardCall<T>&, std::int64_t distinct_head, std::int64_t slice);
    void (*pack_values)(const ForwardCall<T>&, std::int64_t distinct_head, std::int64_t slice);
    // o (and lse) of one block of rows, or what one split of its keys gives to it.
    void (*attend)(const ForwardCall<T>&, const AttendTask&, T* scratch);
    // o (and lse) of one row from its splits.
    void (*join_splits)(const ForwardCall<T>&, const KvRow&, T* scratch);
    // Joins the heads of a group under one normaliser.
    void (*join_heads)(const ForwardCall<T>&, const GroupTask&);

    // The constants of rows, and their part of dsink: what a normaliser's backward starts from.
    void (*row_constants)(const BackwardCall<T>&, const GroupTask&);
    // One key block: begin packs it; step finds what one block of rows gives to its dk and dv, and the rows'
    // dq, which is left in scratch; end leaves its dbias.
    void (*backward_begin)(const BackwardCall<T>&, const KeyBlockTask&, T* scratch);
    void (*backward_step)(const BackwardCall<T>&, const KeyBlockTask&, std::int64_t row_block, T* scratch);
    void (*backward_end)(const BackwardCall<T>&, const KeyBlockTask&, T* scratch);
    void (*add[kJoins])(const Addition<T>&);
};

// What the kernels of one ISA are.
struct Isa {
    Tiles<float> f32;
    Tiles<double> f64;
    hone_activation_info info[kActivationCount];
};

}  // namespace hone
