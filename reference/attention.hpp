// attention.hpp owns the interface of the reference: attention forward and backward by plain loops.
#pragma once

#include <hone/hone.h>

namespace hone::reference {

// hone_forward() and hone_backward() with S (float, double or long double; built for these three) as the
// type of every tensor and parameter, whatever problem.dtype says: each data pointer is read as an S*.
// The arguments must be valid: nothing is checked. size, threads, isa and workspace are not used.
template <class S>
void forward(const hone_problem& problem, const hone_forward_args& args);
template <class S>
void backward(const hone_problem& problem, const hone_backward_args& args);

}  // namespace hone::reference
