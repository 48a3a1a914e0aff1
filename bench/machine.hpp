// machine.hpp owns the interface of what a measurement depends on beside the code: the machine, its system
// and how this process was built and started.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace hone::bench {

// The machine's CPU, as the system names it, with family and model, which tell servers of one name apart.
std::string cpu_model();

// [(key, value)] for the context of a report: CPU, cores, SMT, NUMA, governor, huge pages, pinning, compiler,
// xsimd, revision ...
std::vector<std::pair<std::string, std::string>> environment();

// Whether the system may move the threads of this process from CPU to CPU.
bool threads_move();

// The smallest caches of so many threads that hold so many bytes: "in L1", "in L2", "in L3", or "in memory".
std::string place_of(double bytes, int threads);

// The time that the host took from this machine, as a share of the time of its CPUs since the construction; 0
// where the system does not tell.
class StolenTime {
  public:
    StolenTime();
    double share() const;

  private:
    struct Ticks {
        double stolen = 0, all = 0;
    };
    static Ticks now();
    Ticks begin_;
};

}  // namespace hone::bench
