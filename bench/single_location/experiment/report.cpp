// report.cpp: tables on stdout, from the JSON that a run has written.
#include "experiment/report.hpp"

#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace single_location {
namespace {

using nlohmann::json;

// JSON has null for what is no number.
double number(const json& one, const char* key) {
    return one.at(key).is_null() ? std::nan("") : one.at(key).get<double>();
}

void print_stages(const json& run, const char* name) {
    for (const json& stage : run.at("stages"))
        std::printf("  %-7s %d  t %8.1f  %s\n", name, run.at("run").get<int>(), number(stage, "time"),
                    stage.at("stage").get<std::string>().c_str());
}

void print_dynamics(const json& all) {
    for (const json& one : all) {
        std::printf("\n%s\n", one.at("activation").get<std::string>().c_str());
        const json& point = one.at("hessian").at(0);
        std::printf("  where heads are equal: loss %.4f +- %.4f; the rates at which they then part:\n",
                    number(point, "loss"), number(point, "loss_error"));
        for (const json& mode : point.at("modes"))
            std::printf("    %-12s %+.5f +- %.5f\n", mode.at("along").get<std::string>().c_str(),
                        number(mode, "rate"), number(mode, "rate_error"));
        for (const char* source : {"theory", "sgd"})
            for (const json& run : one.at(source)) print_stages(run, source);
        const json& agreement = one.at("agreement");
        std::printf(
            "  root mean squares: SGD's mean to theory %.3f, spread of SGD's runs %.3f, error of theory "
            "%.3f\n",
            number(agreement, "sgd_from_theory"), number(agreement, "spread_of_sgd_runs"),
            number(agreement, "error_of_theory"));
    }
}

// The best start of each case, a line each.
void print_best(const json& best) {
    bool diverged = false;
    std::printf("\n%-18s %8s %5s %6s  %-19s %-19s\n", "activation", "strength", "heads", "start", "risk",
                "Bayes risk");
    for (const json& one : best) {
        std::printf("%-18s %8g %5d %6d  %.5f +- %.5f  %.5f +- %.5f",
                    one.at("activation").get<std::string>().c_str(), number(one, "strength"),
                    one.at("heads").get<int>(), one.at("start").get<int>(), number(one, "risk"),
                    number(one, "risk_error"), number(one, "bayes"), number(one, "bayes_error"));
        if (one.contains("irrelevant_noise"))
            std::printf("  noise of irrelevant heads %.5f", number(one, "irrelevant_noise"));
        if (one.contains("pruned_risk")) {
            std::printf("  pruned:");
            for (const json& risk : one.at("pruned_risk"))
                std::printf(" %.3f", risk.is_null() ? std::nan("") : risk.get<double>());
        }
        std::printf("\n");
        diverged = diverged || std::isnan(number(one, "risk"));
    }
    if (diverged) std::printf("nan: training has diverged; try a lower --rate\n");
}

}  // namespace

void print_summary(const std::string& experiment, const std::filesystem::path& out) {
    std::ifstream file(out / (experiment + ".json"));
    const json summary = json::parse(file).at("summary");
    if (experiment == "dynamics")
        print_dynamics(summary);
    else
        print_best(summary.at("best"));
}

}  // namespace single_location
