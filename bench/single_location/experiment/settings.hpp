// settings.hpp: what is asked of an experiment: the model, the training, the measurement.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/trainer.hpp"

namespace single_location {

struct Settings {
    std::string experiment;

    int tokens = 10;  // L
    int dim = 0;      // D; 0: the limit D -> infinity
    std::vector<int> heads = {2};
    double mu = 1;
    std::vector<double> nu = {1};
    std::vector<double> mean, variance;  // of a Gaussian P_theta, instead of mu and nu
    std::vector<std::string> points;     // "weight:x,y,..." of a discrete one, instead of mu and nu
    std::vector<double> strengths = {1};
    std::vector<std::string> activations = {"softmax"};

    std::string optimizer = "adam";  // the dynamics are sgd's
    double rate = 0.1;
    int batch = 256;
    std::int64_t steps = 5000;
    double initial_size = 0.5, initial_overlap = 0;
    int starts = 2;

    int samples = 1 << 16;  // of a test, or of the theory's expectations
    int sets = 2;           // of the theory's draws
    double tolerance = 1e-4;

    std::uint64_t seed = 1;
    int threads = 1;

    enum class Family { flipped_spike, gaussian, discrete };
    Family family() const;
    // P_theta; strength multiplies the distance of theta from its mean. Throws a sentence that names the
    // option.
    Signal signal(double strength = 1) const;
    // Throws std::invalid_argument with a sentence that names the first option that is wrong.
    void check() const;
    // All that decides the results.
    nlohmann::json to_json() const;

    bool dynamics() const { return experiment == "dynamics"; }
    bool varies_strength() const { return experiment == "risk" || experiment == "noise"; }
    TrainingOptions training() const;
};

}  // namespace single_location
