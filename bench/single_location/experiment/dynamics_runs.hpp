// dynamics_runs.hpp: the jobs of the dynamics: runs of SGD, of the theory, and the Hessian.
#pragma once

#include <string>

#include "experiment/settings.hpp"
#include "sweep/sweep.hpp"

namespace single_location {

// What all jobs of an activation have in common.
struct DynamicsModel {
    DynamicsModel(const Settings& s, const std::string& activation)
        : settings(s),
          attention(parse_attention(activation, s.tokens)),
          tokens(s.signal(), s.tokens, s.dim ? s.dim : s.signal().features(),
                 s.dim ? Tokens::Directions::random : Tokens::Directions::axes, s.seed) {}

    Trainer trainer(const Tokens& of) const {
        const auto loss = settings.dim ? Loss::finite : Loss::limit;
        return Trainer(of, attention, settings.heads[0], loss, settings.training(), settings.seed);
    }

    Settings settings;
    Attention attention;
    Tokens tokens;
};

// Overlaps over time at dimension D, from queries that all runs share, on samples of its own.
Result run_sgd(const DynamicsModel& model, int run, Progress& progress);

// Overlaps by the closed equations from the same queries, on a set of draws of its own. Source "theory" is
// with the noise of minibatches, "flow" without.
Result run_theory(const DynamicsModel& model, const std::string& source, int set, Progress& progress);

// The point where heads are equal, and the rates at which they part there.
Result run_hessian(const DynamicsModel& model, Progress& progress);

// The columns of their rows.
extern const std::vector<std::string> kDynamicsColumns;

}  // namespace single_location
