// balance.hpp: how many threads a call is worth, and how many rows a block of forward should have for them.
#pragma once

#include "plan.hpp"

namespace hone {

// The threads, of those there are, that a call's work is worth: one that starts and ends costs some
// microseconds, and many where other programs hold the cores.
int worthwhile_threads(const ForwardPlan& plan, int threads);
int worthwhile_threads(const BackwardPlan& plan, int threads);

// Of these, no more than are needed to be as fast: a task each, and where tasks are equal, the same number of
// rounds.
int needed_threads(const ForwardPlan& plan, int threads);

// Rows of a block of forward, at most `most`: the most with which the last thread is likely to end first.
// (Where k and v are packed, a row's result is the same in a block of any size.)
std::int64_t balanced_rows(const Shape& shape, std::int64_t most, int threads, int tile_rows);

}  // namespace hone
