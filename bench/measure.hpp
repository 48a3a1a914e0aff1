// measure.hpp owns the interface of what is measured of one case.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cases.hpp"
#include "implementation.hpp"

namespace hone::bench {

// A case, and who computes it.
struct Subject {
    Case c;
    const Implementation* by;

    // The case's, after the implementation's where that is not hone's own.
    std::string name() const { return (by->is_hone() ? "" : by->name() + ":") + c.name(); }
};

// A subject that is ready to be timed: its inputs are drawn, and its call was made.
class Timed {
  public:
    virtual ~Timed() = default;

    // The seconds of one call, roughly.
    virtual double seconds() = 0;

    // Makes the calls that the state asks for, and sets counters. What a call does:
    //
    //     flops                operations per second, as counted by bench::flops()
    //     flop_per_cycle       operations per cycle of one core: flops over the threads and the clock
    //     peak_flop_per_cycle  the same of a loop that does nothing but multiply-adds, with the same ISA,
    //                          scalar type and threads, just before the calls
    //     peak_share           flop_per_cycle over peak_flop_per_cycle
    //     bandwidth            bytes per second, as counted by bench::bytes()
    //     bytes_per_cycle      over the threads and the clock
    //     bandwidth_share      bandwidth over the read bandwidth of that number of threads, measured just
    //                          before the calls where memory could be what bounds the case, else once; above
    //                          1 where caches hold what is read
    //     roofline_share       the time that the peak or the bandwidth allows, whichever is longer, over the
    //                          time that the call took
    //     speedup              the time of the naive reference in the same scalar type on ONE thread over
    //                          the call's, as in reference_seconds()
    //
    // And beside that:
    //
    //     clock                cycles per second just before and just after the calls: their mean
    //     clock_moved          their difference, as a share of it
    //     on_cpu               the share of the calls' time that the calling thread ran; below 1 where other
    //                          processes took its core
    //     bytes                per call
    //     workspace            bytes of it; it is the caller's, and allocated before
    //     working_set          bytes of all that a call reads and writes, the workspace included
    virtual void slice(benchmark::State& state) = 0;

    // Of the outputs of the last call, as in bench::max_error().
    virtual double max_error() = 0;

    // Bytes that a call reads and writes, and all bytes that are held for it.
    virtual std::size_t working_set() const = 0;
    virtual std::size_t memory() const = 0;
};

// Prepares subjects, of which those with the same inputs share them.
class Preparation {
  public:
    Preparation();
    ~Preparation();

    // Throws Error where a call fails, or needs what the implementation does not list.
    std::unique_ptr<Timed> prepare(const Subject& subject);

  private:
    struct Workloads;
    std::unique_ptr<Workloads> workloads_;
};

}  // namespace hone::bench
