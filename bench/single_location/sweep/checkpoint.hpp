// checkpoint.hpp owns the interface of OUT/NAME.checkpoint: what is finished or saved of a sweep that runs.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sweep/sweep.hpp"

namespace single_location {

// Two files of a job: N.result once it is finished, N.state before that, where it saved. Each has a checksum
// and the job's name; one that is damaged, or of another job, is warned of and taken as not there.
class Checkpoint {
  public:
    using Warn = std::function<void(const std::string&)>;

    Checkpoint(const Sweep& sweep, const std::filesystem::path& out, Warn warn);

    bool exists() const;

    // Of the run that it holds, as given to begin(); nothing where it holds none.
    std::optional<nlohmann::json> identity() const;

    // Makes the directory where it is not there, and empties it first where `fresh`. Throws a sentence where
    // it cannot be written.
    void begin(const nlohmann::json& identity, bool fresh);

    std::optional<std::string> result(std::size_t job) const;
    std::optional<std::string> state(std::size_t job) const;

    // A disk that is full does not end the sweep: it is warned of, once.
    void keep_result(std::size_t job, const std::string& bytes);
    void keep_state(std::size_t job, const std::string& bytes);

    void remove();

  private:
    std::filesystem::path file(std::size_t job, const char* kind) const;
    std::optional<std::string> read(std::size_t job, const char* kind) const;
    void write(std::size_t job, const char* kind, const std::string& bytes);

    const Sweep& sweep_;
    std::filesystem::path directory_;
    Warn warn_;
    bool warned_ = false;
};

}  // namespace single_location
