// balance.hpp: how many threads a call is worth, and how many rows a block of forward should have for them.
#pragma once

#include "plan.hpp"

namespace hone {

// How many of the threads the work of a call is worth. Starting and stopping one costs some microseconds,
// and far more where other programs hold the cores.
int worthwhile_threads(const ForwardPlan& plan, const Machine& machine);
int worthwhile_threads(const BackwardPlan& plan, const Machine& machine);

// The smallest number of these threads that finish no later: no more than tasks, and where tasks are equal,
// as many as need the same number of rounds.
int needed_threads(const ForwardPlan& plan, int threads);

// Rows of a block of forward: the largest block, of `most` rows at most, with which the last thread is likely
// to end soonest. (Where k and v are packed, a row's result is the same in a block of any size.)
std::int64_t balanced_rows(const Shape& shape, std::int64_t most, int threads, int tile_rows);

}  // namespace hone
