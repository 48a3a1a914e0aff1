// job.hpp owns the interface of running one job, on whichever rank.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "sweep/ranks.hpp"
#include "sweep/sweep.hpp"

namespace single_location {

// What looks after a job while it runs: rank 0, or a rank that serves it.
class Keeper {
  public:
    virtual ~Keeper() = default;
    virtual void share(std::size_t job, double share) = 0;
    virtual void keep(std::size_t job, const std::string& state) = 0;
    virtual bool stop_asked() = 0;  // sees to messages, too
};

// The message that tells of its end: finished, failed or interrupted. `state` is what an earlier run saved,
// "" for nothing.
Message run_job(const Sweep& sweep, std::size_t job, const std::string& state, Keeper& keeper);

// What waits for messages naps between two looks.
void nap();

}  // namespace single_location
