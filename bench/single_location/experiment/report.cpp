// report.cpp: tables on stdout, from the JSON that a run has written.
#include "experiment/report.hpp"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace single_location {
namespace {

using nlohmann::json;

void print_stages(const json& run, const char* name) {
    for (const json& stage : run.at("stages"))
        std::printf("  %-7s %d  t %8.1f  %s\n", name, run.at("run").get<int>(),
                    stage.at("time").get<double>(), stage.at("stage").get<std::string>().c_str());
}

void print_dynamics(const json& all) {
    for (const json& one : all) {
        std::printf("\n%s\n", one.at("activation").get<std::string>().c_str());
        const json& point = one.at("hessian").at(0);
        std::printf("  where heads are equal: loss %.4f +- %.4f; the rates at which they then part:\n",
                    point.at("loss").get<double>(), point.at("loss_error").get<double>());
        for (const json& mode : point.at("modes"))
            std::printf("    %-12s %+.5f +- %.5f\n", mode.at("along").get<std::string>().c_str(),
                        mode.at("rate").get<double>(), mode.at("rate_error").get<double>());
        for (const char* source : {"theory", "sgd"})
            for (const json& run : one.at(source)) print_stages(run, source);
        const json& agreement = one.at("agreement");
        std::printf(
            "  root mean squares: SGD's mean to theory %.3f, spread of SGD's runs %.3f, error of theory "
            "%.3f\n",
            agreement.at("sgd_from_theory").get<double>(), agreement.at("spread_of_sgd_runs").get<double>(),
            agreement.at("error_of_theory").get<double>());
    }
}

// The best start of each case, a line each.
void print_best(const json& best) {
    std::printf("\n%-18s %8s %5s %6s  %-19s %-19s\n", "activation", "strength", "heads", "start", "risk",
                "Bayes risk");
    for (const json& one : best) {
        std::printf("%-18s %8g %5d %6d  %.5f +- %.5f  %.5f +- %.5f",
                    one.at("activation").get<std::string>().c_str(), one.at("strength").get<double>(),
                    one.at("heads").get<int>(), one.at("start").get<int>(), one.at("risk").get<double>(),
                    one.at("risk_error").get<double>(), one.at("bayes").get<double>(),
                    one.at("bayes_error").get<double>());
        if (one.contains("irrelevant_noise"))
            std::printf("  noise of irrelevant heads %.5f", one.at("irrelevant_noise").get<double>());
        if (one.contains("pruned_risk")) {
            std::printf("  pruned:");
            for (const json& risk : one.at("pruned_risk")) std::printf(" %.3f", risk.get<double>());
        }
        std::printf("\n");
    }
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
