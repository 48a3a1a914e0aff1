// tuning.hpp: the sizes of register tiles and blocks, and how far ahead is read, for each ISA and type: each
// with the measurement that chose it and its machine. (bench/NOTES.md has the values that were refused.)
#pragma once

#include "accumulate.hpp"
#include "kernel/simd.hpp"
#include "stage.hpp"
#include "tuning.hpp"

namespace hone {
namespace {

// A register tile is kTileRows x kPanel: 12 sums in 16 registers, or 16 in 32. One that is a single vector
// wide has twice the rows. (12 x 32 with AVX-512 on Zen 5: -2 to +1%.)
inline constexpr int kTileVectors = 2;
inline constexpr int kTileRows = kRegisters == 32 ? 8 : 6;
template <class T>
inline constexpr int kPanel = kTileVectors* kWidth<T>;

// Lines of a right factor this near are read in place: those of a tile stay in L1 beside each other.
// (Zen 5, AVX-512, D 64. Backward, where rows would be packed again for each key block: 1% faster, 4% at
// N 64. Forward, for tasks that would pack v for themselves: N 64 5%, N 128 3%.)
template <class T>
inline constexpr std::int64_t kNearLine = 320 / sizeof(T);

// The most terms of a chain of additions: errors of random sums grow with its root, those of equal terms with
// it. (256 on Zen 4: forward up to 1.5% faster, the errors of o and dq 10% larger.)
inline constexpr std::int64_t kChain = 128;

// Rows and lines of a tile that reads its right factor where it lies, by the registers: add_lines holds the
// rows' elements of its lines and their sums, multiply_dots its sums and a vector of each row. (4 x 4 on
// Sapphire Rapids: 3 to 5% faster than 2 x 4 in p v.)
inline constexpr int kAddRows = kRegisters == 32 ? 4 : 2;
inline constexpr int kAddLines = kRegisters == 32 ? 6 : 4;
inline constexpr int kDotRows = kRegisters == 32 ? 4 : 3;
inline constexpr int kDotLines = 4;
// Where rows fill the lanes and features are fewer than this, lanes hold rows: adding up the lanes of a sum
// over features would cost as much as its products. (Sapphire Rapids, D 64 and 128: 20 and 10% faster.)
inline constexpr std::int64_t kFeaturesInLanes = 256;

// Lines come into L1 some 8 KiB before they are read. Those longer than 1 KiB are streams that the hardware
// follows by itself. (Zen 5, decoding 4 rows: 9 -> 26 GB/s; 4 or 16 KiB: -3 to 0%. Sapphire Rapids, lines of
// 4 KB: 1.2 times as fast without.)
inline constexpr std::int64_t kFetchBytes = 8192, kLongLineBytes = 1024;

// The most rows of any block: what a tile function has room for.
inline constexpr std::int64_t kMostRows = 288;

template <class T>
inline constexpr Tuning kTuning = {
    .panel = kPanel<T>,
    .tile_rows = kTileRows,
    // Each panel of k and v is read once for all rows. B1 H8 N2048, D = 64, AVX2 on Zen 4: 60% of peak with
    // 48 rows, 66% with 96, 70 to 75% with 192, no more with 288 or 384. A head of up to so many rows is one
    // block, for which k and v are packed where they are used: N = 256, B·H 64 on Zen 5 is 8% faster with 288
    // rows than with 192 (AVX2: 3%).
    .forward_rows = 1152 / sizeof(T),
    // Backward holds a second block of scores, and both sides' panels. (128 rows on Zen 4: +0.4%.)
    .backward_rows = 96,
    // k and v of a block stay in L2 beside the scores. On Zen 5 256 keys beat 128 by 3 to 5% in forward with
    // AVX-512 (by 2% at D = 32 with AVX2), and by 2 to 4% in backward. There (L2 of 1 MiB) they also beat
    // 128 keys by 3% in backward at D = 512, and 64 keys by 13% at D = 1024, forward by 3%.
    .block_keys = 256,
    .block_bytes = 2048 * 1024,
    .few_rows = 16,
    .in_place_keys = 512,
    .split_keys = 1024,
    // Some 40 to 60 microseconds' worth.
    .thread_cost = 2e6,
};

template <class T>
constexpr bool fits(const Tuning& t) {
    const bool rows_fit = t.forward_rows <= kMostRows && t.backward_rows <= kMostRows;
    const bool scores_fit = t.block_keys <= kMostScores && t.in_place_keys <= kMostScores;
    const bool split_is_whole_blocks = t.split_keys % t.in_place_keys == 0;
    const bool split_is_added_plainly = t.split_keys / kSliceKeys <= kPlainTerms;
    const bool chain_is_whole_panels = kChain % kPanel<T> == 0;
    return rows_fit && scores_fit && split_is_whole_blocks && split_is_added_plainly && chain_is_whole_panels;
}
static_assert(fits<float>(kTuning<float>) && fits<double>(kTuning<double>));

}  // namespace
}  // namespace hone
