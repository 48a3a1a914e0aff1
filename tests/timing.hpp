// timing.hpp: how the times of two calls compare, measured in turn so that what else the machine does hits
// both.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace hone::test {

template <class Body>
double seconds(Body&& body) {
    const auto start = std::chrono::steady_clock::now();
    body();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// The time of `one` over that of `other`: medians of seven runs in turn, after one of each to warm up. Where
// that is above `most`, it may have been something else on the machine: the least of three such measurements
// counts.
template <class One, class Other>
double time_ratio(double most, One&& one, Other&& other) {
    double least = 0;
    for (int attempt = 0; attempt < 3; ++attempt) {
        std::vector<double> ones, others;
        one(), other();
        for (int n = 0; n < 7; ++n) {
            ones.push_back(seconds(one));
            others.push_back(seconds(other));
        }
        const double ratio = median(ones) / median(others);
        least = attempt == 0 ? ratio : std::min(least, ratio);
        if (least <= most) break;
    }
    return least;
}

}  // namespace hone::test
