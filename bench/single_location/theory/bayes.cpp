// bayes.cpp: the evidence of a token, and the posterior over tokens.
#include "theory/bayes.hpp"

#include <algorithm>
#include <cmath>

namespace single_location {
namespace {

// log sum exp, and the terms e^{x - L} in place of x.
double normalise(std::vector<double>& x) {
    const double most = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (double& value : x) sum += value = std::exp(value - most);
    for (double& value : x) value /= sum;
    return most + std::log(sum);
}

double log_evidence_of_points(const Signal& signal, const double* z) {
    std::vector<double> terms;
    for (std::size_t i = 0; i < signal.points().size(); ++i) {
        if (signal.weights()[i] == 0) continue;
        double exponent = std::log(signal.weights()[i]);
        for (int f = 0; f < signal.features(); ++f) {
            const double theta = signal.points()[i][f];
            exponent += theta * z[f] - theta * theta / 2;
        }
        terms.push_back(exponent);
    }
    return normalise(terms);
}

}  // namespace

double log_evidence(const Signal& signal, const double* z) {
    if (signal.is_discrete()) return log_evidence_of_points(signal, z);
    double sum = 0;
    for (int f = 0; f < signal.features(); ++f) {
        const double m = signal.mean()[f], v = signal.variance()[f];
        sum += (v * z[f] * z[f] + 2 * m * z[f] - m * m) / (2 * (1 + v)) - std::log1p(v) / 2;
    }
    return sum;
}

Estimate bayes_risk(const Signal& signal, const Draws& draws) {
    const DrawsShape& shape = draws.shape();
    const int each = shape.count / shape.replicates;
    std::vector<double> posterior(shape.tokens), risk(shape.replicates);
    for (int i = 0; i < shape.count; ++i) {
        for (int l = 0; l < shape.tokens; ++l)
            posterior[l] = log_evidence(signal, draws.tokens(i) + std::ptrdiff_t(l) * draws.coordinates());
        normalise(posterior);
        posterior[0] -= 1;  // the marked token
        for (double p : posterior) risk[i / each] += p * p / each;
    }
    return over_replicates(risk);
}

}  // namespace single_location
