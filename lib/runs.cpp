// runs.cpp: the order of runs.
#include "runs.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace hone {
namespace {

template <class Plan>
std::int64_t write_runs(const Plan& part, std::int64_t number, Run* to) {
    std::int64_t runs = 0;
    schedule_of(part).for_tasks([&](const Tasks& tasks) {
        if (tasks.count == 0) return;
        if (to) to[runs] = {tasks.cost, number, tasks.first, tasks.count, 0, tasks.phase};
        ++runs;
    });
    // A run goes before all later ones of its part, so it is as urgent as the most urgent of them.
    double most = 0;
    for (std::int64_t i = runs - 1; to && i >= 0; --i) most = to[i].priority = std::max(to[i].priority, most);
    return runs;
}

}  // namespace

std::int64_t runs_of(const ForwardPlan& part, std::int64_t number, Run* to) {
    return write_runs(part, number, to);
}
std::int64_t runs_of(const BackwardPlan& part, std::int64_t number, Run* to) {
    return write_runs(part, number, to);
}

Run only_run(std::int64_t tasks) {
    return {0, 0, 0, tasks, 0, Phase::multiply};
}

void order(std::span<Run> runs, int threads) {
    const auto less = [](auto key) { return [key](const Run& a, const Run& b) { return key(a) < key(b); }; };
    std::sort(runs.begin(), runs.end(),
              less([](const Run& r) { return std::tuple(r.phase, -r.priority, r.part, r.first); }));
    const auto end_of = [&](Phase phase) {
        return std::partition_point(runs.begin(), runs.end(), [&](const Run& r) { return r.phase <= phase; });
    };
    const std::span<Run> prepare(runs.begin(), end_of(Phase::prepare));
    const auto ahead = static_cast<std::size_t>(threads - 1);
    for (std::size_t rank = prepare.size(); rank-- > 0;)
        prepare[rank].priority =
            rank > ahead ? prepare[rank - ahead].priority : std::numeric_limits<double>::infinity();
    std::sort(runs.begin(), end_of(Phase::multiply),
              less([](const Run& r) { return std::tuple(-r.priority, r.phase, r.part, r.first); }));
    std::int64_t at = 0;
    for (Run& run : runs) run.at = at, at += run.count;
}

}  // namespace hone
