// peak.hpp owns the interface of the FMA peak: the rate at which threads do nothing but multiply-adds.
#pragma once

#include <hone/hone.h>

#include <string>

namespace hone::bench {

// Operations per second of `threads` threads that all run, at once, a loop of independent multiply-adds in
// registers with that ISA's widest vectors (a multiply and an add on sse2, which has no fused one): the best
// of a few runs of some 0.5 ms. Throws Error for an ISA that has no such loop here.
double peak_flops(const std::string& isa, hone_dtype dtype, int threads);

}  // namespace hone::bench
