// runs.hpp: the order of the tasks of all parts of a call.
//
// The longest tasks come first. What prepares a part comes some parts before its first tasks, so that nothing
// waits for it; what finishes parts comes last. Each part's own tasks keep their order, in which a task waits
// for tasks before it alone.
#pragma once

#include <cstdint>
#include <span>

#include "schedule.hpp"

namespace hone {

// Consecutive tasks of one part.
struct Run {
    double priority;
    std::int64_t part, first, count;
    std::int64_t at;  // the number of the first of them in the order of all
    Phase phase;
};

// The runs of a part are written to `to` (unless it is null); gives how many they are.
std::int64_t runs_of(const ForwardPlan& part, std::int64_t number, Run* to);
std::int64_t runs_of(const BackwardPlan& part, std::int64_t number, Run* to);
// All tasks of the only part, in their own order.
Run only_run(std::int64_t tasks);
// Puts the runs of many parts in order.
void order(std::span<Run> runs, int threads);

// Part: a plan, or the call of one.
template <class Part>
class MergedSchedule {
  public:
    MergedSchedule(std::span<const Part> parts, std::span<const Run> runs) : parts_(parts), runs_(runs) {}

    struct Located {
        const Part& part;
        Task task;
    };
    std::int64_t tasks() const { return runs_.empty() ? 0 : runs_.back().at + runs_.back().count; }
    Located task(std::int64_t i) const {
        const Run& run = run_with(i);
        const Part& part = parts_[run.part];
        return {part, schedule_of(part).task(run.first + i - run.at)};
    }
    // Of all tasks that multiply. Stops early once it is more than `enough`.
    double total_cost(double enough) const {
        double sum = 0;
        for (const Part& part : parts_) {
            if (sum > enough) break;
            sum += schedule_of(part).total_cost(enough - sum);
        }
        return sum;
    }
    std::span<const Part> parts() const { return parts_; }

  private:
    // The last run that begins at task i or before.
    const Run& run_with(std::int64_t i) const {
        std::size_t first = 0, count = runs_.size();
        while (count > 1) {
            const std::size_t half = count / 2;
            if (runs_[first + half].at <= i)
                first += half, count -= half;
            else
                count = half;
        }
        return runs_[first];
    }

    std::span<const Part> parts_;
    std::span<const Run> runs_;
};

}  // namespace hone
