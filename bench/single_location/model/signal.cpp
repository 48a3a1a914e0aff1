// signal.cpp: the families of P_theta, and how theta is drawn.
#include "model/signal.hpp"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace single_location {
namespace {

void require(bool met, const char* sentence) {
    if (!met) throw std::invalid_argument(sentence);
}

bool all_finite(const std::vector<double>& x) {
    return std::all_of(x.begin(), x.end(), [](double v) { return std::isfinite(v); });
}

}  // namespace

double normal_quantile(double u) {
    static const boost::math::normal standard;
    return boost::math::quantile(standard, u);
}

Signal Signal::flipped_spike(double mu, const std::vector<double>& nu) {
    require(std::isfinite(mu), "--mu should be a finite number");
    require(all_finite(nu), "--nu should be finite numbers");
    require(nu.size() <= 10, "--nu should be at most 10 numbers: theta has 2^(how many) points");
    const std::size_t count = std::size_t{1} << nu.size();
    std::vector<std::vector<double>> points(count);
    for (std::size_t i = 0; i < count; ++i) {
        points[i] = {mu};
        for (std::size_t f = 0; f < nu.size(); ++f) points[i].push_back(i >> f & 1 ? -nu[f] : nu[f]);
    }
    return discrete(points, std::vector<double>(count, 1.0));
}

Signal Signal::gaussian(const std::vector<double>& mean, const std::vector<double>& variance) {
    require(!mean.empty() && mean.size() == variance.size(),
            "--mean and --variance should be as many numbers each, one at least");
    require(all_finite(mean) && all_finite(variance), "--mean and --variance should be finite numbers");
    require(std::all_of(variance.begin(), variance.end(), [](double v) { return v >= 0; }),
            "--variance should be 0 or more");
    Signal s;
    s.mean_ = mean;
    s.variance_ = variance;
    return s;
}

Signal Signal::discrete(const std::vector<std::vector<double>>& points, const std::vector<double>& weights) {
    require(!points.empty() && points.size() == weights.size(),
            "--point should be given once at least, each with a weight");
    const std::size_t features = points[0].size();
    require(features > 0, "--point should have one component at least");
    for (const auto& point : points)
        require(point.size() == features && all_finite(point),
                "--point should have the same number of finite components each time");
    require(std::all_of(weights.begin(), weights.end(), [](double w) { return w >= 0 && std::isfinite(w); }),
            "--point: the weights should be finite and 0 or more");
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    require(total > 0 && std::isfinite(total), "--point: the weights' sum should be above 0 and finite");
    Signal s;
    s.points_ = points;
    s.mean_.assign(features, 0);
    s.variance_.assign(features, 0);
    double sum = 0;
    for (std::size_t i = 0; i < points.size(); ++i) {
        s.weights_.push_back(weights[i] / total);
        s.cumulative_.push_back(sum += weights[i] / total);
        for (std::size_t f = 0; f < features; ++f) s.mean_[f] += s.weights_[i] * points[i][f];
    }
    s.cumulative_.back() = 1;
    for (std::size_t i = 0; i < points.size(); ++i)
        for (std::size_t f = 0; f < features; ++f)
            s.variance_[f] += s.weights_[i] * std::pow(points[i][f] - s.mean_[f], 2);
    return s;
}

Signal Signal::scaled(double strength) const {
    require(std::isfinite(strength), "--strengths should be finite numbers");
    if (!is_discrete()) {
        std::vector<double> variance = variance_;
        for (double& v : variance) v *= strength * strength;
        return gaussian(mean_, variance);
    }
    auto points = points_;
    for (auto& point : points)
        for (int f = 0; f < features(); ++f) point[f] = mean_[f] + strength * (point[f] - mean_[f]);
    return discrete(points, weights_);
}

void Signal::draw(std::span<const double> uniform, std::span<double> theta) const {
    if (is_discrete()) {
        const auto at = std::lower_bound(cumulative_.begin(), cumulative_.end(), uniform[0]);
        const auto point = std::min<std::ptrdiff_t>(at - cumulative_.begin(), std::ssize(points_) - 1);
        std::copy(points_[point].begin(), points_[point].end(), theta.begin());
        return;
    }
    for (int f = 0; f < features(); ++f)
        theta[f] = mean_[f] + std::sqrt(variance_[f]) * normal_quantile(uniform[f]);
}

}  // namespace single_location
