// tokens.hpp: the samples of the model at finite D: noise, and at the marked token the signal.
#pragma once

#include <cstdint>
#include <vector>

#include "model/signal.hpp"

namespace single_location {

// What the Philox counters of a seed are used for.
enum Stream : std::uint32_t { kNoise, kLabels, kDirections, kQueries, kOverlaps };

// X_l ~ N(0, I_D), l < L; the token epsilon, uniform, has sum_f theta_f k_f added.
class Tokens {
  public:
    // With k_f = e_f, or with random orthonormal directions. Throws std::invalid_argument where D < F.
    enum class Directions { axes, random };
    Tokens(const Signal& signal, int tokens, int dim, Directions directions, std::uint64_t seed);

    // The same directions, other samples.
    Tokens with_seed(std::uint64_t seed) const {
        Tokens other = *this;
        other.seed_ = seed;
        return other;
    }

    int tokens() const { return tokens_; }
    int dim() const { return dim_; }
    const Signal& signal() const { return signal_; }
    // [F, D]: k_f.
    const std::vector<float>& directions() const { return directions_; }

    // Samples first .. first + count - 1 of the stream that the seed names: x [count, L, D], epsilon [count],
    // and where it is wanted theta [count, F].
    void make(std::uint64_t first, int count, float* x, int* epsilon, double* theta = nullptr) const;

  private:
    Signal signal_;
    int tokens_, dim_;
    std::uint64_t seed_;
    std::vector<float> directions_;
};

}  // namespace single_location
