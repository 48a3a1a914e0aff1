// leader.hpp owns the interface of rank 0's work: it hands out the jobs, computes too, and keeps all
// results.
#pragma once

#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sweep/checkpoint.hpp"
#include "sweep/display.hpp"
#include "sweep/job.hpp"
#include "sweep/ranks.hpp"
#include "sweep/sweep.hpp"

namespace single_location {

class Leader final : public Keeper {
  public:
    // `identity` is what the JSON has of the run: experiment, hone, settings.
    Leader(const Sweep& sweep, const std::filesystem::path& out, const nlohmann::json& identity,
           Checkpoint& checkpoint, Display& display, Ranks& ranks);

    // Runs what the checkpoint does not hold; the exit status.
    int lead();

    void share(std::size_t job, double share) override;
    void keep(std::size_t job, const std::string& state) override;
    bool stop_asked() override;

  private:
    void load();
    void stop();
    Message take(int rank);
    void run_here();
    void hand_out();
    void see_to(const Message& message);
    void ended(const Message& message);
    bool all_idle() const;
    int conclude();
    void write(bool complete);

    const Sweep& sweep_;
    const std::filesystem::path& out_;
    const nlohmann::json& identity_;
    Checkpoint& checkpoint_;
    Display& display_;
    Ranks& ranks_;

    std::vector<std::optional<Result>> results_;
    std::deque<std::size_t> waiting_;
    std::map<std::size_t, std::string> failed_;  // the sentences
    std::vector<bool> idle_;                     // ranks that wait for a job
    std::size_t finished_ = 0;
    bool stop_ = false;
};

// Ends the other ranks with this exit status, and what they run; waits for them.
void dismiss(Ranks& ranks, int status);

}  // namespace single_location
