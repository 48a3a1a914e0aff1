// sweep_program.cpp: a sweep of jobs that sleep, for the tests of whole processes (sweep_process_test.py).
//
//     sweep_program OUT [--resume] [--jobs=12] [--steps=10] [--step-ms=20] [--save-seconds=10] [--dim=3]
//                       [--trace=FILE]      a line "job rank step" for each job that starts, from which
//                       step
//                       [--throw=UNIT]      half-way
//                       [--kill=RANK]       it kills itself half-way through its second job
//                       [--interrupt=RANK]  the same with SIGINT
//                       [--deaf]            jobs ask for nothing
//     sweep_program --mpi                   exit status 0 if it was built with MPI
#include <signal.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "sweep/ranks.hpp"
#include "sweep/sweep.hpp"

namespace single_location {
namespace {

std::vector<std::string> arguments;

// The value of --NAME=VALUE.
std::string option(const std::string& name, const std::string& value) {
    for (const std::string& argument : arguments)
        if (argument.starts_with("--" + name + "=")) return argument.substr(name.size() + 3);
    return value;
}

bool flag(const std::string& name) {
    for (const std::string& argument : arguments)
        if (argument == "--" + name) return true;
    return false;
}

int rank() {
    return launch() ? launch()->rank : 0;
}

// A chaotic map, so that a step too many or too few shows.
Result compute(int job, Progress& progress) {
    static int jobs_begun = 0;
    ++jobs_begun;
    const int steps = std::stoi(option("steps", "10"));
    const std::chrono::milliseconds pause(std::stoi(option("step-ms", "20")));
    const bool saved = !progress.saved().is_null();
    int step = saved ? progress.saved().at("step").get<int>() : 0;
    double x = saved ? progress.saved().at("x").get<double>() : 0.1 + 0.01 * job;
    if (const std::string trace = option("trace", ""); !trace.empty())
        std::ofstream(trace, std::ios::app)
            << std::to_string(job) + " " + std::to_string(rank()) + " " + std::to_string(step) + "\n";
    for (; step < steps; ++step) {
        if (step == steps / 2 && option("throw", "-1") == std::to_string(job))
            throw std::runtime_error("the map has left [0, 1]");
        if (step == steps / 2 && jobs_begun == 2 && option("kill", "-1") == std::to_string(rank()))
            raise(SIGKILL);
        if (step == steps / 2 && jobs_begun == 2 && option("interrupt", "-1") == std::to_string(rank()))
            raise(SIGINT);
        if (!flag("deaf")) {
            progress.done(step / static_cast<double>(steps));
            if (progress.save_due()) progress.save({{"step", step}, {"x", x}});
        }
        std::this_thread::sleep_for(pause);
        x = 3.9 * x * (1 - x);
    }
    return {{{std::int64_t{job}, "x", x}, {std::int64_t{job}, "log x", std::log(x)}}, {{"x", x}}};
}

int main() {
    if (flag("mpi")) {
#ifdef SINGLE_LOCATION_MPI
        return 0;
#else
        return 1;
#endif
    }
    Sweep sweep;
    sweep.name = "map";
    sweep.columns = {"job", "what", "value"};
    sweep.settings = {{"dim", std::stoi(option("dim", "3"))}};
    sweep.save_seconds = std::stod(option("save-seconds", "10"));
    for (int job = 0; job < std::stoi(option("jobs", "12")); ++job)
        sweep.jobs.push_back({"job " + std::to_string(job), 1.0 + job,
                              [job](Progress& progress) { return compute(job, progress); }});
    sweep.summarise = [](const std::vector<Result>& results) {
        double sum = 0;
        for (const Result& result : results) sum += result.summary.at("x").get<double>();
        return nlohmann::json{{"sum", sum}};
    };
    return run(sweep, arguments.at(0), flag("resume"));
}

}  // namespace
}  // namespace single_location

int main(int argc, char** argv) {
    single_location::arguments.assign(argv + 1, argv + argc);
    return single_location::main();
}
