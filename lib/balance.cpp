// balance.cpp: estimates of when the last thread ends.
#include "balance.hpp"

#include <algorithm>
#include <cmath>

#include "schedule.hpp"

namespace hone {
namespace {

template <class Plan>
int worthwhile(const Plan& plan, const Machine& machine) {
    const double each = machine.tuning.thread_cost, threads = machine.threads;
    return static_cast<int>(std::clamp(schedule_of(plan).total_cost(each * threads) / each, 1.0, threads));
}

// The fewest keys that a row sees, as a share of those that some row sees.
double least_share(const Shape& s) {
    return static_cast<double>(fewest_seen(s.visibility)) / static_cast<double>(count(s.keys));
}

// When the last of `threads` ends, in units of the longest task. They take the longest tasks first; lengths
// fall evenly from 1 to `least`. Twice as many tasks as threads pair up to equal sums, a long one with a
// short one; what such rounds leave is added on top.
double time_of_falling(double tasks, double threads, double least) {
    const auto length = [&](double from_end) { return least + (1 - least) * from_end / tasks; };
    const double rest = tasks - std::floor(tasks / (2 * threads)) * 2 * threads;
    const double even = (tasks * (least + 1) - rest * (least + length(rest))) / 2 / threads;
    if (rest == 0) return even;
    return even + std::max(length(rest), rest > threads ? 2 * length(rest - threads) : 0);
}

// The same where they take `few` tasks of length `least` and then `many` of length 1. A thread that has taken
// fewer of the short ones goes on first.
double time_of_equal(double few, double least, double many, double threads) {
    const double taken = std::floor(few / threads), more = few - taken * threads;
    const double rounds = std::floor(many / threads), rest = many - rounds * threads;
    const bool last_took_more = rest > 0 ? rest > threads - more : more > 0;
    return rounds + (rest > 0 ? 1 : 0) + least * (taken + (last_took_more ? 1 : 0));
}

}  // namespace

int worthwhile_threads(const ForwardPlan& plan, const Machine& machine) {
    return worthwhile(plan, machine);
}
int worthwhile_threads(const BackwardPlan& plan, const Machine& machine) {
    return worthwhile(plan, machine);
}

int needed_threads(const ForwardPlan& plan, int threads) {
    const std::int64_t attends = plan.n.batch * plan.n.kv_heads * plan.block.row_blocks * plan.splits;
    const std::int64_t tasks = plan.reading == Reading::shared ? ForwardSchedule(plan).tasks() : attends;
    const std::int64_t most = std::clamp<std::int64_t>(tasks, 1, threads);
    if (empty(plan.keys) || least_share(plan) < 1 || attends < most) return static_cast<int>(most);
    return static_cast<int>(blocks_of(attends, blocks_of(attends, most)));
}

std::int64_t balanced_rows(const Shape& s, std::int64_t most, int threads, int tile_rows) {
    const std::int64_t all = row_count(s.n);
    if (threads == 1 || all == 0 || empty(s.keys)) return most;
    const double heads = static_cast<double>(s.n.batch * s.n.kv_heads), least = least_share(s);
    const auto time_with = [&](std::int64_t rows) {
        const auto longest = static_cast<double>(rows + kPanelRows);
        const auto whole = static_cast<double>(blocks_of(all, rows) - 1);  // blocks of a head but the last
        if (least < 1) return longest * time_of_falling(heads * (whole + 1), threads, least);
        const auto shortest = static_cast<double>(all + kPanelRows) - whole * static_cast<double>(rows);
        return longest * time_of_equal(heads, shortest / longest, heads * whole, threads);
    };
    std::int64_t best = most;
    double soonest = time_with(most);
    for (std::int64_t rows = most - tile_rows; rows > 0; rows -= tile_rows) {
        const double time = time_with(rows);
        if (time < soonest) soonest = time, best = rows;
    }
    return best;
}

}  // namespace hone
