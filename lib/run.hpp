// run.hpp: carries out a plan: the schedule's tasks, on threads. The only OpenMP in the library.
#pragma once

#include <cstddef>

#include "tiles.hpp"

namespace hone {

// The threads of a problem that asks for `wanted`: OpenMP's default for 0; as many as asked for, up to 64 or
// the number of CPUs, whichever is more.
int thread_count(int wanted);

// The plan with its pointers. `workspace` is aligned and holds the plan's bytes.
template <class T>
ForwardCall<T> call_of(const ForwardPlan& plan, const hone_problem& p, const hone_forward_args& a,
                       std::byte* workspace);
template <class T>
BackwardCall<T> call_of(const BackwardPlan& plan, const hone_problem& p, const hone_backward_args& a,
                        std::byte* workspace);

template <class T>
void run(const ForwardCall<T>& call, const Tiles<T>& tiles);
template <class T>
void run(const BackwardCall<T>& call, const Tiles<T>& tiles);

}  // namespace hone
