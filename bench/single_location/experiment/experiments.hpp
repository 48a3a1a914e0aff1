// experiments.hpp: the five experiments, each a sweep of independent jobs.
#pragma once

#include "experiment/settings.hpp"
#include "sweep/sweep.hpp"

namespace single_location {

Sweep dynamics(const Settings& settings);
Sweep risk(const Settings& settings);  // and heads: the settings say what is varied
Sweep prune(const Settings& settings);
Sweep noise(const Settings& settings);

}  // namespace single_location
