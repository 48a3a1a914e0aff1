// statistics.hpp owns what is said of a few measurements of one thing.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace hone::bench {

// The value below which this share of the numbers lies, between neighbours in proportion; there is one number
// at least.
inline double quantile(std::vector<double> numbers, double share) {
    std::ranges::sort(numbers);
    const double place = share * static_cast<double>(numbers.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, numbers.size() - 1);
    return numbers[below] + (place - static_cast<double>(below)) * (numbers[above] - numbers[below]);
}

inline double median(const std::vector<double>& numbers) {
    return quantile(numbers, 0.5);
}

struct Summary {
    double median, minimum;
    double spread;        // between the quartiles, as a share of the median
    double cv_of_median;  // the standard error of the median, as a share of it

    explicit Summary(const std::vector<double>& numbers)
        : median(bench::median(numbers)), minimum(std::ranges::min(numbers)) {
        spread = (quantile(numbers, 0.75) - quantile(numbers, 0.25)) / median;
        // Of normal numbers the quartiles are 1.349 standard deviations apart, and the error of the median is
        // sqrt(pi / 2) times that of the mean.
        cv_of_median = 1.2533 * spread / 1.349 / std::sqrt(static_cast<double>(numbers.size()));
    }
};

// The coefficient of variation of the median below which a case is settled.
constexpr double kSettled = 0.025;
// A case whose fastest slice takes less than this share of the median, or that runs for less than this share
// of its time, shared the machine with others.
constexpr double kUndisturbed = 0.9;
// By so much of it may the clock move while a case is timed.
constexpr double kClockMoved = 0.05;

// Whether the seconds of slices are not settled, or were disturbed; on_cpu: the share of each slice's time
// that its thread ran.
inline bool is_noisy(const std::vector<double>& seconds, const std::vector<double>& on_cpu) {
    const Summary s(seconds);
    return s.cv_of_median >= kSettled || s.minimum < kUndisturbed * s.median || median(on_cpu) < kUndisturbed;
}

// Whether the clock moved, from slice to slice or within them.
inline bool clock_moved(const std::vector<double>& clocks, const std::vector<double>& within) {
    const auto [slowest, fastest] = std::ranges::minmax(clocks);
    return fastest > (1 + kClockMoved) * slowest || median(within) > kClockMoved;
}

}  // namespace hone::bench
