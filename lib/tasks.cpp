// tasks.cpp: the tasks of a forward call and of a backward call.
#include "tasks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gradient_sum.hpp"
#include "wait.hpp"

namespace hone {
namespace {

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

// A number for each row of each head group.
template <class T, class Pointer>
RowNumbers<T> row_numbers(const Shape& s, Pointer* data) {
    return {static_cast<T*>(data), group_count(s.n) * s.n.queries, s.n.queries};
}

// o and L of rows of a head that are padding. Heads of a group share L.
template <class T>
void clear_padding(const ForwardCall<T>& call, const Task& task) {
    const Range queries = ForwardSchedule(call).cleared_queries(task);
    for (std::int64_t query = queries.begin; query < queries.end; ++query) {
        std::fill_n(row_of(call.o, {task.batch, task.head, query}), call.n.value_dim, T(0));
        if (call.lse.data && task.head % call.n.group_heads == 0)
            number_of(call.lse, {task.batch, task.head / call.n.group_heads, query}) =
                -std::numeric_limits<T>::infinity();
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

template <class Call>
void clear_schedule_counters(const Call& call) {
    std::fill_n(reinterpret_cast<Counter*>(call.workspace + call.counters), schedule_of(call).counters(),
                Counter());
}

}  // namespace

template <class T>
ForwardCall<T> call_of(const ForwardPlan& plan, const hone_problem& p, const hone_forward_args& a,
                       std::byte* workspace) {
    return {plan,
            parameters<T>(p, a),
            {},
            mask_of(a.mask),
            source_of<T>(a.q),
            source_of<T>(a.k),
            source_of<T>(a.v),
            target_of<T>(a.o),
            row_numbers<T>(plan, a.lse),
            workspace};
}

template <class T>
BackwardCall<T> call_of(const BackwardPlan& plan, const hone_problem& p, const hone_backward_args& a,
                        std::byte* workspace) {
    return {plan,
            parameters<T>(p, a),
            {},
            mask_of(a.mask),
            source_of<T>(a.q),
            source_of<T>(a.k),
            source_of<T>(a.v),
            source_of<T>(a.o),
            source_of<T>(a.dout),
            row_numbers<const T>(plan, a.lse),
            row_numbers<const T>(plan, a.dlse),
            {target_of<T>(a.dq), target_of<T>(a.dk), target_of<T>(a.dv), static_cast<T*>(a.dsink),
             static_cast<T*>(a.dlog_prior), static_cast<T*>(a.dshift)},
            workspace};
}

template <class T>
void clear_counters(const ForwardCall<T>& call) {
    clear_schedule_counters(call);
}
template <class T>
void clear_counters(const BackwardCall<T>& call) {
    clear_schedule_counters(call);
    for (const Accumulator* gradient : {&call.dq, &call.dk, &call.dv})
        clear_counters(*gradient, call.workspace);
}

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
        case Work::join_heads:
            return tiles.join_heads(call, {task.batch, task.head, schedule.joined_queries(task)});
        default:
            return clear_padding(call, task);
    }
}

template <class T>
void run_task(const BackwardCall<T>& call, const Tiles<T>& tiles, const Task& task, T* scratch) {
    BackwardTasks<T>(call, tiles).run(task, scratch);
}

#define INSTANTIATE(T)                                                                                    \
    template ForwardCall<T> call_of(const ForwardPlan&, const hone_problem&, const hone_forward_args&,    \
                                    std::byte*);                                                          \
    template BackwardCall<T> call_of(const BackwardPlan&, const hone_problem&, const hone_backward_args&, \
                                     std::byte*);                                                         \
    template void clear_counters(const ForwardCall<T>&);                                                  \
    template void clear_counters(const BackwardCall<T>&);                                                 \
    template void run_task(const ForwardCall<T>&, const Tiles<T>&, const Task&, T*);                      \
    template void run_task(const BackwardCall<T>&, const Tiles<T>&, const Task&, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace hone
