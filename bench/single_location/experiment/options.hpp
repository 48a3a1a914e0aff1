// options.hpp: the command line.
#pragma once

#include <filesystem>
#include <optional>

#include "experiment/settings.hpp"

namespace single_location {

struct Command {
    Settings settings;
    std::filesystem::path out = "single-location";
    bool resume = false;
};

// What was asked for; or, where nothing is to be run, the exit status of which the reason has been printed: 0
// after --help, 2 for a wrong option. `quiet` prints nothing.
std::optional<Command> parse_command(int argc, char** argv, bool quiet, int& status);

}  // namespace single_location
