// flow.hpp: the closed equations for the overlaps M and Q of the heads, integrated over time.
#pragma once

#include <functional>
#include <vector>

#include "theory/draws.hpp"

namespace single_location {

// All that the loss depends on for D -> infinity.
struct Overlaps {
    Matrix m;     // [H, F]: q_h . k_f
    Matrix q;     // [H, H]: q_h . q_h'
    Vector bias;  // [H]
};

// Queries [H, F + H] with these overlaps, where the first F axes are the hidden directions.
Matrix reduced_queries(const Overlaps& overlaps);

struct Moment {
    double time;
    Overlaps overlaps;
    Estimate loss;
};

// How the flow is integrated.
struct FlowOptions {
    double noise = 0;         // eta D / B: how strongly the noise of minibatches feeds Q
    double tolerance = 1e-4;  // of a step's estimated error, absolute and relative
    int threads = 1;
    std::function<void()> poll = [] {};  // called at each evaluation; may throw
};

// dM/dt = -E[sum_l g_l (k . x_l)], dQ_hh'/dt = -E[sum_l (g_hl chi_h'l + g_h'l chi_hl)] + noise E[sum_l g_hl
// g_h'l], db/dt = -E[sum_l g_hl], by Dormand and Prince's method with a step that its error estimate sets.
// Returns the overlaps at `times`, which ascend from 0 on; `seen` is called at each. `draws` has H other
// coordinates.
std::vector<Moment> integrate(const Draws& draws, const Attention& attention, const Overlaps& start,
                              const std::vector<double>& times, const FlowOptions& options,
                              const std::function<void(const Moment&)>& seen = {});

// The rates of change at some overlaps, in the same order of fields.
Overlaps rates(const Draws& draws, const Attention& attention, const Overlaps& at,
               const FlowOptions& options);

}  // namespace single_location
