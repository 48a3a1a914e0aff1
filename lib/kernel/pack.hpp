// pack.hpp: copies rows of a tensor into panels, the form in which products read their right factor.
//
// `rows` is anything that row_of takes; loading an element converts it to a scalar of the kernel.
#pragma once

#include "kernel/product.hpp"

namespace hone {
namespace {

// One square of a panel: to[d * kPanel + j] = feature d of row j. Meanwhile the same features of the rows
// from `next` on come into L1: one line of each row is no stream that the hardware follows. (Zen 5, tasks
// that pack for themselves: N 128 3%, N 256 1% faster.)
template <class T, class Rows>
inline void pack_square(const Rows& rows, std::int64_t first, std::int64_t next, std::int64_t feature,
                        T* to) {
    constexpr int w = kWidth<T>;
    Vec<T> x[w];
#pragma GCC unroll 16
    for (int j = 0; j < w; ++j) {
        __builtin_prefetch(row_of(rows, next + j) + feature);
        x[j] = load(row_of(rows, first + j) + feature);
    }
    transpose(x);
#pragma GCC unroll 16
    for (int d = 0; d < w; ++d) store(to + d * kPanel<T>, x[d]);
}

// Panels of rows: panel[d * kPanel + j] = feature d of row j; zero beyond `count`.
template <class T, class Rows>
[[gnu::noinline]] void pack_transposed(const Rows& rows, std::int64_t count, std::int64_t features, T* to) {
    constexpr int w = kWidth<T>, panel = kPanel<T>;
    for (std::int64_t first = 0; first < round_up(count, panel); first += w) {
        T* const column = to + first / panel * features * panel + first % panel;
        const std::int64_t here = smaller(count - first, w), whole = here == w ? features / w * w : 0;
        const std::int64_t next = smaller(first + w, count - w);
        for (std::int64_t d = 0; d < whole; d += w) pack_square(rows, first, next, d, column + d * panel);
        for (std::int64_t d = whole; d < features; ++d)
            for (std::int64_t j = 0; j < w; ++j)
                column[d * panel + j] = j < here ? row_of(rows, first + j)[d] : T(0);
    }
}

// Rows that lie anywhere.
template <class T>
struct RowPointers {
    const T* const* row;
};
template <class T>
inline const T* row_of(const RowPointers<T>& rows, std::int64_t row) {
    return rows.row[row];
}

// The rows of a block in q or in dout.
template <class T>
struct TensorRows {
    const T* row[kMostRows];
    ByRow<T> together;  // the same as a factor, once they are gathered

    // Leaves them where they lie, if that is one after the other, else copies them to `room`.
    void gather(std::int64_t count, std::int64_t features, Matrix<T> room) {
        bool adjacent = true;
        for (std::int64_t r = 1; r < count; ++r) adjacent &= row[r] == row[0] + r * features;
        together = adjacent ? ByRow<T>{row[0], features} : by_row(room);
        for (std::int64_t r = 0; r < (adjacent ? 0 : count); ++r) {
            T* const to = room.row(r);
            std::int64_t d = 0;
            for (; d + kWidth<T> <= features; d += kWidth<T>) store(to + d, load(row[r] + d));
            for (; d < features; ++d) to[d] = row[r][d];
        }
    }
};

// What packing found.
enum class Values { finite, non_finite };

// The same of rows that are not packed.
template <class T, class Rows>
inline Values values_in(const Rows& rows, std::int64_t count, std::int64_t features) {
    Vec<T> zero(0);  // times any finite value
    T zero_rest = 0;
    for (std::int64_t r = 0; r < count; ++r) {
        const auto* from = row_of(rows, r);
        std::int64_t d = 0;
        for (; d + kWidth<T> <= features; d += kWidth<T>) zero = fma(load(from + d), Vec<T>(0), zero);
        for (; d < features; ++d) zero_rest += from[d] * 0;
    }
    return sum_of(zero) + zero_rest == 0 ? Values::finite : Values::non_finite;
}

// Panels of features: panel[r * kPanel + d] = feature d of row r, zero beyond `features`; panels are
// panel_stride apart.
template <class T, class Rows>
inline Values pack_columns(const Rows& rows, std::int64_t count, std::int64_t features,
                           std::int64_t panel_stride, T* to) {
    constexpr int w = kPanel<T>;
    Vec<T> zero(0);  // times any finite value
    T zero_rest = 0;
    for (std::int64_t r = 0; r < count; ++r) {
        const auto* from = row_of(rows, r);
        T* line = to + r * w;
        std::int64_t first = 0;
        for (; first + w <= features; first += w, line += panel_stride)
#pragma GCC unroll 2
            for (int v = 0; v < kTileVectors; ++v) {
                const Vec<T> x = load(from + first + v * kWidth<T>);
                zero = fma(x, Vec<T>(0), zero);
                store(line + v * kWidth<T>, x);
            }
        if (first == features) continue;
        for (int i = 0; i < w; ++i) {
            const T x = first + i < features ? from[first + i] : 0;
            zero_rest += x * 0;
            line[i] = x;
        }
    }
    return sum_of(zero) + zero_rest == 0 ? Values::finite : Values::non_finite;
}

}  // namespace
}  // namespace hone
