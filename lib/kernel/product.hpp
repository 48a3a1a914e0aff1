// product.hpp: the matrix products that all kernels are made of, on one register tile.
#pragma once

#include "kernel/simd.hpp"
#include "tiles.hpp"

namespace hone {
namespace {

// A register tile is kTileRows x kPanel: 12 accumulators of 16 registers, or 16 of 32. One that is a single
// vector wide has twice the rows.
inline constexpr int kVectors = 2;
inline constexpr int kTileRows = kRegisters == 32 ? 8 : 6;
template <class T>
inline constexpr int kPanel = kVectors* kWidth<T>;

// The left factor by rows: element (r, k) is row[r][k].
template <class T>
struct ByRow {
    const T* const* row;
    template <int rows>
    struct Strip {
        const T* row[rows];
        T operator()(int r, std::int64_t k) const { return row[r][k]; }
        void fetch_ahead(std::int64_t) const {}
    };
    template <int rows>
    Strip<rows> strip(std::int64_t first) const {
        Strip<rows> s;
        for (int r = 0; r < rows; ++r) s.row[r] = row[first + r];
        return s;
    }
};

// The left factor transposed in memory: element (r, k) is data[k * stride + r].
template <class T>
struct ByColumn {
    const T* data;
    std::int64_t stride;
    template <int rows>
    struct Strip {
        const T* data;
        std::int64_t stride;
        T operator()(int r, std::int64_t k) const { return data[k * stride + r]; }
        void fetch_ahead(std::int64_t) const {}
    };
    template <int rows>
    Strip<rows> strip(std::int64_t first) const {
        return {data + first, stride};
    }
};

// The right factor, packed: panels of `depth` lines, `stride` elements apart. `after` is what the caller will
// multiply by next, any address that is worth having in the cache; null: nothing.
template <class T>
struct Panels {
    const T* data;
    std::int64_t stride, depth;
    const T* after;
};

// The most terms of a chain of additions: errors of random sums grow with its root, those of equal terms with
// it.
inline constexpr std::int64_t kChain = 128;

// c[rows, vectors * width] (+)= a b, b one panel. A sum starts from 0 and is added to c after kChain terms:
// sums of many terms would lose digits if they went on in one chain.
template <int rows, int vectors, class T, class Strip>
inline void multiply_tile(Strip a, const T* b, std::int64_t depth, T* c, std::int64_t c_stride, bool add) {
    constexpr int w = kWidth<T>;
    std::int64_t k = 0;
    do {
        const std::int64_t end = smaller(k + kChain, depth);
        Vec<T> sum[rows][vectors];
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v) sum[r][v] = Vec<T>(0);
                // Unrolled, as another thread on the same core leaves few issue slots: at D = 128 backward
                // gains 9%.
#pragma GCC unroll 4
        for (; k < end; ++k) {
            a.fetch_ahead(k);
            Vec<T> right[vectors];
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v) right[v] = load(b + k * kPanel<T> + v * w);
#pragma GCC unroll 16
            for (int r = 0; r < rows; ++r) {
                const Vec<T> left(a(r, k));
#pragma GCC unroll 8
                for (int v = 0; v < vectors; ++v) sum[r][v] = fma(left, right[v], sum[r][v]);
            }
        }
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v) {
                T* const to = c + r * c_stride + v * w;
                store(to, add ? load(to) + sum[r][v] : sum[r][v]);
            }
        add = true;
    } while (k < depth);
}

// One strip of `count` <= rows rows.
template <int rows, int vectors, class T, class A>
inline void multiply_strip(A a, std::int64_t first, std::int64_t count, const T* b, std::int64_t depth, T* c,
                           std::int64_t c_stride, bool add) {
    if (count == rows)
        multiply_tile<rows, vectors>(a.template strip<rows>(first), b, depth, c + first * c_stride, c_stride,
                                     add);
    else if constexpr (rows > 1)
        multiply_strip<rows - 1, vectors>(a, first, count, b, depth, c, c_stride, add);
}

// Rows of the next strip. What whole tiles leave is cut in two of a size: a tile of few rows waits for its
// sums.
inline std::int64_t strip_rows(std::int64_t left, std::int64_t most) {
    return left >= 2 * most ? most : left > most ? (left + 1) / 2 : left;
}

// One panel of b. Meanwhile `after` comes into L1, a share with each strip: panels lie in pages of their own,
// where the hardware's prefetch starts late (forward at D = 64: 67% of peak without, 78% with).
template <int vectors, class T, class A>
inline void multiply_panel(A a, std::int64_t rows, const Panels<T>& b, const T* panel, const T* after, T* c,
                           std::int64_t c_stride, bool add) {
    constexpr int most = kTileRows * kVectors / vectors;
    constexpr std::int64_t cache_line = 64 / sizeof(T);
    const std::int64_t strips = (rows + most - 1) / most;
    const std::int64_t share = after ? round_up((b.depth * kPanel<T> + strips - 1) / strips, cache_line) : 0;
    for (std::int64_t r = 0, count; r < rows; r += count, after += share) {
        for (std::int64_t i = 0; i < share; i += cache_line) __builtin_prefetch(after + i);
        count = strip_rows(rows - r, most);
        multiply_strip<most, vectors>(a, r, count, panel, b.depth, c, c_stride, add);
    }
}

// c[rows, columns] (+)= a[rows, depth] b[depth, columns]. c has room for columns rounded up to whole vectors.
template <class T, class A>
[[gnu::noinline]] void multiply(A a, std::int64_t rows, Panels<T> b, std::int64_t columns, T* c,
                                std::int64_t c_stride, bool add) {
    const T* panel = b.data;
    for (std::int64_t first = 0; first < columns; first += kPanel<T>, panel += b.stride) {
        const T* after = first + kPanel<T> < columns ? panel + b.stride : b.after;
        if (columns - first > kWidth<T>)
            multiply_panel<kVectors>(a, rows, b, panel, after, c + first, c_stride, add);
        else
            multiply_panel<1>(a, rows, b, panel, after, c + first, c_stride, add);
    }
}

}  // namespace
}  // namespace hone
