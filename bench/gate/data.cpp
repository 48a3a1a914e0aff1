// data.cpp: how the gate fills its inputs and compares the outputs.
#include "data.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "../draws.hpp"

namespace {

bool is_double(const char* dtype) {
    return std::strcmp(dtype, "f64") == 0;
}

template <class T>
void fill(T* data, std::int64_t count, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<T> normal;
    for (std::int64_t n = 0; n < count; ++n) data[n] = normal(random);
}

template <class T>
double difference(const T* a, const T* b, std::int64_t count) {
    double most = 0, largest = 0;
    for (std::int64_t n = 0; n < count; ++n) {
        if (!std::isfinite(a[n]) || !std::isfinite(b[n])) return std::numeric_limits<double>::quiet_NaN();
        most = std::max(most, std::abs(static_cast<double>(a[n]) - b[n]));
        largest = std::max(largest, std::abs(static_cast<double>(a[n])));
    }
    return most / largest;
}

}  // namespace

void gate_fill(const char* dtype, void* data, int64_t count, uint64_t seed) {
    is_double(dtype) ? fill(static_cast<double*>(data), count, seed)
                     : fill(static_cast<float*>(data), count, seed);
}

void gate_lengths(int64_t batch, int64_t keys, int64_t* lengths) {
    std::ranges::copy(hone::bench::padded_lengths(batch, keys), lengths);
}

void gate_offsets(int64_t batch, int64_t rows, int64_t* offsets) {
    std::ranges::copy(hone::bench::ragged_offsets(batch, rows), offsets);
}

void gate_mask(int64_t queries, int64_t keys, int64_t documents, int64_t hidden, void* mask) {
    std::ranges::copy(hone::bench::draw_mask(queries, keys, documents, hidden),
                      static_cast<unsigned char*>(mask));
}

double gate_difference(const char* dtype, const void* a, const void* b, int64_t count) {
    return is_double(dtype) ? difference(static_cast<const double*>(a), static_cast<const double*>(b), count)
                            : difference(static_cast<const float*>(a), static_cast<const float*>(b), count);
}
