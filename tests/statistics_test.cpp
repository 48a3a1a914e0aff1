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

TEST(Statistics, noise_is_scatter_or_another_process) {
    const std::vector<double> steady = {1, 1.01, 1.02, 1.01, 1}, alone(5, 1);
    EXPECT_FALSE(is_noisy(steady, alone));
    EXPECT_TRUE(is_noisy(steady, {1, 0.5, 0.5, 0.6, 1}));
    EXPECT_FALSE(is_noisy(steady, {1, 0.5, 1, 1, 1}));         // one of five
    EXPECT_TRUE(is_noisy({1, 1.1, 1.2, 1.3, 1.4}, alone));     // quartiles 0.2 apart: 6% of the median
    EXPECT_TRUE(is_noisy({0.5, 1, 1, 1, 1, 1, 1, 1}, alone));  // what is possible was seen once
    EXPECT_FALSE(is_noisy({0.95, 1, 1, 1, 1, 1, 1, 1}, alone));
}

TEST(Statistics, clock_moves_between_slices_or_within_them) {
    const std::vector<double> still(3, 0.0);
    EXPECT_FALSE(clock_moved({3e9, 3.1e9, 3.05e9}, still));
    EXPECT_TRUE(clock_moved({3e9, 3.2e9, 3.05e9}, still));
    EXPECT_TRUE(clock_moved({3e9, 3e9, 3e9}, {0.06, 0.07, 0}));
    EXPECT_FALSE(clock_moved({3e9, 3e9, 3e9}, {0.06, 0.04, 0}));
}

}  // namespace
}  // namespace hone::bench
