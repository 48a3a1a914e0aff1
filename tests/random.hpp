// random.hpp: random numbers that are the same on every platform.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>

namespace hone::test {

class Random {
  public:
    explicit Random(const std::string& seed) {
        std::uint64_t hash = 0xcbf29ce484222325;
        for (const char c : seed) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
        engine_.seed(hash);
    }
    // In [-1, 1).
    double symmetric() { return static_cast<double>(static_cast<std::int64_t>(engine_())) * 0x1p-63; }
    std::int64_t integer(std::int64_t least, std::int64_t most) {
        return least + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(most - least + 1));
    }

    bool one_in(int n) { return integer(1, n) == 1; }
    template <class X>
    X one_of(std::initializer_list<X> list) {
        return list.begin()[integer(0, static_cast<std::int64_t>(list.size()) - 1)];
    }

  private:
    std::mt19937_64 engine_;
};

}  // namespace hone::test
