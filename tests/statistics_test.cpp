// statistics_test.cpp: what hone-bench says of its slices, on numbers whose statistics are known.
#include "bench/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace hone::bench {
namespace {

TEST(Statistics, of_a_few_numbers) {
    const Summary s({5, 1, 4, 2, 3});
    EXPECT_EQ(s.median, 3);
    EXPECT_EQ(s.minimum, 1);
    EXPECT_DOUBLE_EQ(s.spread, 2.0 / 3);  // between 2 and 4
    EXPECT_DOUBLE_EQ(median({7, 1, 2, 4}), 3);
    EXPECT_DOUBLE_EQ(quantile({0, 10}, 0.25), 2.5);
}

TEST(Statistics, of_one_number) {
    const Summary s({0.5});
    EXPECT_EQ(s.median, 0.5);
    EXPECT_EQ(s.minimum, 0.5);
    EXPECT_EQ(s.spread, 0);
    EXPECT_EQ(s.cv_of_median, 0);
}

// Medians of many samples of 25 normal numbers scatter as much as each sample says.
TEST(Statistics, error_of_the_median_is_what_medians_scatter_by) {
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal(10, 1);
    constexpr int samples = 2000;
    double said = 0, sum = 0, squares = 0;
    for (int n = 0; n < samples; ++n) {
        std::vector<double> numbers(25);
        for (double& x : numbers) x = normal(random);
        const Summary s(numbers);
        said += s.cv_of_median / samples;
        sum += s.median, squares += s.median * s.median;
    }
    const double mean = sum / samples, scatter = std::sqrt(squares / samples - mean * mean) / mean;
    EXPECT_NEAR(said, scatter, 0.1 * scatter);
}

// One slice in five that another process disturbed moves neither the median nor what is said of it by much.
TEST(Statistics, disturbed_slices_count_little) {
    std::vector<double> numbers;
    for (int n = 0; n < 20; ++n) numbers.push_back(n % 5 == 0 ? 3 : 1 + 0.001 * n);
    const Summary s(numbers);
    EXPECT_NEAR(s.median, 1.01, 0.01);
    EXPECT_LT(s.cv_of_median, 0.01);
}

}  // namespace
}  // namespace hone::bench
