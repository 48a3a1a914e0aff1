// pack.hpp: copies rows of a tensor into panels, the form in which products read their right factor.
#pragma once

#include "kernel/product.hpp"

namespace hone {
namespace {

// One square of a panel: to[d * kPanel + j] = feature d of row j.
template <class T, class Row>
inline void pack_square(Row row, std::int64_t feature, T* to) {
    constexpr int w = kWidth<T>;
    Vec<T> x[w];
#pragma GCC unroll 16
    for (int j = 0; j < w; ++j) x[j] = load(row(j) + feature);
    transpose(x);
#pragma GCC unroll 16
    for (int d = 0; d < w; ++d) store(to + d * kPanel<T>, x[d]);
}

// Panels of rows: panel[d * kPanel + j] = feature d of row j; zero beyond `rows`.
template <class T, class Row>
[[gnu::noinline]] void pack_transposed(Row row, std::int64_t rows, std::int64_t features, T* to) {
    constexpr int w = kWidth<T>, panel = kPanel<T>;
    for (std::int64_t first = 0; first < round_up(rows, panel); first += w) {
        T* const column = to + first / panel * features * panel + first % panel;
        const std::int64_t here = smaller(rows - first, w), whole = here == w ? features / w * w : 0;
        const auto from = [&](std::int64_t j) { return row(first + j); };
        for (std::int64_t d = 0; d < whole; d += w) pack_square(from, d, column + d * panel);
        for (std::int64_t d = whole; d < features; ++d)
            for (std::int64_t j = 0; j < w; ++j) column[d * panel + j] = j < here ? from(j)[d] : T(0);
    }
}

// Row r of a tensor.
template <class T>
struct StridedRows {
    const T* first;
    std::int64_t stride;
    const T* operator()(std::int64_t r) const { return first + r * stride; }
};

// Panels of features: panel[r * kPanel + d] = row[r]'s feature d, zero beyond `features`; panels are
// panel_stride apart. Whether every value is finite.
template <class T, class Row>
inline bool pack_columns(Row row, std::int64_t rows, std::int64_t features, std::int64_t panel_stride,
                         T* to) {
    constexpr int w = kPanel<T>;
    Vec<T> odd(0);
    T odd_rest = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
        const T* from = row(r);
        T* line = to + r * w;
        std::int64_t first = 0;
        for (; first + w <= features; first += w, line += panel_stride)
#pragma GCC unroll 2
            for (int v = 0; v < kVectors; ++v) {
                const Vec<T> x = load(from + first + v * kWidth<T>);
                odd = fma(x, Vec<T>(0), odd);
                store(line + v * kWidth<T>, x);
            }
        if (first == features) continue;
        for (int i = 0; i < w; ++i) {
            const T x = first + i < features ? from[first + i] : 0;
            odd_rest += x * 0;
            line[i] = x;
        }
    }
    return sum_of(odd) + odd_rest == 0;
}

}  // namespace
}  // namespace hone
