// bandwidth.hpp owns the interface of the read bandwidth: the rate at which threads do nothing but load.
#pragma once

namespace hone::bench {

// Bytes per second of `threads` threads that all read, at once, a part each of a buffer far larger than the
// last level of cache (256 MiB, or four times that cache), once. A thread reads the pages that it was the
// first to write; the buffer of each number of threads is kept. What fits in a cache is read faster than
// this, and a store costs more than a load: the bound that follows from it is one for problems larger than
// the caches, and can be missed by those that write much.
double read_bandwidth(int threads);

}  // namespace hone::bench
