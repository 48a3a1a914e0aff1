// trained.hpp: a job of the experiments that compare trained heads: training, then what is measured.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "experiment/test_set.hpp"
#include "sweep/sweep.hpp"

namespace single_location {

// What one training is of.
struct Case {
    std::string activation;
    double strength = 1;
    int heads = 1;
    int start = 0;
};

struct Trained {
    Case of;
    Attention attention;
    Parameters parameters;
    double last_loss = 0;  // mean over the last tenth of the steps
};

// What there is to measure with. The test's samples are the same for all cases of one strength.
struct Measured {
    const Settings& settings;
    const Trained& trained;
    const Tokens& tokens;  // of the training
    const TestSet& test;
    TestSet::Poll poll;  // to be called now and then
};

// The columns of every such experiment are: activation, strength, heads, start, then its own.
using Measure = std::function<std::vector<Row>(const Measured&, nlohmann::json& summary)>;

// A sweep over all activations, strengths, heads and starts of the settings. Of each case the risk goes into
// the summary, where the best start is found.
Sweep trained_sweep(const Settings& settings, std::vector<std::string> columns, Measure measure);

// Seeds of samples that are not those of training: for tests, and for choices.
std::uint64_t test_seed(const Settings& settings);
std::uint64_t choice_seed(const Settings& settings);

}  // namespace single_location
