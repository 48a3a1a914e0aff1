// sweep.hpp owns the interface of what runs an experiment: independent jobs, on one process or many, whose
// rows become a CSV; interrupted at will, and resumed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

namespace single_location {

using Cell = std::variant<std::int64_t, double, std::string>;
using Row = std::vector<Cell>;

// Of one job: its rows of the CSV, each as long as the columns, and what is to be summarised.
struct Result {
    std::vector<Row> rows;
    nlohmann::json summary;
};

// Thrown through a job that is to stop; no std::exception, so that no handler of errors takes it for one.
struct Interrupted {};

// What a job that runs may ask for, from one thread and outside of parallel regions.
class Progress {
  public:
    virtual ~Progress() = default;

    // How much is done, in [0, 1]. Cheap enough for every training step, and worth calling every few
    // milliseconds: on rank 0 it serves the other ranks. Throws Interrupted where a stop was asked for and
    // the job does not save: it has not called save_due() so far, or not for a quarter of a second.
    virtual void done(double share) = 0;

    // Whether it is time to save: the sweep's save_seconds after the last time, or since a stop was asked
    // for.
    virtual bool save_due() = 0;

    // Keeps the state on disk; throws Interrupted where a stop was asked for.
    virtual void save(const nlohmann::json& state) = 0;

    // The last state that an earlier run kept of this job; null where there is none.
    virtual const nlohmann::json& saved() const = 0;
};

struct Job {
    std::string name;  // unique within the sweep, on one line: "softmax/nu 2/seed 1"
    double cost = 1;   // expected time in any one measure, for the time left and for who computes what
    std::function<Result(Progress&)> run;
};

struct Sweep {
    std::string name;  // "risk" writes OUT/risk.csv and OUT/risk.json
    std::vector<std::string> columns;
    nlohmann::json settings;  // an object: everything that decides the results, the seed included
    std::vector<Job> jobs;
    std::function<nlohmann::json(const std::vector<Result>&)> summarise;  // results in the order of the jobs
    double save_seconds = 10;
};

// Runs the jobs and returns the exit status: 0 where OUT holds the complete result, 130 after SIGINT or
// SIGTERM, else 1, with a sentence on stderr.
//
// OUT/NAME.csv has the rows in the order of the jobs, the same bytes however many processes computed them
// and however often they were interrupted. OUT/NAME.json has the keys experiment, hone (the version),
// settings, summary, complete, and where jobs failed, failed. OUT/NAME.checkpoint holds what is finished or
// saved until all is complete; `resume` goes on from there. Each file is replaced at once, so one that is
// there is whole; one that is damaged nevertheless is warned of and computed again.
//
// Started by mpirun, each rank calls this with the same sweep. Rank 0 hands out the jobs, the costliest
// first, and computes too; it alone reads and writes files. Where a job throws, the others still run. Where
// a rank dies, mpirun ends all, and a later run with any number of ranks resumes what had come to rank 0. A
// signal to one rank stops all. On Ctrl-C, Open MPI's mpirun sends SIGTERM a second later, and kills what
// still runs after another: what was finished or saved before is kept. `--mca odls_base_sigkill_timeout 5`
// makes it five seconds each.
int run(const Sweep& sweep, const std::filesystem::path& out, bool resume);

// Whether this process is the one that prints: false on the ranks of mpirun other than 0. Does not touch MPI.
bool is_first_process();

}  // namespace single_location
