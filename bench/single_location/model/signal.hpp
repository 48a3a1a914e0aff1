// signal.hpp: P_theta, the law of the strengths with which the marked token carries the hidden directions.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace single_location {

// Of the standard normal law, for u in (0, 1).
double normal_quantile(double u);

// A law of theta in R^F: a list of points with weights, or a Gaussian with independent components.
class Signal {
  public:
    // theta = (mu, +-nu_2, ..., +-nu_F), fair independent signs: 2^{F-1} points.
    static Signal flipped_spike(double mu, const std::vector<double>& nu);
    static Signal gaussian(const std::vector<double>& mean, const std::vector<double>& variance);
    // Points of F components each; weights >= 0 are scaled to sum to 1.
    static Signal discrete(const std::vector<std::vector<double>>& points,
                           const std::vector<double>& weights);

    // The same with theta's distance from its mean taken `strength` times as large.
    Signal scaled(double strength) const;

    int features() const { return static_cast<int>(mean_.size()); }
    bool is_discrete() const { return !points_.empty(); }
    const std::vector<std::vector<double>>& points() const { return points_; }
    const std::vector<double>& weights() const { return weights_; }
    const std::vector<double>& mean() const { return mean_; }
    const std::vector<double>& variance() const { return variance_; }

    // How many uniform numbers theta is made of: 1 where discrete (which point), else F (a quantile each).
    int uniforms() const { return is_discrete() ? 1 : features(); }
    // theta [F] from so many numbers in (0, 1).
    void draw(std::span<const double> uniform, std::span<double> theta) const;

  private:
    std::vector<std::vector<double>> points_;
    std::vector<double> weights_, cumulative_;
    std::vector<double> mean_, variance_;
};

}  // namespace single_location
