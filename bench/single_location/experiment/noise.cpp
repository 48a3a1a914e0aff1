// noise.cpp: what the heads add whose signal a sample does not carry.
#include <array>

#include "experiment/experiments.hpp"
#include "experiment/trained.hpp"

namespace single_location {
namespace {

// The output is a_epsilon times the marked token, plus noise of squared size sum_{l != epsilon} a_l^2 (over
// D). The relevant head r of a sample is the one with the highest expected score at the marked token, the
// others are not: signal is E c A_h_epsilon, noise E sum_{l != epsilon} (c A_hl)^2, weight E sum_{l !=
// epsilon} c A_hl, for r or for the sum of the others.
const std::vector<std::string> kColumns = {"risk",
                                           "risk_error",
                                           "bayes",
                                           "relevant_signal",
                                           "irrelevant_signal",
                                           "relevant_noise",
                                           "irrelevant_noise",
                                           "irrelevant_noise_error",
                                           "irrelevant_weight"};

int relevant_head(const Matrix& overlaps, const Vector& bias, const double* theta) {
    Eigen::Index best = 0;
    (overlaps * Eigen::Map<const Vector>(theta, overlaps.cols()) + bias).maxCoeff(&best);
    return static_cast<int>(best);
}

std::vector<Row> measure(const Measured& m, nlohmann::json& summary) {
    const Parameters& at = m.trained.parameters;
    const int heads = m.trained.of.heads, tokens = m.settings.tokens;
    const Matrix overlaps = m.test.overlaps(at);
    const Bias kind = m.trained.attention.bias;  // a sink is no part of the score
    const bool in_score = kind == Bias::log_prior || kind == Bias::shift;
    const Vector bias = in_score ? at.bias : Vector(Vector::Zero(heads));
    constexpr int quantities = 5;
    std::array<std::vector<double>, quantities> sums;
    sums.fill(std::vector<double>(TestSet::kReplicates));
    const double each = m.settings.samples / TestSet::kReplicates;
    m.test.weigh(
        m.trained.attention, at,
        [&](const TestSet::Weighed& w) {
            const int relevant = relevant_head(overlaps, bias, w.theta);
            std::array<double, quantities> here = {};
            for (int l = 0; l < tokens; ++l) {
                double others = 0;
                for (int h = 0; h < heads; ++h)
                    if (h != relevant) others += w.weight[h * tokens + l];
                const double own = w.weight[relevant * tokens + l];
                if (l == w.epsilon)
                    here[0] = own, here[1] = others;
                else
                    here[2] += own * own, here[3] += others * others, here[4] += others;
            }
            for (int i = 0; i < quantities; ++i) sums[i][w.replicate] += here[i] / each;
        },
        m.poll);
    Row row = {summary.at("risk").get<double>(), summary.at("risk_error").get<double>(),
               summary.at("bayes").get<double>()};
    for (int i = 0; i < quantities; ++i) {
        const Estimate mean = over_replicates(sums[i]);
        row.push_back(mean.value);
        if (i == 3) row.push_back(mean.error);
    }
    summary["irrelevant_noise"] = over_replicates(sums[3]).value;
    return {row};
}

}  // namespace

Sweep noise(const Settings& settings) {
    return trained_sweep(settings, kColumns, measure);
}

}  // namespace single_location
