// plans.hpp: what plans are made from where there is no data: a machine, and tensors that are never read.
#pragma once

#include "plan.hpp"
#include "tests/spec.hpp"

namespace hone::test {

// Plans look at which strides are 0 and which pointers are null, and at nothing else of a tensor.
inline hone_tensor planned_tensor(const Shared& summed = {}) {
    static float memory;
    return tensor_at(&memory, !summed.batch, !summed.heads, !summed.rows);
}

inline Machine planned_machine(int threads) {
    static constexpr Tuning tuning = {.panel = 32,
                                      .tile_rows = 8,
                                      .forward_rows = 192,
                                      .backward_rows = 96,
                                      .block_keys = 256,
                                      .block_bytes = 1 << 19,
                                      .few_rows = 16,
                                      .in_place_keys = 512,
                                      .split_keys = 1024,
                                      .thread_cost = 2e6};
    return {threads, tuning};
}

}  // namespace hone::test
