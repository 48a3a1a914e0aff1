// tasks.hpp: a call's plan with its pointers, and what each of its tasks does.
#pragma once

#include <cstddef>

#include "parts.hpp"
#include "schedule.hpp"
#include "tiles.hpp"

namespace hone {

// The plan of a part with its pointers. `workspace` is aligned and holds the plan's bytes.
template <class T>
ForwardCall<T> call_of(const ForwardPlan& plan, const hone_problem& p, const hone_forward_args& a,
                       std::byte* workspace);
template <class T>
BackwardCall<T> call_of(const BackwardPlan& plan, const hone_problem& p, const hone_backward_args& a,
                        std::byte* workspace);

// Before the first task, where several threads take them.
template <class T>
void clear_counters(const ForwardCall<T>& call);
template <class T>
void clear_counters(const BackwardCall<T>& call);

// `scratch` is the thread's.
template <class T>
void run_task(const ForwardCall<T>& call, const Tiles<T>& tiles, const Task& task, T* scratch);
template <class T>
void run_task(const BackwardCall<T>& call, const Tiles<T>& tiles, const Task& task, T* scratch);

}  // namespace hone
