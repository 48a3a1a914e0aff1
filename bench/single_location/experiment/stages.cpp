// stages.cpp: stages from overlaps that were recorded at some times.
#include "experiment/stages.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

namespace single_location {
namespace {

constexpr double kGrown = 5, kVisible = 0.1;

// When a curve last passes a level from below, between two records; nothing where it does not.
std::optional<double> passes(const Trajectory& t, const std::function<double(const Matrix&)>& curve,
                             double level) {
    double after = curve(t.m.back());
    for (std::size_t i = t.m.size() - 1; i-- > 0;) {
        const double before = curve(t.m[i]);
        if (before < level && after >= level)
            return t.times[i] + (t.times[i + 1] - t.times[i]) * (level - before) / (after - before);
        after = before;
    }
    return {};
}

double spread(const Matrix& m, int f) {
    const Vector along = m.col(f).array() - m.col(f).mean();
    return std::sqrt(along.squaredNorm() / static_cast<double>(m.rows()));
}

void find_together(const Trajectory& t, const Signal& signal, std::vector<Stage>& stages) {
    const Vector mean = Eigen::Map<const Vector>(signal.mean().data(), signal.features());
    if (mean.norm() == 0) return;
    const auto projection = [&](const Matrix& m) { return (m * mean).mean() / mean.norm(); };
    Eigen::Index feature = 0;
    mean.cwiseAbs().maxCoeff(&feature);
    if (const auto time = passes(t, projection, mean.norm() / 2))
        stages.push_back({Stage::Kind::together, static_cast<int>(feature), -1, *time});
}

void find_changes_of_side(const Trajectory& t, int f, double final_spread, std::vector<Stage>& stages) {
    const Matrix& end = t.m.back();
    for (int h = 0; h < end.rows(); ++h) {
        const double side = end(h, f) - end.col(f).mean() > 0 ? 1 : -1;
        const auto from_side = [&](const Matrix& m) { return side * (m(h, f) - m.col(f).mean()); };
        if (from_side(end) < final_spread / 2) continue;
        std::size_t i = t.m.size();
        while (i-- > 0)
            if (from_side(t.m[i]) < -final_spread / 2) break;
        if (i >= t.m.size()) continue;
        while (from_side(t.m[i]) < 0) ++i;
        stages.push_back({Stage::Kind::changes_side, f, h, t.times[i]});
    }
}

}  // namespace

std::vector<Stage> find_stages(const Trajectory& t, const Signal& signal) {
    std::vector<Stage> stages;
    find_together(t, signal, stages);
    for (int f = 0; f < signal.features(); ++f) {
        const double first = spread(t.m[0], f), last = spread(t.m.back(), f);
        if (signal.variance()[f] == 0 || last < std::max(kGrown * first, kVisible)) continue;
        if (const auto time = passes(
                t, [&](const Matrix& m) { return spread(m, f); }, last / 2))
            stages.push_back({Stage::Kind::part, f, -1, *time});
        find_changes_of_side(t, f, last, stages);
    }
    std::stable_sort(stages.begin(), stages.end(),
                     [](const Stage& a, const Stage& b) { return a.time < b.time; });
    return stages;
}

std::string describe(const Stage& stage) {
    const std::string direction = " direction " + std::to_string(stage.feature + 1);
    switch (stage.kind) {
        case Stage::Kind::together:
            return "heads move together along the mean signal";
        case Stage::Kind::part:
            return "heads part along" + direction;
        default:
            return "head " + std::to_string(stage.head + 1) + " changes sides along" + direction;
    }
}

nlohmann::json to_json(const std::vector<Stage>& stages) {
    nlohmann::json all = nlohmann::json::array();
    for (const Stage& stage : stages)
        all.push_back({{"time", stage.time},
                       {"stage", describe(stage)},
                       {"kind", stage.kind == Stage::Kind::together ? "together"
                                : stage.kind == Stage::Kind::part   ? "part"
                                                                    : "changes_side"},
                       {"direction", stage.feature + 1}});
    return all;
}

}  // namespace single_location
