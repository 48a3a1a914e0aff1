// simulate.hpp: runs the schedule of a plan on so many threads in simulated time: tasks cost what the
// schedule says, and wait as it and the accumulators say.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <queue>
#include <span>
#include <vector>

#include "runs.hpp"

namespace hone::test {

struct Simulated {
    double time = 0;   // until the last task ends
    double total = 0;  // of all costs
    double bound = 0;  // no order of tasks ends earlier
    double efficiency() const { return bound / time; }
};

// The times at which a counter was advanced. Tasks are simulated in their order, so that all times that a
// wait may depend on are known when it comes.
class Advances {
  public:
    // When the counter reaches `value`.
    double reaches(std::int64_t value) {
        if (static_cast<std::int64_t>(times_.size()) < value) {
            ADD_FAILURE() << "a task waits for one that comes after it";
            return 0;
        }
        std::nth_element(times_.begin(), times_.begin() + value - 1, times_.end());
        return times_[value - 1];
    }
    void advance(double time) { times_.push_back(time); }
    std::int64_t count() const { return static_cast<std::int64_t>(times_.size()); }

  private:
    std::vector<double> times_;
};

// A factor for each cost, 1 on average.
using Vary = std::function<double()>;
inline double as_it_is() {
    return 1;
}

// The turns of one gradient.
class Turns {
  public:
    explicit Turns(const Accumulator& gradient) : gradient_(gradient), done_(counter_count(gradient)) {}
    // When a contribution that is ready at `time` has been added.
    double add(const Turn& turn, double time, double cost) {
        if (!gradient_.wanted) return time;
        if (done_.empty()) return time + cost;
        Done& done = done_[turn.counter];
        EXPECT_EQ(done.count, turn.number) << "a contribution comes before its turn";
        ++done.count;
        return done.time = std::max(time, done.time) + cost;
    }

  private:
    struct Done {
        double time = 0;
        std::int64_t count = 0;
    };
    const Accumulator& gradient_;
    std::vector<Done> done_;
};

// The gradients of one part while it is simulated.
struct PartTurns {
    explicit PartTurns(const BackwardPlan& plan) : dq(plan.dq), dk(plan.dk), dv(plan.dv) {}
    Turns dq, dk, dv;
};

class Simulator {
  public:
    Simulator(const ForwardPlan& plan, int threads, Vary vary = as_it_is) : vary_(std::move(vary)) {
        run_only(plan, threads);
    }
    Simulator(const BackwardPlan& plan, int threads, Vary vary = as_it_is) : vary_(std::move(vary)) {
        run_only(plan, threads);
    }
    // The parts of a call, with their runs.
    template <class Plan>
    Simulator(const std::vector<Plan>& parts, const std::vector<Run>& runs, int threads) : vary_(as_it_is) {
        simulate(std::span<const Plan>(parts), MergedSchedule<Plan>(parts, runs), threads);
    }

    const Simulated& result() const { return result_; }

  private:
    template <class Plan>
    void run_only(const Plan& plan, int threads) {
        const Run run = only_run(schedule_of(plan).tasks());
        const std::span<const Plan> parts(&plan, 1);
        simulate(parts, MergedSchedule<Plan>(parts, {&run, 1}), threads);
    }

    void simulate(std::span<const ForwardPlan>, const MergedSchedule<ForwardPlan>& schedule, int threads) {
        run(schedule, threads, [&](const ForwardPlan& plan, const Task& task, double time) {
            return time + vary_() * ForwardSchedule(plan).cost(task);
        });
    }

    void simulate(std::span<const BackwardPlan> parts, const MergedSchedule<BackwardPlan>& schedule,
                  int threads) {
        std::deque<PartTurns> gradients(parts.begin(), parts.end());
        run(schedule, threads, [&](const BackwardPlan& plan, const Task& task, double time) {
            return end_of(plan, gradients[&plan - parts.data()], task, time);
        });
        // The last to add to a cell comes after all others have added.
        for (const BackwardPlan& plan : parts) {
            double ordered = 0;
            for (const Accumulator* gradient : {&plan.dq, &plan.dk, &plan.dv}) {
                const std::int64_t terms = contributions(*gradient, gradient->key_blocks);
                ordered += static_cast<double>((terms + gradient->copies - 1) / gradient->copies) *
                           BackwardSchedule(plan).add_cost(*gradient);
            }
            result_.bound = std::max(result_.bound, longest_ + ordered);
        }
    }

    // When a task of backward ends that begins at `time`.
    double end_of(const BackwardPlan& plan, PartTurns& sums, const Task& task, double time) {
        const BackwardSchedule schedule(plan);
        if (task.work != Work::key_block) return time + vary_() * schedule.cost(task);
        const KeyBlockTask at = {task.batch, task.head, task.index};
        double adds = schedule.add_cost(plan.dk) + schedule.add_cost(plan.dv), steps = 0;
        const double dq_cost = schedule.add_cost(plan.dq);
        const Range rows = row_blocks_seeing(plan, task.index);
        for (std::int64_t r = rows.begin; r < rows.end; ++r) {
            steps += schedule.step_cost(task.index, r);
            if (!plan.dq.sums.rows) adds += dq_cost;
        }
        if (plan.dq.sums.rows) adds += dq_cost;
        time += vary_() * (schedule.cost(task) - steps - adds);
        for (std::int64_t r = rows.end - 1; r >= rows.begin; --r) {
            time += vary_() * schedule.step_cost(task.index, r);
            if (!plan.dq.sums.rows)
                time = sums.dq.add(turn_of(plan.dq, at, r, key_blocks_seen(plan, r)), time, dq_cost);
        }
        const Range all = plan.block.key_blocks;
        if (plan.dq.sums.rows) time = sums.dq.add(turn_of(plan.dq, at, 0, all), time, dq_cost);
        time = sums.dk.add(turn_of(plan.dk, at, 0, all), time, schedule.add_cost(plan.dk));
        return sums.dv.add(turn_of(plan.dv, at, 0, all), time, schedule.add_cost(plan.dv));
    }

    template <class Plan, class End>
    void run(const MergedSchedule<Plan>& schedule, int threads, End end) {
        std::priority_queue<double, std::vector<double>, std::greater<>> free;
        for (int i = 0; i < threads; ++i) free.push(0);
        std::vector<std::vector<Advances>> counters;
        for (const Plan& part : schedule.parts()) counters.emplace_back(schedule_of(part).counters());
        for (std::int64_t i = 0; i < schedule.tasks(); ++i) {
            const auto [part, task] = schedule.task(i);
            std::vector<Advances>& own = counters[&part - schedule.parts().data()];
            double time = free.top();
            free.pop();
            for (const Wait& wait : task.waits)
                if (wait.value > 0) time = std::max(time, own[wait.counter].reaches(wait.value));
            time = end(part, task, time);
            if (task.advances >= 0) own[task.advances].advance(time);
            free.push(time);
            result_.time = std::max(result_.time, time);
            const double cost = schedule_of(part).cost(task);
            result_.total += cost;
            longest_ = std::max(longest_, cost);
        }
        result_.bound = std::max(result_.total / threads, longest_);
    }

    Vary vary_;
    Simulated result_;
    double longest_ = 0;
};

}  // namespace hone::test
