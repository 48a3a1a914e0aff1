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

template <class T, class Args>
Parameters<T> parameters(const hone_problem& p, const Args& a) {
    const double scale = p.scale != 0 ? p.scale : 1 / std::sqrt(static_cast<double>(p.key_dim));
    return {static_cast<const T*>(a.sink),
            static_cast<const T*>(a.log_prior),
            static_cast<const T*>(a.shift),
            static_cast<T>(scale),
            p.softmax_n,
            p.weight};
}

}  // namespace

int thread_count(int wanted) {
    return std::min(wanted > 0 ? wanted : omp_get_max_threads(), kMostThreads);
}

template <class T>
void run(const ForwardPlan& plan, const Tiles<T>& tiles, const hone_problem& p, const hone_forward_args& a,
         std::byte* workspace) {
    const Extents& n = plan.n;
    const Blocks& block = plan.block;
    ForwardCall<T> call = {};
    call.n = n;
    call.block = block;
    call.parameter = parameters<T>(p, a);
    call.scratch = plan.scratch;
    call.reading = plan.reading;
    call.q = tensor<const T>(a.q);
    call.k = tensor<const T>(a.k);
    call.v = tensor<const T>(a.v);
    call.o = tensor<T>(a.o);
    call.chunks = plan.chunks;
    call.chunk_blocks = plan.chunk_blocks;
    call.part_maximum = reinterpret_cast<T*>(workspace + plan.part_maximum);
    call.part_sum = reinterpret_cast<T*>(workspace + plan.part_sum);
    call.part_o = reinterpret_cast<T*>(workspace + plan.part_o);
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
    if (plan.reading == Reading::shared)
        for_tasks(plan.threads, k_packs + v_packs, [&](std::int64_t task, int) {
            if (task < k_packs)
                tiles.share_keys(call, task / block.key_blocks, task % block.key_blocks);
            else
                tiles.share_values(call, (task - k_packs) / block.key_blocks,
                                   (task - k_packs) % block.key_blocks);
        });
    // The last rows first: under a causal mask they see the most keys.
    const std::int64_t heads = n.batch * n.kv_heads;
    for_tasks(plan.threads, block.row_blocks * heads * plan.chunks, [&](std::int64_t task, int thread) {
        const std::int64_t chunk = task % plan.chunks, head = task / plan.chunks % heads;
        T* scratch = reinterpret_cast<T*>(workspace + plan.scratch_at + thread * plan.scratch_stride);
        tiles.forward[p.activation](call, head / n.kv_heads, head % n.kv_heads,
                                    block.row_blocks - 1 - task / plan.chunks / heads, chunk, scratch);
    });
    const std::int64_t rows = n.queries * n.heads_per_kv;
    if (plan.chunks > 1)
        for_tasks(plan.threads, heads * rows, [&](std::int64_t task, int) {
            const std::int64_t head = task / rows;
            tiles.join_chunks[p.activation](call, head / n.kv_heads, head % n.kv_heads, task % rows);
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
                              std::byte* workspace) {
    const Extents& n = plan.n;
    const auto place = [&](std::size_t at) { return reinterpret_cast<T*>(workspace + at); };
    BackwardCall<T> call = {};
    call.n = n;
    call.block = plan.block;
    call.parameter = parameters<T>(p, a);
    call.scratch = plan.scratch;
    call.q = tensor<const T>(a.q);
    call.k = tensor<const T>(a.k);
    call.v = tensor<const T>(a.v);
    call.o = tensor<const T>(a.o);
    call.dout = tensor<const T>(a.dout);
    call.lse = static_cast<const T*>(a.lse);
    call.dlse = static_cast<const T*>(a.dlse);
    call.in_place = plan.in_place;
    call.dq = tensor<T>(a.dq);
    call.dk = tensor<T>(a.dk);
    call.dv = tensor<T>(a.dv);
    call.dq_slot_stride = plan.dq_batches * plan.dq_heads * plan.dq_rows * n.key_dim;
    if (plan.dq_slots > 1) {
        const std::int64_t row = n.key_dim, head = plan.dq_rows * row, batch = plan.dq_heads * head;
        call.dq = {place(plan.dq), a.dq.batch_stride == 0 ? 0 : batch, a.dq.head_stride == 0 ? 0 : head,
                   a.dq.row_stride == 0 ? 0 : row};
    }
    call.row_shift = place(plan.row_shift);
    call.row_weight = place(plan.row_weight);
    call.row_delta = place(plan.row_delta);
    call.dbias = a.dshift || a.dlog_prior ? reinterpret_cast<double*>(workspace + plan.dbias) : nullptr;
    call.dsink = a.dsink ? reinterpret_cast<double*>(workspace + plan.dsink) : nullptr;
    call.row_chunk = plan.row_chunk;
    call.row_chunks = plan.row_chunks;
    return call;
}

// Counters in the workspace, at 0.
std::int64_t* counters(std::byte* workspace, std::size_t at, std::int64_t count) {
    auto* first = reinterpret_cast<std::int64_t*>(workspace + at);
    std::fill_n(first, count, std::int64_t{0});
    return first;
}

void wait_for(std::int64_t& counter, std::int64_t value) {
    while (std::atomic_ref(counter).load(std::memory_order_acquire) != value) std::this_thread::yield();
}

// Waits until it is turn `turn`, calls body, and passes the turn on.
template <class Body>
void in_turn(std::int64_t& whose, std::int64_t turn, Body body) {
    wait_for(whose, turn);
    body();
    std::atomic_ref(whose).store(turn + 1, std::memory_order_release);
}

// The tasks of backward: a key block each, which the blocks of rows that see it pass. What they add to a
// gradient they add in turn: a fixed order, whoever computes.
template <class T>
class KeyBlocks {
  public:
    KeyBlocks(const BackwardPlan& plan, const Tiles<T>& tiles, const BackwardCall<T>& call, int activation,
              std::byte* workspace)
        : plan_(plan),
          tiles_(tiles),
          call_(call),
          activation_(activation),
          workspace_(workspace),
          dq_turns_(counters(workspace, plan.dq_turns, plan.dq_slots * plan.dq_landing.cells())),
          dk_turns_(counters(workspace, plan.dk_turns, plan.dk_landing.cells())),
          dv_turns_(counters(workspace, plan.dv_turns, plan.dv_landing.cells())) {}

    void run(std::int64_t batch, std::int64_t kv_head, std::int64_t key_block, int thread) {
        const Extents& n = plan_.n;
        const Blocks& block = plan_.block;
        T* scratch = reinterpret_cast<T*>(workspace_ + plan_.scratch_at + thread * plan_.scratch_stride);
        tiles_.backward_begin(call_, batch, kv_head, key_block, scratch);
        for (std::int64_t row_block = 0; row_block < block.row_blocks; ++row_block) {
            const std::int64_t last = smaller((row_block + 1) * block.rows, n.queries * n.heads_per_kv) - 1;
            const bool sees = keys_seen(n, last / n.heads_per_kv) > key_block * block.keys;
            if (sees) tiles_.backward_step[activation_](call_, batch, kv_head, key_block, row_block, scratch);
            if (call_.dq.data) add_dq(batch, kv_head, key_block, row_block, sees, scratch);
        }
        const T *dk = scratch + plan_.scratch.dk, *dv = scratch + plan_.scratch.dv;
        if (call_.dk.data)
            add_keys(batch, kv_head, key_block, plan_.dk_landing, dk_turns_, call_.parameter.scale, dk,
                     block.key_width, n.key_dim, call_.dk);
        if (call_.dv.data)
            add_keys(batch, kv_head, key_block, plan_.dv_landing, dv_turns_, 1, dv, block.value_width,
                     n.value_dim, call_.dv);
        tiles_.backward_end(call_, batch, kv_head, key_block, scratch);
    }

  private:
    void add_dq(std::int64_t batch, std::int64_t kv_head, std::int64_t key_block, std::int64_t row_block,
                bool sees, const T* scratch) {
        const Landing& landing = plan_.dq_landing;
        const Landing::Place place = landing.place(batch, kv_head, key_block, row_block);
        const std::int64_t slots = plan_.dq_slots, turns = landing.turns(), slot = place.turn * slots / turns;
        const std::int64_t turn_in_slot = place.turn - (slot * turns + slots - 1) / slots;
        in_turn(dq_turns_[slot * landing.cells() + place.cell], turn_in_slot, [&] {
            if (turn_in_slot == 0) tiles_.clear_dq(call_, batch, kv_head, row_block, slot);
            if (sees) tiles_.add_dq(call_, batch, kv_head, row_block, slot, scratch);
        });
    }

    // dk or dv of one key block.
    void add_keys(std::int64_t batch, std::int64_t kv_head, std::int64_t key_block, const Landing& landing,
                  std::int64_t* turns, double factor, const T* from, std::int64_t width,
                  std::int64_t features, const Tensor<T>& to) {
        const Landing::Place place = landing.place(batch, kv_head, key_block, 0);
        const std::int64_t first = key_block * plan_.block.keys;
        const std::int64_t keys = smaller(plan_.block.keys, plan_.n.keys - first);
        T* const rows = at(to, batch, kv_head, first);
        in_turn(turns[place.cell], place.turn, [&] {
            if (place.turn == 0) tiles_.clear_rows(rows, to.row_stride, keys, features);
            tiles_.add_rows(from, width, static_cast<T>(factor), rows, to.row_stride, keys, features);
        });
    }

    const BackwardPlan& plan_;
    const Tiles<T>& tiles_;
    const BackwardCall<T>& call_;
    const int activation_;
    std::byte* const workspace_;
    std::int64_t *const dq_turns_, *const dk_turns_, *const dv_turns_;
};

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
         std::byte* workspace) {
    const Extents& n = plan.n;
    const BackwardCall<T> call = backward_call<T>(plan, p, a, workspace);
    const std::int64_t groups = n.query_heads / n.joint_heads;
    KeyBlocks<T> key_blocks(plan, tiles, call, p.activation, workspace);
    std::int64_t* const rows_done = counters(workspace, plan.rows_done, n.batch);
    // Batch by batch: the constants of its rows, then its key blocks, which read dout again while it is near.
    const std::int64_t row_tasks = groups * plan.row_chunks;
    const std::int64_t tasks = row_tasks + n.kv_heads * plan.block.key_blocks;
    for_tasks(plan.threads, n.batch * tasks, [&](std::int64_t task, int thread) {
        const std::int64_t batch = task / tasks, step = task % tasks, key_task = step - row_tasks;
        if (step < row_tasks) {
            tiles.backward_rows[p.activation](call, batch, step / plan.row_chunks, step % plan.row_chunks);
            std::atomic_ref(rows_done[batch]).fetch_add(1, std::memory_order_release);
        } else {
            wait_for(rows_done[batch], row_tasks);
            key_blocks.run(batch, key_task / plan.block.key_blocks, key_task % plan.block.key_blocks, thread);
        }
    });
    if (plan.dq_slots > 1) {
        const Reduction<T> sum = {call.dq.data,  tensor<T>(a.dq), plan.dq_slots, plan.dq_batches,
                                  plan.dq_heads, plan.dq_rows,    n.key_dim};
        for_tasks(plan.threads, sum.batch * sum.heads * sum.rows, [&](std::int64_t task, int) {
            const std::int64_t head = task / sum.rows;
            tiles.reduce_row(sum, head / sum.heads, head % sum.heads, task % sum.rows);
        });
    }
    for (void* dbias : {a.dshift, a.dlog_prior})
        if (dbias) sum_parts<T>(call.dbias, n.batch, n.query_heads, plan.block.key_blocks, dbias);
    if (a.dsink) sum_parts<T>(call.dsink, n.batch, groups, plan.row_chunks, a.dsink);
}

template void run(const ForwardPlan&, const Tiles<float>&, const hone_problem&, const hone_forward_args&,
                  std::byte*);
template void run(const ForwardPlan&, const Tiles<double>&, const hone_problem&, const hone_forward_args&,
                  std::byte*);
template void run(const BackwardPlan&, const Tiles<float>&, const hone_problem&, const hone_backward_args&,
                  std::byte*);
template void run(const BackwardPlan&, const Tiles<double>&, const hone_problem&, const hone_backward_args&,
                  std::byte*);

}  // namespace hone
