// measure.hpp owns the interface of what is measured of one case.
#pragma once

#include <benchmark/benchmark.h>

#include "cases.hpp"

namespace hone::bench {

// Times the case and sets its counters:
//
//     flops            operations per second, as counted by bench::flops()
//     peak_share       flops over the FMA peak of the same ISA, scalar type and number of threads: the best
//                      of several short runs just before and just after the timed calls
//     bytes            per call, as counted by bench::bytes()
//     bandwidth_share  bytes per second over the read bandwidth of that number of threads, measured just
//                      before and just after the timed calls where memory could be what bounds the case,
//                      else once; above 1 where caches hold what is read
//     roofline_share   the time that the peak or the bandwidth allows, whichever is longer, over the time
//                      that the call took
//     workspace        bytes of it
//     speedup          the time of the naive reference in the same scalar type on ONE thread over the
//                      kernel's, as in reference_seconds()
//     max_error        of the outputs of the last timed call, as in max_error()
//
// The workspace is the caller's, and allocated before. A call that fails ends the case with its sentence.
void measure(benchmark::State& state, const Case& c);

}  // namespace hone::bench
