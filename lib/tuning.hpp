// tuning.hpp: the sizes that decide a kernel's speed, as each ISA and scalar type gives them: constants,
// since the bits of a result depend on them. kernel/tuning.hpp has the values and their reasons.
#pragma once

#include <cstdint>

namespace hone {

struct Tuning {
    int panel, tile_rows;        // columns of a register tile, and of a packed panel; its rows
    std::int64_t forward_rows;   // the most rows of a block of forward
    std::int64_t backward_rows;  // and of backward
    std::int64_t block_keys;     // the most keys of a block,
    std::int64_t block_bytes;    // whose k and v take no more than this
    std::int64_t few_rows;       // up to so many rows of a kv head read k and v where they lie,
    std::int64_t in_place_keys;  // in blocks of so many keys
    std::int64_t split_keys;     // keys of a split
    double thread_cost;          // the least multiply-adds that are worth a thread
};

}  // namespace hone
