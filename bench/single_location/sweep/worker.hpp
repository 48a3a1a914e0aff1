// worker.hpp owns the interface of the ranks other than 0.
#pragma once

#include "sweep/ranks.hpp"
#include "sweep/sweep.hpp"

namespace single_location {

// Runs the jobs that rank 0 gives it until dismissed; the exit status. What is wrong beside a job ends the
// process, and so the whole run, rather than leave rank 0 waiting.
int serve(const Sweep& sweep, Ranks& ranks) noexcept;

}  // namespace single_location
