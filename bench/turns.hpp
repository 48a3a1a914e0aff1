// turns.hpp owns the interface of how often cases are timed, and in which order: in turns, a slice of each,
// until the median of each is known well enough.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <string>
#include <vector>

#include "measure.hpp"
#include "statistics.hpp"

namespace hone::bench {

struct Settings {
    double slice_seconds = 0.05;  // of calls, between two looks at the clock
    double case_seconds = 2;      // of slices, after which a case is left as it is
    int least_slices = 5, most_slices = 40;
    std::size_t memory = std::size_t(1) << 29;  // bytes of inputs and outputs of the cases that take turns
};

// What was measured of one case. Each slice is an iteration of Google Benchmark, with the counters of
// Timed::slice() and max_error.
struct Result {
    using Run = benchmark::BenchmarkReporter::Run;

    Subject subject;
    std::vector<Run> slices;
    std::string error;  // why there are none

    Summary seconds() const;  // of a call
    double median(const std::string& counter) const;
    bool is_noisy() const;       // not settled when its time was over, or disturbed
    bool clock_moved() const;    // and moved again when the case was repeated
    double working_set() const;  // bytes

    // The slices, then their median, minimum, spread and coefficient of variation, as a report has them.
    std::vector<Run> runs() const;
};

// Told what goes on.
class Observer {
  public:
    virtual ~Observer() = default;
    virtual void prepares(const Subject& subject) = 0;
    virtual void times(std::size_t cases, std::size_t slices) = 0;  // slices of each, until now
    virtual void finished(const Result& result) = 0;                // in the order of the subjects
};

// Those that fail have an error in their result.
void measure_in_turns(const std::vector<Subject>& subjects, const Settings& settings, Observer& observer);

}  // namespace hone::bench
