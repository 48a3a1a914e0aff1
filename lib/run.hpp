// run.hpp: carries out a plan: the tasks of a call, on threads. The only OpenMP in the library.
#pragma once

#include <cstddef>

#include "tasks.hpp"

namespace hone {

// The threads of a problem that asks for `wanted`: OpenMP's default for 0; as many as asked for, up to 64 or
// the number of CPUs, whichever is more.
int thread_count(int wanted);

// A call whose plan is for this machine. `workspace` is aligned and holds the plan's bytes.
template <class T, class Args>
void run(const CallPlan<Args>& plan, const hone_problem& p, const Args& a, const Machine& machine,
         const Tiles<T>& tiles, std::byte* workspace);

// A part of a call that is all of it.
template <class T, class Call>
void run_alone(const Call& call, const Tiles<T>& tiles);

}  // namespace hone
