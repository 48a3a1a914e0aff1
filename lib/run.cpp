// run.cpp: the loop over the tasks of a call.
#include "run.hpp"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "accumulate.hpp"
#include "crowding.hpp"
#include "rounding.hpp"

namespace hone {
namespace {

// OpenMP's threads do not outlive a fork: the child would wait for them for ever. It runs on one thread, by
// the plan for as many threads as its parent had, whose workspace it may have been given.
std::atomic<bool> forked{false};
[[maybe_unused]] const int watches_forks = pthread_atfork(nullptr, nullptr, [] { forked = true; });

thread_local Crowding crowding;

// Whether a task shows how fast a multiply-add is here. What others cost is mostly memory's, or nothing.
bool shows_speed(Work work) {
    return work == Work::attend || work == Work::key_block;
}

// Takes tasks in their order, so that what a task waits for has been taken before, and returns the least time
// for a multiply-add that one of them took.
template <class Schedule, class Body>
double run_share(const Schedule& schedule, std::atomic<std::int64_t>& next, Counter* counters, Body& body) {
    const Rounding rounding;
    double least = 1;
    for (std::int64_t i, tasks = schedule.tasks();
         (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
        const Task task = schedule.task(i);
        for (const Wait& wait : task.waits)
            if (wait.value > 0) wait_for(counters[wait.counter], wait.value);
        const auto begun = Crowding::Clock::now();
        body(task, omp_get_thread_num());
        if (task.advances >= 0) advance(counters[task.advances]);
        const Crowding::Seconds time = Crowding::Clock::now() - begun;
        if (shows_speed(task.work)) least = std::min(least, time.count() / schedule.cost(task));
    }
    return least;
}

// Calls body(task, thread) for each task of the schedule, in one parallel region.
template <class Schedule, class Body>
void run_tasks(const Schedule& schedule, int threads, Counter* counters, Body body) {
    const double cost = threads > 1 ? schedule.total_cost(Crowding::kShortCost) : 0;
    const bool is_short = cost < Crowding::kShortCost;
    if (threads == 1 || forked || (is_short && crowding.crowded(Crowding::Clock::now()))) {
        for (std::int64_t i = 0, tasks = schedule.tasks(); i < tasks; ++i) body(schedule.task(i), 0);
        return;
    }
    std::fill_n(counters, schedule.counters(), Counter());
    std::atomic<std::int64_t> next{0};
    double least = 1;
    const auto begun = Crowding::Clock::now();
#pragma omp parallel num_threads(threads) reduction(min : least)
    least = std::min(least, run_share(schedule, next, counters, body));
    const auto end = Crowding::Clock::now();
    if (is_short) crowding.called(end, end - begun, Crowding::Seconds(cost * least));
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

template <class T>
ForwardCall<T> forward_call(const ForwardPlan& plan, const hone_problem& p, const hone_forward_args& a,
                            std::byte* workspace) {
    const ForwardSchedule& s = plan.schedule;
    ForwardCall<T> call = {};
    call.n = s.n;
    call.block = s.block;
    call.parameter = parameters<T>(p, a);
    call.scratch = plan.scratch;
    call.reading = plan.reading;
    call.q = tensor<const T>(a.q);
    call.k = tensor<const T>(a.k);
    call.v = tensor<const T>(a.v);
    call.o = tensor<T>(a.o);
    call.chunks = s.chunks;
    call.chunk_blocks = s.chunk_blocks;
    call.part_maximum = reinterpret_cast<T*>(workspace + plan.part_maximum);
    call.part_sum = reinterpret_cast<double*>(workspace + plan.part_sum);
    call.part_o = reinterpret_cast<T*>(workspace + plan.part_o);
    call.packed_k = reinterpret_cast<T*>(workspace + plan.packed_k);
    call.packed_v = reinterpret_cast<T*>(workspace + plan.packed_v);
    call.v_odd = reinterpret_cast<unsigned char*>(workspace + plan.v_odd);
    call.k_batches = s.k_batches;
    call.k_heads = s.k_heads;
    call.v_batches = s.v_batches;
    call.v_heads = s.v_heads;
    call.lse = s.joint ? reinterpret_cast<T*>(workspace + plan.lse) : static_cast<T*>(a.lse);
    call.joint_lse = s.joint ? static_cast<T*>(a.lse) : nullptr;
    return call;
}

template <class T>
BackwardCall<T> backward_call(const BackwardPlan& plan, const hone_problem& p, const hone_backward_args& a,
                              std::byte* workspace) {
    const auto place = [&](std::size_t at) { return reinterpret_cast<T*>(workspace + at); };
    BackwardCall<T> call = {};
    call.n = plan.schedule.n;
    call.block = plan.schedule.block;
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
    call.dq = a.dq.data, call.dk = a.dk.data, call.dv = a.dv.data;
    call.row_shift = place(plan.row_shift);
    call.row_weight = place(plan.row_weight);
    call.row_delta = place(plan.row_delta);
    call.dbias = a.dshift || a.dlog_prior ? reinterpret_cast<double*>(workspace + plan.dbias) : nullptr;
    call.dsink = a.dsink ? reinterpret_cast<double*>(workspace + plan.dsink) : nullptr;
    call.row_chunk = plan.schedule.row_chunk;
    call.row_chunks = plan.schedule.row_chunks;
    return call;
}

// The tasks of one backward call.
template <class T>
class BackwardTasks {
  public:
    BackwardTasks(const BackwardPlan& plan, const Tiles<T>& tiles, const hone_problem& p,
                  const hone_backward_args& a, std::byte* workspace)
        : schedule_(plan.schedule),
          tiles_(tiles),
          activation_(p.activation),
          call_(backward_call<T>(plan, p, a, workspace)),
          dq_(schedule_.dq, a.dq, call_.parameter.scale, tiles, workspace, meeting(plan)),
          dk_(schedule_.dk, a.dk, call_.parameter.scale, tiles, workspace, meeting(plan)),
          dv_(schedule_.dv, a.dv, T(1), tiles, workspace, meeting(plan)) {}

    void run(const Task& task, T* scratch) {
        if (task.work == Work::row_constants)
            row_constants(task);
        else if (task.work == Work::key_block)
            key_block({task.batch, task.head, task.index}, scratch);
        else
            finish(schedule_.finish(task.index));
    }
    const BackwardCall<T>& call() const { return call_; }

  private:
    static Meeting meeting(const BackwardPlan& plan) {
        return plan.threads > 1 ? Meeting::possible : Meeting::never;
    }

    void row_constants(const Task& task) {
        const std::int64_t groups = schedule_.n.query_heads / schedule_.n.joint_heads;
        for (std::int64_t g = task.head; g < smaller(task.head + schedule_.row_groups, groups); ++g)
            tiles_.backward_rows[activation_](call_, task.batch, g, task.index / schedule_.row_chunk);
    }

    // The blocks of rows that see the key block pass by, the last one first.
    void key_block(const KeyBlockTask& task, T* scratch) {
        const BackwardScratch& at = call_.scratch;
        const Blocks& block = call_.block;
        tiles_.backward_begin(call_, task.batch, task.kv_head, task.key_block, scratch);
        QueryContribution<T> dq(dq_, call_, tiles_, task, scratch);
        KeyContribution<T> dk(dk_, call_, tiles_, task,
                              {scratch + at.dk, scratch + at.dk_sums, block.key_width});
        KeyContribution<T> dv(dv_, call_, tiles_, task,
                              {scratch + at.dv, scratch + at.dv_sums, block.value_width});
        const RowBlocks rows = schedule_.row_blocks(task.key_block);
        for (std::int64_t row_block = rows.end - 1; row_block >= rows.first; --row_block) {
            tiles_.backward_step[activation_](call_, task.batch, task.kv_head, task.key_block, row_block,
                                              scratch);
            dq.add_step(row_block);
            dk.add_step(row_block);
            dv.add_step(row_block);
        }
        dq.end();
        dk.end();
        dv.end();
        tiles_.backward_end(call_, task.batch, task.kv_head, task.key_block, scratch);
    }

    void finish(const BackwardSchedule::Finish& rows) {
        const Accumulator& how = *rows.gradient;
        const GradientSum<T>& sum = &how == &dq_.how() ? dq_ : &how == &dk_.how() ? dk_ : dv_;
        for (std::int64_t first = rows.first, last; first < rows.last; first = last) {
            const std::int64_t key_blocks = schedule_.contributing(how, rows.head, first);
            last = first + 1;
            while (last < rows.last && schedule_.contributing(how, rows.head, last) == key_blocks) ++last;
            sum.finish({rows.batch, rows.head, first, last}, how.contributions(key_blocks));
        }
    }

    const BackwardSchedule& schedule_;
    const Tiles<T>& tiles_;
    const int activation_;
    const BackwardCall<T> call_;
    const GradientSum<T> dq_, dk_, dv_;
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

int thread_count(int wanted) {
    constexpr int always = 64;
    const int most = std::max(always, omp_get_num_procs());
    return std::min(wanted > 0 ? wanted : omp_get_max_threads(), most);
}

template <class T>
void run(const ForwardPlan& plan, const Tiles<T>& tiles, const hone_problem& p, const hone_forward_args& a,
         std::byte* workspace) {
    const Rounding rounding;
    const ForwardSchedule& s = plan.schedule;
    const ForwardCall<T> call = forward_call<T>(plan, p, a, workspace);
    run_tasks(
        s, plan.threads, reinterpret_cast<Counter*>(workspace + plan.counters),
        [&](const Task& task, int thread) {
            T* scratch = reinterpret_cast<T*>(workspace + plan.scratch_at + thread * plan.scratch_stride);
            const std::int64_t last_row = smaller(task.index + s.join_rows(), s.n.queries * s.n.heads_per_kv);
            switch (task.work) {
                case Work::pack_keys:
                    return tiles.share_keys(call, task.head, task.index, task.chunk);
                case Work::pack_values:
                    return tiles.share_values(call, task.head, task.index, task.chunk);
                case Work::attend:
                    return tiles.forward[p.activation](call, task.batch, task.head, task.index, task.chunk,
                                                       scratch);
                case Work::join_chunks:
                    for (std::int64_t row = task.index; row < last_row; ++row)
                        tiles.join_chunks[p.activation](call, task.batch, task.head, row, scratch);
                    return;
                default:
                    return tiles.join_heads(call, task.batch, task.head, task.index,
                                            smaller(task.index + kJoinQueries, s.n.queries));
            }
        });
}

template <class T>
void run(const BackwardPlan& plan, const Tiles<T>& tiles, const hone_problem& p, const hone_backward_args& a,
         std::byte* workspace) {
    const Rounding rounding;
    const BackwardSchedule& s = plan.schedule;
    const std::int64_t groups = s.n.query_heads / s.n.joint_heads;
    BackwardTasks<T> tasks(plan, tiles, p, a, workspace);
    run_tasks(s, plan.threads, reinterpret_cast<Counter*>(workspace + plan.counters),
              [&](const Task& task, int thread) {
                  tasks.run(task,
                            reinterpret_cast<T*>(workspace + plan.scratch_at + thread * plan.scratch_stride));
              });
    for (void* dbias : {a.dshift, a.dlog_prior})
        if (dbias) sum_parts<T>(tasks.call().dbias, s.n.batch, s.n.query_heads, s.block.key_blocks, dbias);
    if (a.dsink) sum_parts<T>(tasks.call().dsink, s.n.batch, groups, s.row_chunks, a.dsink);
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
