// run.hpp: carries out a plan. The only OpenMP in the library.
#pragma once

#include <cstddef>

#include "plan.hpp"

namespace hone {

// More than any machine has; OpenMP ends the process where it cannot start as many as it is asked for.
inline constexpr int kMostThreads = 1024;

// The threads of a problem that asks for `wanted`: OpenMP's default for 0.
int thread_count(int wanted);

// `workspace` is aligned and holds the plan's bytes.
template <class T>
void run(const ForwardPlan& plan, const Tiles<T>& tiles, const hone_problem& p, const hone_forward_args& a,
         std::byte* workspace);
template <class T>
void run(const BackwardPlan& plan, const Tiles<T>& tiles, const hone_problem& p, const hone_backward_args& a,
         std::byte* workspace);

}  // namespace hone
