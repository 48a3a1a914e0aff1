// main.cpp: hone-single-location, the program: what the command line asks for is run, and summed up on
// stdout.
#include <cstdio>
#include <exception>

#include "experiment/experiments.hpp"
#include "experiment/options.hpp"
#include "experiment/report.hpp"

namespace {

using namespace single_location;

Sweep experiment(const Settings& settings) {
    if (settings.dynamics()) return dynamics(settings);
    if (settings.experiment == "prune") return prune(settings);
    if (settings.experiment == "noise") return noise(settings);
    return risk(settings);
}

}  // namespace

int main(int argc, char** argv) {
    int status = 0;
    const std::optional<Command> command = parse_command(argc, argv, !is_first_process(), status);
    if (!command) return status;
    try {
        status = run(experiment(command->settings), command->out, command->resume);
        if (status == 0 && is_first_process()) print_summary(command->settings.experiment, command->out);
        return status;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "hone-single-location: %s\n", error.what());
        return 1;
    }
}
