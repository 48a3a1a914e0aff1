// dynamics.cpp: the list of the jobs, and how far SGD is from the theory.
#include <cmath>

#include "experiment/dynamics_runs.hpp"
#include "experiment/experiments.hpp"
#include "theory/draws.hpp"

namespace single_location {
namespace {

using nlohmann::json;

// Rows of M in the order in which they were recorded.
std::vector<double> overlaps_in(const Result& result) {
    std::vector<double> m;
    for (const Row& row : result.rows)
        if (std::get<std::string>(row[4]) == "M") m.push_back(std::get<double>(row[7]));
    return m;
}

// Root mean squares over times, heads and directions: of how far the mean run of SGD is from the mean theory,
// of the spread of single runs, and of the spread of the theory's sets of draws.
json agreement(const std::vector<std::vector<double>>& sgd, const std::vector<std::vector<double>>& theory) {
    const auto moments = [](const std::vector<std::vector<double>>& runs, std::size_t i) {
        std::vector<double> at;
        for (const auto& run : runs) at.push_back(run[i]);
        return over_replicates(at);
    };
    double distance = 0, sgd_spread = 0, theory_error = 0;
    const double n = static_cast<double>(theory[0].size());
    for (std::size_t i = 0; i < theory[0].size(); ++i) {
        const Estimate s = moments(sgd, i), t = moments(theory, i);
        distance += std::pow(s.value - t.value, 2) / n;
        sgd_spread += s.error * s.error * static_cast<double>(sgd.size()) / n;
        theory_error += t.error * t.error / n;
    }
    return {{"sgd_from_theory", std::sqrt(distance)},
            {"spread_of_sgd_runs", std::sqrt(sgd_spread)},
            {"error_of_theory", std::sqrt(theory_error)}};
}

json summarise(const Settings& settings, const std::vector<Result>& results) {
    json all = json::array();
    for (const std::string& activation : settings.activations) {
        std::vector<std::vector<double>> sgd, theory;
        json one = {{"activation", activation}};
        for (const Result& result : results) {
            if (result.summary.at("activation") != activation) continue;
            const std::string source = result.summary.at("source");
            if (source == "sgd") sgd.push_back(overlaps_in(result));
            if (source == "theory") theory.push_back(overlaps_in(result));
            one[source].push_back(result.summary);
        }
        one["agreement"] = agreement(sgd, theory);
        all.push_back(one);
    }
    return all;
}

}  // namespace

Sweep dynamics(const Settings& settings) {
    Sweep sweep;
    sweep.name = settings.experiment;
    sweep.columns = kDynamicsColumns;
    sweep.settings = settings.to_json();
    sweep.summarise = [settings](const std::vector<Result>& results) { return summarise(settings, results); };
    for (const std::string& activation : settings.activations) {
        const auto add = [&](const std::string& name, double cost,
                             std::function<Result(const DynamicsModel&, Progress&)> run) {
            sweep.jobs.push_back(
                {activation + ", " + name, cost, [settings, activation, run](Progress& progress) {
                     return run(DynamicsModel(settings, activation), progress);
                 }});
        };
        add("Hessian", 4,
            [](const DynamicsModel& model, Progress& progress) { return run_hessian(model, progress); });
        for (int set = 0; set < settings.sets; ++set)
            add("theory, draws " + std::to_string(set), 10,
                [set](const DynamicsModel& model, Progress& progress) {
                    return run_theory(model, "theory", set, progress);
                });
        add("gradient flow", 8, [](const DynamicsModel& model, Progress& progress) {
            return run_theory(model, "flow", 0, progress);
        });
        for (int run = 0; run < settings.starts; ++run)
            add("SGD, run " + std::to_string(run), 10, [run](const DynamicsModel& model, Progress& progress) {
                return run_sgd(model, run, progress);
            });
    }
    return sweep;
}

}  // namespace single_location
