// random.hpp: the random numbers of the experiments: pure functions of (seed, stream, sample, position), the
// same whatever the threads, the ISA (up to rounding) and the way in which the samples are cut into calls.
#pragma once

#include <array>
#include <cstdint>

namespace single_location {

// Philox4x32-10 with the key (seed low, seed high) and the counter (block, stream, sample low, sample high).
std::array<std::uint32_t, 4> random_words(std::uint64_t seed, std::uint32_t stream, std::uint64_t sample,
                                          std::uint32_t block);

// Fills the contiguous out [samples, count]: row i holds the first `count` standard normals of the sample
// first_sample + i. Element 64 s + 16 w + c of a row comes from word w of block 16 s + c. Words (0, 1) of a
// block are a Box-Muller pair, and so are (2, 3): of the words (a, b),
//     u = (a >> 1) + 1/2, rounded twice to float as it is computed, times 2^-31, in (0, 1]
//     x_a, x_b = sqrt(-2 ln u) (cos, sin)(2 pi b / 2^32)
// with an absolute error below 2e-6; |x| <= sqrt(64 ln 2) = 6.66.
// isa: one of hone::available_isas(); null for hone_isa_active(). Throws std::invalid_argument for another
// isa, a negative `samples` or `count`, and a `count` beyond 2^34, which is all that a sample has.
void fill_normals(std::uint64_t seed, std::uint32_t stream, std::uint64_t first_sample, std::int64_t samples,
                  std::int64_t count, float* out, const char* isa = nullptr);

}  // namespace single_location
