// run.cpp: the loop over the tasks of a call.
#include "run.hpp"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <new>

#include "crowding.hpp"
#include "gradient_sum.hpp"
#include "rounding.hpp"
#include "runs.hpp"

namespace hone {
namespace {

// OpenMP's threads do not outlive a fork: the child would wait for them for ever. It runs on one thread,
// but by the plan for its parent's threads, as its workspace may have been measured for that.
std::atomic<bool> forked{false};
[[maybe_unused]] const int watches_forks = pthread_atfork(nullptr, nullptr, [] { forked = true; });

thread_local Crowding crowding;

// Whether a task shows how fast a multiply-add is here. The others mostly wait for memory, or do
// next to nothing.
bool shows_speed(Work work) {
    return work == Work::attend || work == Work::key_block;
}

// The scratch of a thread.
template <class T, class Call>
T* scratch_of(const Call& call, int thread) {
    return reinterpret_cast<T*>(call.workspace + call.scratch_at + thread * call.scratch_bytes);
}

template <class T, class Call>
void run_one(const Call& call, const Tiles<T>& tiles, const Task& task, int thread) {
    run_task(call, tiles, task, scratch_of<T>(call, thread));
}

// Takes tasks in their order, so that what a task waits for has been taken before, and returns the least time
// for a multiply-add that one of them took.
template <class T, class Call>
double run_share(const MergedSchedule<Call>& schedule, std::atomic<std::int64_t>& next,
                 const Tiles<T>& tiles) {
    const Rounding rounding;
    double least = 1;
    for (std::int64_t i, tasks = schedule.tasks();
         (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
        const auto [call, task] = schedule.task(i);
        auto* const counters = reinterpret_cast<Counter*>(call.workspace + call.counters);
        for (const Wait& wait : task.waits)
            if (wait.value > 0) wait_for(counters[wait.counter], wait.value);
        const auto begun = Crowding::Clock::now();
        run_one(call, tiles, task, omp_get_thread_num());
        if (task.advances >= 0) advance(counters[task.advances]);
        const Crowding::Seconds time = Crowding::Clock::now() - begun;
        if (shows_speed(task.work)) least = std::min(least, time.count() / schedule_of(call).cost(task));
    }
    return least;
}

// Runs all tasks, in one parallel region.
template <class T, class Call>
void run_tasks(const MergedSchedule<Call>& schedule, int threads, const Tiles<T>& tiles) {
    const double cost = threads > 1 ? schedule.total_cost(Crowding::kShortCost) : 0;
    const bool is_short = cost < Crowding::kShortCost;
    if (threads > 1)
        for (const Call& call : schedule.parts()) clear_counters(call);
    if (threads == 1 || forked || (is_short && crowding.crowded(Crowding::Clock::now()))) {
        for (std::int64_t i = 0, tasks = schedule.tasks(); i < tasks; ++i) {
            const auto [call, task] = schedule.task(i);
            run_one(call, tiles, task, 0);
        }
        return;
    }
    std::atomic<std::int64_t> next{0};
    double least = 1;
    const auto begun = Crowding::Clock::now();
#pragma omp parallel num_threads(threads) reduction(min : least)
    least = std::min(least, run_share(schedule, next, tiles));
    const auto end = Crowding::Clock::now();
    if (is_short) crowding.called(end, end - begun, Crowding::Seconds(cost * least));
}

// What is left to do when all tasks are done.
template <class T>
void end_call(std::span<const ForwardCall<T>>) {}
template <class T>
void end_call(std::span<const BackwardCall<T>> parts) {
    sum_parameter_gradients(parts);
}

template <class T>
void set_lse_stride(ForwardCall<T>& call, std::int64_t stride) {
    call.lse.head_stride = stride;
}
template <class T>
void set_lse_stride(BackwardCall<T>& call, std::int64_t stride) {
    call.lse.head_stride = call.dlse.head_stride = stride;
}

// The call of a part, which begins at `own` in the workspace.
template <class T, class Args>
auto call_of_part(const Part<Args>& part, const CallPlan<Args>& plan, std::byte* workspace, std::size_t own) {
    auto call = call_of<T>(part.plan, part.problem, part.args, workspace + own);
    call.scratch_at = plan.scratch_at - own, call.scratch_bytes = plan.scratch_bytes;
    set_lse_stride(call, part.lse_stride);
    return call;
}

template <class T>
void place_terms(ForwardCall<T>&, const Part<hone_forward_args>&, const SummedOverParts&) {}
// Gradients that are summed over parts lie in the part's workspace first.
template <class T>
void place_terms(BackwardCall<T>& call, const Part<hone_backward_args>& part, const SummedOverParts& summed) {
    Target<T>* const terms[] = {&call.gradient.q, &call.gradient.k, &call.gradient.v};
    for (int i = 0; i < 3; ++i)
        if (summed.of[i]) terms[i]->data = reinterpret_cast<T*>(call.workspace + part.summed_at[i]);
}

template <class T>
void sum_parts(std::span<const ForwardCall<T>>, const hone_problem&, const hone_forward_args&,
               const Tiles<T>&) {}
// In a region of its own: it is seldom that there is anything to do.
template <class T>
void sum_parts(std::span<const BackwardCall<T>> parts, const hone_problem& p, const hone_backward_args& a,
               const Tiles<T>& tiles) {
    using Call = BackwardCall<T>;
    const SummedOverParts summed = summed_over_parts(p, a);
    const hone_tensor* const tensors[] = {&a.dq, &a.dk, &a.dv};
    Accumulator Call::*const hows[] = {&Call::dq, &Call::dk, &Call::dv};
    Target<T> Gradients<T>::*const terms[] = {&Gradients<T>::q, &Gradients<T>::k, &Gradients<T>::v};
    for (int i = 0; i < 3; ++i) {
        if (!summed.of[i]) continue;
        const std::int64_t rows = i == 0 ? query_rows_of_entries(p) : key_rows_of_entries(p);
        const SumOverParts<T> sum = {
            parts,
            hows[i],
            terms[i],
            target_of<T>(*tensors[i]),
            distinct_along(tensors[i]->head_stride == 0, i == 0 ? p.query_heads : p.kv_heads),
            distinct_along(tensors[i]->row_stride == 0, rows),
            i == 2 ? p.value_dim : p.key_dim};
        const std::int64_t blocks = blocks_of(sum.rows, kFinishRows);
#pragma omp parallel for num_threads(forked ? 1 : parts[0].threads)
        for (std::int64_t n = 0; n < sum.heads * blocks; ++n) {
            const Rounding rounding;
            const std::int64_t first = n % blocks * kFinishRows;
            sum_over_parts(sum, tiles, n / blocks, {first, smaller(first + kFinishRows, sum.rows)},
                           scratch_of<T>(parts[0], omp_get_thread_num()));
        }
    }
}

}  // namespace

int thread_count(int wanted) {
    constexpr int always = 64;
    const int most = std::max(always, omp_get_num_procs());
    return std::min(wanted > 0 ? wanted : omp_get_max_threads(), most);
}

template <class T, class Args>
void run(const CallPlan<Args>& plan, const hone_problem& p, const Args& a, const Machine& machine,
         const Tiles<T>& tiles, std::byte* workspace) {
    using Call = decltype(call_of<T>(plan.plain.plan, p, a, workspace));
    auto* const calls = reinterpret_cast<Call*>(workspace + plan.parts_at);
    auto* const runs = reinterpret_cast<Run*>(workspace + plan.runs_at);
    const bool differ = entries_differ(p);
    const Parts<Args> parts(p, a, machine, plan.cost);
    std::size_t own = plan.own_at;
    Run* run = runs;
    for (std::int64_t i = 0; i < plan.parts; ++i) {
        const Part<Args> part = differ ? parts.part(i) : plan.plain;
        Call* const call = new (calls + i) Call(call_of_part<T>(part, plan, workspace, own));
        place_terms(*call, part, summed_over_parts(p, a));
        own += part.own_bytes;
        if (differ)
            run += runs_of(*call, i, run);
        else
            *run++ = only_run(schedule_of(*call).tasks());
    }
    if (differ) order({runs, run}, plan.threads);
    const std::span<const Call> all(calls, static_cast<std::size_t>(plan.parts));
    run_tasks(MergedSchedule<Call>(all, {runs, run}), plan.threads, tiles);
    end_call<T>(all);
    sum_parts<T>(all, p, a, tiles);
}

template <class T, class Call>
void run_alone(const Call& call, const Tiles<T>& tiles) {
    const Run run = only_run(schedule_of(call).tasks());
    run_tasks(MergedSchedule<Call>({&call, 1}, {&run, 1}), call.threads, tiles);
    end_call<T>(std::span<const Call>(&call, 1));
}

#define INSTANTIATE(T)                                                                                     \
    template void run(const CallPlan<hone_forward_args>&, const hone_problem&, const hone_forward_args&,   \
                      const Machine&, const Tiles<T>&, std::byte*);                                        \
    template void run(const CallPlan<hone_backward_args>&, const hone_problem&, const hone_backward_args&, \
                      const Machine&, const Tiles<T>&, std::byte*);                                        \
    template void run_alone(const ForwardCall<T>&, const Tiles<T>&);                                       \
    template void run_alone(const BackwardCall<T>&, const Tiles<T>&);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace hone
