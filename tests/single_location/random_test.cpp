// random_test.cpp: the random words are Philox4x32-10, the normals are Box-Muller of them on every ISA, and
// follow the normal law, independently of each other.
#include "random/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <hone/hone.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "random/philox.hpp"

namespace single_location {
namespace {

using Two = std::array<std::uint32_t, 2>;
using Four = std::array<std::uint32_t, 4>;

constexpr double kTolerance = 2e-6;                      // what random.hpp promises
constexpr std::uint64_t kHigh = std::uint64_t{1} << 32;  // where the high word of a seed or sample begins

// Random123's kat_vectors, "philox4x32 10".
constexpr std::uint32_t kOnes = 0xFFFFFFFF;
constexpr struct {
    Four counter;
    Two key;
    Four words;
} kKnownAnswers[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

// The counter of which philox4x32 makes these words.
Four philox_backwards(Four words, Two key) {
    const std::uint64_t a = kPhiloxFactor[0], b = kPhiloxFactor[1];
    const std::uint32_t over_a = 0x991A7CDB, over_b = 0x6D7CAE67;  // their inverses modulo 2^32
    for (int round = 9; round >= 0; --round) {
        const std::uint32_t c0 = words[3] * over_a, c2 = words[1] * over_b;
        const std::uint32_t key0 = key[0] + round * kPhiloxStep[0], key1 = key[1] + round * kPhiloxStep[1];
        words = {c0, words[0] ^ key0 ^ static_cast<std::uint32_t>(b * c2 >> 32), c2,
                 words[2] ^ key1 ^ static_cast<std::uint32_t>(a * c0 >> 32)};
    }
    return words;
}

// The pair of normals of two words, by the formula of random.hpp.
std::array<double, 2> box_muller(std::uint32_t a, std::uint32_t b) {
    const float u = (static_cast<float>(static_cast<std::int32_t>(a >> 1)) + 0.5f) * 0x1p-31f;
    const double radius = std::sqrt(-2 * std::log(static_cast<double>(u))), angle = 2 * M_PI * b * 0x1p-32;
    return {radius * std::cos(angle), radius * std::sin(angle)};
}

// Element i of a row of fill_normals().
double normal(std::uint64_t seed, std::uint32_t stream, std::uint64_t sample, std::int64_t i) {
    const int word = static_cast<int>(i % 64 / 16);
    const Four words = random_words(seed, stream, sample, static_cast<std::uint32_t>(i / 64 * 16 + i % 16));
    return box_muller(words[word & 2], words[word | 1])[word & 1];
}

std::vector<float> normals(std::uint64_t seed, std::uint32_t stream, std::uint64_t first,
                           std::int64_t samples, std::int64_t count, const char* isa = nullptr) {
    std::vector<float> out(samples * count);
    fill_normals(seed, stream, first, samples, count, out.data(), isa);
    return out;
}

TEST(Philox, GivesThePublishedKnownAnswers) {
    for (const auto& known : kKnownAnswers) EXPECT_EQ(philox4x32(known.counter, known.key), known.words);
    static_assert(philox4x32({0, 0, 0, 0}, {0, 0})[0] == 0x6627e8d5);
}

TEST(Philox, WordsAreOfTheKeySeedAndTheCounterBlockStreamSample) {
    const Four words = random_words(0x299f31d0'a4093822, 0x85a308d3, 0x03707344'13198a2e, 0x243f6a88);
    EXPECT_EQ(words, kKnownAnswers[2].words);
}

class EveryIsa : public testing::TestWithParam<std::string> {
  protected:
    const char* isa() const { return GetParam().c_str(); }
};
INSTANTIATE_TEST_SUITE_P(Normals, EveryIsa, testing::ValuesIn(hone::available_isas()),
                         [](const auto& info) { return info.param; });

TEST_P(EveryIsa, IsTheFormulaInDoublesToTheStatedError) {
    const std::int64_t samples = 300, count = 1000;
    const std::uint64_t seed = 0x12345678'9ABCDEF0, first = kHigh - 100;
    const std::vector<float> x = normals(seed, 3, first, samples, count, isa());
    for (std::int64_t i = 0; i < samples * count; ++i)
        ASSERT_NEAR(x[i], normal(seed, 3, first + i / count, i % count), kTolerance) << i;
}

// The ends of u, both sides of where the logarithm and the angle are cut, and the zeros of sine and cosine.
TEST_P(EveryIsa, IsTheFormulaAtExtremeWords) {
    const std::uint32_t radii[] = {0, 2, 0x7FFFFFFF, 0xB504F300, 0xB504F400, 0xFFFFFE00, 0xFFFFFF7F, kOnes};
    const std::uint32_t angles[] = {0,          1,          0x3FFFFFFF, 0x40000000, 0x7FFFFFFF,
                                    0x80000000, 0xBFFFFFFF, 0xC0000000, kOnes};
    std::uint32_t free = 0;  // the other two words: such that the block is near the beginning of its row
    for (std::uint32_t a : radii)
        for (std::uint32_t b : angles) {
            const bool second = a & 2;  // which pair of the block is the extreme one
            Four counter;
            do counter = philox_backwards(second ? Four{++free, 0, a, b} : Four{a, b, ++free, 0}, {77, 0});
            while (counter[0] >= 1 << 16);
            const std::uint64_t sample = counter[2] | std::uint64_t{counter[3]} << 32;
            const std::int64_t at = counter[0] / 16 * 64 + counter[0] % 16 + (second ? 32 : 0);
            const std::vector<float> x = normals(77, counter[1], sample, 1, at + 17, isa());
            for (int i = 0; i < 2; ++i)
                EXPECT_NEAR(x[at + 16 * i], box_muller(a, b)[i], kTolerance) << std::hex << a << " " << b;
        }
}

TEST_P(EveryIsa, AgreesWithTheFirstIsaUpToRounding) {
    const std::vector<float> x = normals(5, 6, 7, 100, 999, isa());
    const std::vector<float> y = normals(5, 6, 7, 100, 999, hone::available_isas()[0].c_str());
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], kTolerance) << i;
}

TEST_P(EveryIsa, IsTheSameHoweverCutAndAlignedAndWritesNothingElse) {
    const std::uint64_t seed = 11, first = kHigh - 3;
    const std::int64_t longest = 1000, samples = 7;
    const std::vector<float> whole = normals(seed, 2, first, samples, longest, isa());
    for (std::int64_t count : {0, 1, 15, 16, 17, 63, 64, 65, 1000})
        for (std::int64_t step : {1, 3, 7})
            for (std::int64_t offset : {1, 2, 16}) {
                std::vector<float> x(offset + samples * count + 64, 123.0f);  // never a normal
                for (std::int64_t i = 0; i < samples; i += step)
                    fill_normals(seed, 2, first + i, std::min(step, samples - i), count,
                                 x.data() + offset + i * count, isa());
                for (std::int64_t i = 0; i < samples * count; ++i)
                    ASSERT_EQ(x[offset + i], whole[i / count * longest + i % count])
                        << "count " << count << ", step " << step << ", offset " << offset << ", at " << i;
                EXPECT_EQ(std::count(x.begin(), x.end(), 123.0f), offset + 64) << "count " << count;
            }
}

TEST(Arguments, AreNamedWhereTheyAreWrong) {
    float out[1];
    const auto expect = [&](std::int64_t samples, std::int64_t count, const char* isa,
                            const char* beginning) {
        try {
            fill_normals(0, 0, 0, samples, count, out, isa);
            ADD_FAILURE() << "no error: " << beginning;
        } catch (const std::invalid_argument& error) {
            EXPECT_EQ(std::string(error.what()).find(beginning), 0u) << error.what();
        }
    };
    expect(1, 1, "mmx", "isa: is 'mmx'; should be one of ");
    expect(-1, 1, nullptr, "samples: is -1");
    expect(1, -2, nullptr, "count: is -2");
    expect(0, (std::int64_t{1} << 34) + 1, nullptr, "count: is 17179869185");
}

// 4,194,304 normals, of 1024 samples, and what is drawn beside them.
constexpr std::int64_t kSamples = 1024, kCount = 4096, kMany = kSamples * kCount;
const std::vector<float>& many() {
    static const std::vector<float> x = normals(2024, 1, 0, kSamples, kCount);
    return x;
}

double above(double x) {
    return std::erfc(x * M_SQRT1_2) / 2;
}

// sqrt(n) sup |empirical law - law|: beyond 2.75 as seldom as 5 standard errors, 2 exp(-2 2.75^2) = 5e-7.
constexpr double kLargestDistance = 2.75;
template <class Law>
double kolmogorov_smirnov(std::vector<float> x, Law law) {
    std::sort(x.begin(), x.end());
    double distance = 0, n = static_cast<double>(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double p = law(x[i]);
        distance = std::max({distance, p - i / n, (i + 1) / n - p});
    }
    return distance * std::sqrt(n);
}

TEST(Law, MomentsOneToSixAreTheNormalOnes) {
    const double moment[] = {1, 0, 1, 0, 3, 0, 15, 0, 105, 0, 945, 0, 10395};
    double sum[7] = {};
    for (double x : many())
        for (int k = 1; k <= 6; ++k) sum[k] += std::pow(x, k);
    for (int k = 1; k <= 6; ++k) {
        const double variance = moment[2 * k] - moment[k] * moment[k];
        EXPECT_NEAR(sum[k] / kMany, moment[k], 5 * std::sqrt(variance / kMany)) << k;
    }
}

TEST(Law, IsNormalByKolmogorovSmirnov) {
    EXPECT_LT(kolmogorov_smirnov(many(), [](double x) { return above(-x); }), kLargestDistance);
}

TEST(Law, TailsHaveTheNormalWeightAndShape) {
    for (double bound : {3.0, 4.0}) {
        std::vector<float> tail;
        for (float x : many())
            if (std::abs(x) > bound) tail.push_back(std::abs(x));
        const double p = 2 * above(bound);
        EXPECT_NEAR(tail.size(), kMany * p, 5 * std::sqrt(kMany * p * (1 - p))) << bound;
        EXPECT_LT(kolmogorov_smirnov(tail, [=](double x) { return 1 - 2 * above(x) / p; }), kLargestDistance);
    }
}

// No correlation of x with y, x^2 with y^2, x with y^2 and x^2 with y, beyond 5 standard errors.
void expect_independent(std::size_t n, const float* x, const float* y, const std::string& what) {
    double sum[4] = {};
    for (std::size_t i = 0; i < n; ++i) {
        const double a = x[i], b = y[i], a2 = a * a - 1, b2 = b * b - 1;
        sum[0] += a * b, sum[1] += a2 * b2, sum[2] += a * b2, sum[3] += a2 * b;
    }
    const double variance[4] = {1, 4, 2, 2};
    for (int k = 0; k < 4; ++k)
        EXPECT_LT(std::abs(sum[k]), 5 * std::sqrt(variance[k] * n)) << what << ", product " << k;
}

TEST(Independence, AcrossTheCountersAndWordsOfASample) {
    for (int lag : {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 32, 48, 63, 64, 65, 128, 1024})
        expect_independent(kMany - lag, many().data(), many().data() + lag, "lag " + std::to_string(lag));
}

TEST(Independence, WithinTheBoxMullerPairs) {
    std::vector<float> pair[2];
    for (std::int64_t i = 0; i < kMany; ++i) pair[i / 16 % 2].push_back(many()[i]);
    expect_independent(kMany / 2, pair[0].data(), pair[1].data(), "pairs");
}

TEST(Independence, AcrossSamplesStreamsAndSeeds) {
    for (int lag : {1, 2, 3, 4, 16, 256})
        expect_independent((kSamples - lag) * kCount, many().data(), many().data() + lag * kCount,
                           "sample + " + std::to_string(lag));
    const auto beside = [](std::uint64_t seed, std::uint32_t stream, std::uint64_t first, const char* what) {
        expect_independent(kMany, many().data(), normals(seed, stream, first, kSamples, kCount).data(), what);
    };
    beside(2024, 1, kHigh, "sample + 2^32");
    beside(2024, 0, 0, "stream - 1");
    beside(2024, 2, 0, "stream + 1");
    beside(2025, 1, 0, "seed + 1");
    beside(2024 + kHigh, 1, 0, "seed + 2^32");
    beside(2024 + (kHigh << 31), 1, 0, "seed + 2^63");
}

}  // namespace
}  // namespace single_location
