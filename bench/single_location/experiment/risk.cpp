// risk.cpp: the test risk of trained heads beside the Bayes risk, against the strength of the signal or
// against H.
#include "experiment/experiments.hpp"
#include "experiment/trained.hpp"

namespace single_location {
namespace {

const std::vector<std::string> kColumns = {"risk", "risk_error", "bayes", "bayes_error", "last_loss"};

std::vector<Row> measure(const Measured& m, nlohmann::json& summary) {
    Row row;
    for (const std::string& column : kColumns) row.push_back(summary.at(column).get<double>());
    const Matrix overlaps = m.test.overlaps(m.trained.parameters);
    for (int h = 0; h < m.trained.of.heads; ++h) {
        const Vector of_head = overlaps.row(h).transpose();
        summary["overlaps"].push_back(std::vector<double>(of_head.begin(), of_head.end()));
        summary["biases"].push_back(m.trained.parameters.bias[h]);
    }
    return {row};
}

}  // namespace

Sweep risk(const Settings& settings) {
    return trained_sweep(settings, kColumns, measure);
}

}  // namespace single_location
