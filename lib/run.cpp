// run.cpp: the loops over tasks: phases in turn, tasks of a phase on all threads.
#include "run.hpp"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

namespace hone {
namespace {

// Calls body(task, thread) for each task. Tasks start in order, which the chains of backward rely on: the
// first unfinished task never waits for another.
template <class Body>
void for_tasks(int threads, std::int64_t tasks, Body body) {
    if (threads == 1 || tasks <= 1) {
        for (std::int64_t task = 0; task < tasks; ++task) body(task, 0);
        return;
    }
    std::atomic<std::int64_t> next{0};
#pragma omp parallel num_threads(threads)
    for (std::int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;)
        body(task, omp_get_thread_num());
}

// T is const for an input.
template <class T>
Tensor<T> tensor(const hone_tensor& t) {
    return {static_cast<T*>(t.data), t.batch_stride, t.head_stride, t.row_stride};
}

template <class T>
Tensor<T> contiguous(std::byte* data, std::int64_t heads, std::int64_t rows, std::int64_t features) {
    return {reinterpret_cast<T*>(data), heads * rows * features, rows * features, features};
}

template <class T, class Args>
Parameters<T> parameters(const hone_problem& p, const Args& a, double score_unit) {
    const double scale = p.scale != 0 ? p.scale : 1 / std::sqrt(static_cast<double>(p.key_dim));
    return {static_cast<const T*>(a.sink),
            static_cast<const T*>(a.log_prior),
            static_cast<const T*>(a.shift),
            scale,
            scale * score_unit,
            p.softmax_n,
            p.weight};
}

}  // namespace

int thread_count(int wanted) {
    return std::min(wanted > 0 ? wanted : omp_get_max_threads(), kMostThreads);
}

template <class T>
void run(const ForwardPlan& plan, const Tiles<T>& tiles, const hone_problem& p, const hone_forward_args& a,
         double score_unit, std::byte* workspace) {
    const Extents& n = plan.n;
    const Blocks& block = plan.block;
    ForwardCall<T> call = {};
    call.n = n;
    call.block = block;
    call.parameter = parameters<T>(p, a, score_unit);
    call.scratch = plan.scratch;
    call.q = tensor<const T>(a.q);
    call.k = tensor<const T>(a.k);
    call.v = tensor<const T>(a.v);
    call.o = tensor<T>(a.o);
    call.packed_k = reinterpret_cast<T*>(workspace + plan.packed_k);
    call.packed_v = reinterpret_cast<T*>(workspace + plan.packed_v);
    call.v_odd = reinterpret_cast<unsigned char*>(workspace + plan.v_odd);
    call.k_batches = plan.k_batches;
    call.k_heads = plan.k_heads;
    call.v_batches = plan.v_batches;
    call.v_heads = plan.v_heads;
    call.lse = plan.joint ? reinterpret_cast<T*>(workspace + plan.lse) : static_cast<T*>(a.lse);
    call.joint_lse = plan.joint ? static_cast<T*>(a.lse) : nullptr;

    const std::int64_t k_packs = plan.k_batches * plan.k_heads * block.key_blocks;
    const std::int64_t v_packs = plan.v_batches * plan.v_heads * block.key_blocks;
    for_tasks(plan.threads, k_packs + v_packs, [&](std::int64_t task, int) {
        if (task < k_packs)
            tiles.pack_keys(call, task / block.key_blocks, task % block.key_blocks);
        else
            tiles.pack_values(call, (task - k_packs) / block.key_blocks, (task - k_packs) % block.key_blocks);
    });
    // The last rows first: under a causal mask they see the most keys.
    for_tasks(plan.threads, n.batch * n.kv_heads * block.row_blocks, [&](std::int64_t task, int thread) {
        const std::int64_t heads = n.batch * n.kv_heads, head = task % heads;
        T* scratch = reinterpret_cast<T*>(workspace + plan.scratch_at + thread * plan.scratch_stride);
        tiles.forward[p.activation](call, head / n.kv_heads, head % n.kv_heads,
                                    block.row_blocks - 1 - task / heads, scratch);
    });
    if (!plan.joint) return;
    constexpr std::int64_t chunk = 64;
    const std::int64_t chunks = (n.queries + chunk - 1) / chunk, groups = n.query_heads / n.joint_heads;
    for_tasks(plan.threads, n.batch * groups * chunks, [&](std::int64_t task, int) {
        const std::int64_t first = task % chunks * chunk, group = task / chunks;
        tiles.join_heads(call, group / groups, group % groups, first, smaller(first + chunk, n.queries));
    });
}

namespace {

template <class T>
BackwardCall<T> backward_call(const BackwardPlan& plan, const hone_problem& p, const hone_backward_args& a,
                              double score_unit, std::byte* workspace) {
    const Extents& n = plan.n;
    const auto place = [&](std::size_t at) { return reinterpret_cast<T*>(workspace + at); };
    BackwardCall<T> call = {};
    call.n = n;
    call.block = plan.block;
    call.parameter = parameters<T>(p, a, score_unit);
    call.scratch = plan.scratch;
    call.q = tensor<const T>(a.q);
    call.k = tensor<const T>(a.k);
    call.v = tensor<const T>(a.v);
    call.o = tensor<const T>(a.o);
    call.dout = tensor<const T>(a.dout);
    call.lse = static_cast<const T*>(a.lse);
    call.dlse = static_cast<const T*>(a.dlse);
    call.dq = plan.dq_apart ? contiguous<T>(workspace + plan.dq, n.query_heads, n.queries, n.key_dim)
                            : tensor<T>(a.dq);
    call.dk =
        plan.dk_apart ? contiguous<T>(workspace + plan.dk, n.kv_heads, n.keys, n.key_dim) : tensor<T>(a.dk);
    call.dv =
        plan.dv_apart ? contiguous<T>(workspace + plan.dv, n.kv_heads, n.keys, n.value_dim) : tensor<T>(a.dv);
    call.dq_slots = plan.dq_slots;
    call.dq_slot_stride = n.batch * n.query_heads * n.queries * n.key_dim;
    call.row_shift = place(plan.row_shift);
    call.row_weight = place(plan.row_weight);
    call.row_delta = place(plan.row_delta);
    call.dbias = a.dshift || a.dlog_prior ? reinterpret_cast<double*>(workspace + plan.dbias) : nullptr;
    call.dsink = a.dsink ? reinterpret_cast<double*>(workspace + plan.dsink) : nullptr;
    call.row_chunk = plan.row_chunk;
    call.row_chunks = plan.row_chunks;
    return call;
}

// All key blocks of all heads. The blocks of rows of one key block follow one another; each adds to dq when
// the key blocks before it (of the same slot) have: a fixed order, whoever computes.
template <class T>
void run_key_blocks(const BackwardPlan& plan, const Tiles<T>& tiles, const BackwardCall<T>& call,
                    int activation, std::byte* workspace) {
    const Extents& n = plan.n;
    const Blocks& block = plan.block;
    auto* turns = reinterpret_cast<int*>(workspace + plan.turns);
    const std::int64_t slots = plan.dq_slots;
    for (std::int64_t i = 0; i < n.batch * n.kv_heads * slots * block.row_blocks; ++i) turns[i] = 0;
    for_tasks(plan.threads, n.batch * n.kv_heads * block.key_blocks, [&](std::int64_t task, int thread) {
        const std::int64_t head = task / block.key_blocks, key_block = task % block.key_blocks;
        const std::int64_t batch = head / n.kv_heads, kv_head = head % n.kv_heads;
        const std::int64_t slot = key_block * slots / block.key_blocks;
        const std::int64_t first_of_slot = (slot * block.key_blocks + slots - 1) / slots;
        T* scratch = reinterpret_cast<T*>(workspace + plan.scratch_at + thread * plan.scratch_stride);
        tiles.backward_begin(call, batch, kv_head, key_block, scratch);
        for (std::int64_t row_block = 0; row_block < block.row_blocks; ++row_block) {
            const std::int64_t last_row =
                smaller((row_block + 1) * block.rows, n.queries * n.heads_per_kv) - 1;
            if (keys_seen(n, last_row / n.heads_per_kv) <= key_block * block.keys) continue;
            tiles.backward_step[activation](call, batch, kv_head, key_block, row_block, scratch);
            if (!call.dq.data) continue;
            std::atomic_ref<int> turn(turns[(head * slots + slot) * block.row_blocks + row_block]);
            while (turn.load(std::memory_order_acquire) != key_block - first_of_slot)
                std::this_thread::yield();
            tiles.backward_dq(call, batch, kv_head, slot, row_block, scratch);
            turn.store(static_cast<int>(key_block - first_of_slot + 1), std::memory_order_release);
        }
        tiles.backward_end(call, batch, kv_head, key_block, scratch);
    });
}

template <class T>
void reduce(int threads, const Tiles<T>& tiles, const Reduction<T>& sum) {
    const std::int64_t batches = sum.to.batch_stride == 0 ? 1 : sum.batch;
    const std::int64_t heads = sum.to.head_stride == 0 ? 1 : sum.heads;
    const std::int64_t rows = sum.to.row_stride == 0 ? 1 : sum.rows;
    for_tasks(threads, batches * heads * rows, [&](std::int64_t task, int) {
        tiles.reduce_row(sum, task / rows / heads, task / rows % heads, task % rows);
    });
}

// to[j] = sum over i and l of from[i, j, l].
template <class T>
void sum_parts(const double* from, std::int64_t outer, std::int64_t count, std::int64_t inner, void* to) {
    for (std::int64_t j = 0; j < count; ++j) {
        double sum = 0;
        for (std::int64_t i = 0; i < outer; ++i)
            for (std::int64_t l = 0; l < inner; ++l) sum += from[(i * count + j) * inner + l];
        static_cast<T*>(to)[j] = static_cast<T>(sum);
    }
}

}  // namespace

template <class T>
void run(const BackwardPlan& plan, const Tiles<T>& tiles, const hone_problem& p, const hone_backward_args& a,
         double score_unit, std::byte* workspace) {
    const Extents& n = plan.n;
    const BackwardCall<T> call = backward_call<T>(plan, p, a, score_unit, workspace);
    const std::int64_t groups = n.query_heads / n.joint_heads;
    for_tasks(plan.threads, n.batch * groups * plan.row_chunks, [&](std::int64_t task, int) {
        const std::int64_t group = task / plan.row_chunks;
        tiles.backward_rows[p.activation](call, group / groups, group % groups, task % plan.row_chunks);
    });
    run_key_blocks(plan, tiles, call, p.activation, workspace);
    if (plan.dq_apart)
        reduce<T>(
            plan.threads, tiles,
            {call.dq.data, tensor<T>(a.dq), plan.dq_slots, n.batch, n.query_heads, n.queries, n.key_dim});
    if (plan.dk_apart)
        reduce<T>(plan.threads, tiles,
                  {call.dk.data, tensor<T>(a.dk), 1, n.batch, n.kv_heads, n.keys, n.key_dim});
    if (plan.dv_apart)
        reduce<T>(plan.threads, tiles,
                  {call.dv.data, tensor<T>(a.dv), 1, n.batch, n.kv_heads, n.keys, n.value_dim});
    for (void* dbias : {a.dshift, a.dlog_prior})
        if (dbias) sum_parts<T>(call.dbias, n.batch, n.query_heads, plan.block.key_blocks, dbias);
    if (a.dsink) sum_parts<T>(call.dsink, n.batch, groups, plan.row_chunks, a.dsink);
}

template void run(const ForwardPlan&, const Tiles<float>&, const hone_problem&, const hone_forward_args&,
                  double, std::byte*);
template void run(const ForwardPlan&, const Tiles<double>&, const hone_problem&, const hone_forward_args&,
                  double, std::byte*);
template void run(const BackwardPlan&, const Tiles<float>&, const hone_problem&, const hone_backward_args&,
                  double, std::byte*);
template void run(const BackwardPlan&, const Tiles<double>&, const hone_problem&, const hone_backward_args&,
                  double, std::byte*);

}  // namespace hone
