// philox.hpp: the counter-based generator Philox4x32 (Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011), one counter at a time.
#pragma once

#include <array>
#include <cstdint>

namespace single_location {

// What multiplies words 0 and 2 of the counter, and what is added to the key after each round.
constexpr std::uint32_t kPhiloxFactor[2] = {0xD2511F53, 0xCD9E8D57};
constexpr std::uint32_t kPhiloxStep[2] = {0x9E3779B9, 0xBB67AE85};

// Four random words: a bijection of the counter for each key.
template <int rounds = 10>
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < rounds; ++round) {
        const std::uint64_t a = std::uint64_t{kPhiloxFactor[0]} * counter[0];
        const std::uint64_t b = std::uint64_t{kPhiloxFactor[1]} * counter[2];
        counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
                   static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
        key = {key[0] + kPhiloxStep[0], key[1] + kPhiloxStep[1]};
    }
    return counter;
}

}  // namespace single_location
