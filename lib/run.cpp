// run.cpp: the loop over the tasks of a call.
#include "run.hpp"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <type_traits>

#include "crowding.hpp"
#include "gradient_sum.hpp"
#include "rounding.hpp"
#include "schedule.hpp"

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

// The scratch of a thread.
template <class Call>
auto scratch_of(const Call& call, int thread) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(call.lse)>>;
    return reinterpret_cast<T*>(call.workspace + call.scratch_at + thread * call.scratch_bytes);
}

// The tasks of one forward call.
template <class T>
void run_task(const ForwardCall<T>& call, const Tiles<T>& tiles, const Task& task, T* scratch) {
    const ForwardSchedule schedule(call);
    switch (task.work) {
        case Work::pack_keys:
            return tiles.pack_keys(call, task.head, task.index);
        case Work::pack_values:
            return tiles.pack_values(call, task.head, task.index);
        case Work::attend:
            return tiles.attend(call, {task.batch, task.head, task.index, task.split}, scratch);
        case Work::join_splits:
            for (std::int64_t row = task.index; row < schedule.joined_rows(task).end; ++row)
                tiles.join_splits(call, {task.batch, task.head, row}, scratch);
            return;
        default:
            return tiles.join_heads(call, {task.batch, task.head, schedule.joined_queries(task)});
    }
}

// The tasks of one backward call.
template <class T>
class BackwardTasks {
  public:
    BackwardTasks(const BackwardCall<T>& call, const Tiles<T>& tiles)
        : call_(call),
          schedule_(call),
          tiles_(tiles),
          dq_(call.dq, call.gradient.q, call.parameter.scale, tiles, call.workspace, meeting()),
          dk_(call.dk, call.gradient.k, call.parameter.scale, tiles, call.workspace, meeting()),
          dv_(call.dv, call.gradient.v, T(1), tiles, call.workspace, meeting()) {}

    void run(const Task& task, T* scratch) {
        if (task.work == Work::row_constants)
            row_constants(task);
        else if (task.work == Work::key_block)
            key_block({task.batch, task.head, task.index}, scratch);
        else
            finish(schedule_.finish(task.index));
    }

  private:
    Meeting meeting() const { return call_.threads > 1 ? Meeting::possible : Meeting::never; }

    void row_constants(const Task& task) {
        const Range groups = schedule_.groups(task);
        for (std::int64_t group = groups.begin; group < groups.end; ++group)
            tiles_.row_constants(call_, {task.batch, group, schedule_.queries(task)});
    }

    void key_block(const KeyBlockTask& task, T* scratch) {
        const BackwardScratch& at = call_.scratch;
        const Blocks& block = call_.block;
        tiles_.backward_begin(call_, task, scratch);
        QueryContribution<T> dq(dq_, call_, tiles_, task, scratch);
        KeyContribution<T> dk(dk_, call_, tiles_, task,
                              {scratch + at.dk, scratch + at.dk_sums, block.key_width});
        KeyContribution<T> dv(dv_, call_, tiles_, task,
                              {scratch + at.dv, scratch + at.dv_sums, block.value_width});
        for_steps(call_, task.key_block, [&](std::int64_t row_block) {
            tiles_.backward_step(call_, task, row_block, scratch);
            dq.add_step(row_block);
            dk.add_step(row_block);
            dv.add_step(row_block);
        });
        dq.end();
        dk.end();
        dv.end();
        tiles_.backward_end(call_, task, scratch);
    }

    void finish(const BackwardSchedule::Finish& task) {
        const Accumulator& how = *task.gradient;
        const GradientSum<T>& sum = &how == &call_.dq ? dq_ : &how == &call_.dk ? dk_ : dv_;
        for (Range rows = {task.rows.begin, 0}; rows.begin < task.rows.end; rows.begin = rows.end) {
            const Range key_blocks = schedule_.contributing(how, task.head, rows.begin);
            const std::int64_t terms = contributions(how, key_blocks);
            rows.end = rows.begin + 1;
            while (rows.end < task.rows.end &&
                   contributions(how, schedule_.contributing(how, task.head, rows.end)) == terms)
                ++rows.end;
            sum.finish({task.batch, task.head, rows, terms});
        }
    }

    const BackwardCall<T>& call_;
    const BackwardSchedule schedule_;
    const Tiles<T>& tiles_;
    const GradientSum<T> dq_, dk_, dv_;
};

}  // namespace

int thread_count(int wanted) {
    constexpr int always = 64;
    const int most = std::max(always, omp_get_num_procs());
    return std::min(wanted > 0 ? wanted : omp_get_max_threads(), most);
}

template <class T>
ForwardCall<T> call_of(const ForwardPlan& plan, const hone_problem& p, const hone_forward_args& a,
                       std::byte* workspace) {
    return {plan,
            parameters<T>(p, a),
            {},
            source_of<T>(a.q),
            source_of<T>(a.k),
            source_of<T>(a.v),
            target_of<T>(a.o),
            static_cast<T*>(a.lse),
            workspace};
}

template <class T>
BackwardCall<T> call_of(const BackwardPlan& plan, const hone_problem& p, const hone_backward_args& a,
                        std::byte* workspace) {
    return {plan,
            parameters<T>(p, a),
            {},
            source_of<T>(a.q),
            source_of<T>(a.k),
            source_of<T>(a.v),
            source_of<T>(a.o),
            source_of<T>(a.dout),
            static_cast<const T*>(a.lse),
            static_cast<const T*>(a.dlse),
            {target_of<T>(a.dq), target_of<T>(a.dk), target_of<T>(a.dv), static_cast<T*>(a.dsink),
             static_cast<T*>(a.dlog_prior), static_cast<T*>(a.dshift)},
            workspace};
}

template <class T>
void run(const ForwardCall<T>& call, const Tiles<T>& tiles) {
    run_tasks(ForwardSchedule(call), call.threads, reinterpret_cast<Counter*>(call.workspace + call.counters),
              [&](const Task& task, int thread) { run_task(call, tiles, task, scratch_of(call, thread)); });
}

template <class T>
void run(const BackwardCall<T>& call, const Tiles<T>& tiles) {
    BackwardTasks<T> tasks(call, tiles);
    run_tasks(BackwardSchedule(call), call.threads,
              reinterpret_cast<Counter*>(call.workspace + call.counters),
              [&](const Task& task, int thread) { tasks.run(task, scratch_of(call, thread)); });
    sum_parameter_gradients(call);
}

#define INSTANTIATE(T)                                                                                    \
    template ForwardCall<T> call_of(const ForwardPlan&, const hone_problem&, const hone_forward_args&,    \
                                    std::byte*);                                                          \
    template BackwardCall<T> call_of(const BackwardPlan&, const hone_problem&, const hone_backward_args&, \
                                     std::byte*);                                                         \
    template void run(const ForwardCall<T>&, const Tiles<T>&);                                            \
    template void run(const BackwardCall<T>&, const Tiles<T>&);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace hone
