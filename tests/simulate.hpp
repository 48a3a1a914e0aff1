// simulate.hpp: runs the schedule of a plan on so many threads in simulated time: tasks cost what the
// schedule says, and wait as it and the accumulators say.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <vector>

#include "schedule.hpp"

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

class Simulator {
  public:
    Simulator(const ForwardPlan& plan, int threads, Vary vary = as_it_is) : vary_(std::move(vary)) {
        const ForwardSchedule schedule(plan);
        run(schedule, threads,
            [&](const Task& task, double time) { return time + vary_() * schedule.cost(task); });
    }

    Simulator(const BackwardPlan& plan, int threads, Vary vary = as_it_is) : vary_(std::move(vary)) {
        const BackwardSchedule schedule(plan);
        Turns dq(plan.dq), dk(plan.dk), dv(plan.dv);
        run(schedule, threads, [&](const Task& task, double time) {
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
                    time = dq.add(turn_of(plan.dq, at, r, key_blocks_seen(plan, r)), time, dq_cost);
            }
            const Range all = plan.block.key_blocks;
            if (plan.dq.sums.rows) time = dq.add(turn_of(plan.dq, at, 0, all), time, dq_cost);
            time = dk.add(turn_of(plan.dk, at, 0, all), time, schedule.add_cost(plan.dk));
            return dv.add(turn_of(plan.dv, at, 0, all), time, schedule.add_cost(plan.dv));
        });
        // The last to add to a cell comes after all others have added.
        double ordered = 0;
        for (const Accumulator* gradient : {&plan.dq, &plan.dk, &plan.dv}) {
            const std::int64_t terms = contributions(*gradient, gradient->key_blocks);
            ordered += static_cast<double>((terms + gradient->copies - 1) / gradient->copies) *
                       schedule.add_cost(*gradient);
        }
        result_.bound = std::max(result_.bound, longest_ + ordered);
    }

    const Simulated& result() const { return result_; }

  private:
    template <class Schedule, class End>
    void run(const Schedule& schedule, int threads, End end_of) {
        std::priority_queue<double, std::vector<double>, std::greater<>> free;
        for (int i = 0; i < threads; ++i) free.push(0);
        std::vector<Advances> counters(schedule.counters());
        for (std::int64_t i = 0; i < schedule.tasks(); ++i) {
            const Task task = schedule.task(i);
            double time = free.top();
            free.pop();
            for (const Wait& wait : task.waits)
                if (wait.value > 0) time = std::max(time, counters[wait.counter].reaches(wait.value));
            time = end_of(task, time);
            if (task.advances >= 0) counters[task.advances].advance(time);
            free.push(time);
            result_.time = std::max(result_.time, time);
            result_.total += schedule.cost(task);
            longest_ = std::max(longest_, schedule.cost(task));
        }
        result_.bound = std::max(result_.total / threads, longest_);
    }

    Vary vary_;
    Simulated result_;
    double longest_ = 0;
};

}  // namespace hone::test
