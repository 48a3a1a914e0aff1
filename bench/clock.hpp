// clock.hpp owns the interface of the clock: how many cycles a second the cores run at this moment.
#pragma once

namespace hone::bench {

// Cycles per second, the mean over `threads` threads that count at once: each runs a chain of dependent
// register-register adds, of which every core does one a cycle, for some 0.1 ms. (Of adds of an immediate
// some cores do several a cycle.)
double clock_rate(int threads);

// The rate by that chain over the rate by a chain of dependent 64-bit multiplications of 3 cycles each (4 on
// some ARM cores): 1, or the chain does not count cycles here.
double clock_check();

}  // namespace hone::bench
