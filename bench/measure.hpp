// measure.hpp owns the interface of what is measured of one case.
#pragma once

#include <benchmark/benchmark.h>

#include "cases.hpp"

namespace hone::bench {

// Times the case and sets its counters:
//
//     flops       operations per second, as counted by bench::flops()
//     peak_share  flops over the FMA peak of the same ISA, scalar type and number of threads: the best of
//                 several short runs just before and just after the timed calls
//     speedup     the time of the naive reference in the same scalar type on ONE thread over the kernel's,
//                 as in reference_seconds()
//     max_error   of the outputs of the last timed call, as in max_error()
//
// The workspace is the caller's, and allocated before. A call that fails ends the case with its sentence.
void measure(benchmark::State& state, const Case& c);

}  // namespace hone::bench
