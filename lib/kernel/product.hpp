// product.hpp: the matrix products that all kernels are made of, on one register tile.
#pragma once

#include "kernel/simd.hpp"
#include "tiles.hpp"

namespace hone {
namespace {

// A register tile is kTileRows x kPanel: 12 accumulators of 16 registers, or 16 of 32.
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
    };
    template <int rows>
    Strip<rows> strip(std::int64_t first) const {
        return {data + first, stride};
    }
};

// The right factor: panels of `depth` steps, `stride` elements apart. `after` is what the caller will
// multiply by next, any address that is worth having in the cache.
template <class T>
struct Right {
    const T* panel;
    std::int64_t stride, depth;
    const T* after;
};

// c[rows, vectors * width] (+)= a b, b one panel.
template <int rows, int vectors, class T, class Strip>
inline void multiply_tile(Strip a, const T* b, std::int64_t depth, T* c, std::int64_t c_stride, bool add) {
    constexpr int w = kWidth<T>;
    Vec<T> sum[rows][vectors];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) sum[r][v] = add ? load(c + r * c_stride + v * w) : Vec<T>(0);
            // Unrolled, as another thread on the same core leaves few issue slots: at D = 128 backward gains
            // 9%.
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < depth; ++k) {
        Vec<T> right[vectors];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) right[v] = load(b + k * kPanel<T> + v * w);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            const Vec<T> left(a(r, k));
#pragma GCC unroll 2
            for (int v = 0; v < vectors; ++v) sum[r][v] = fma(left, right[v], sum[r][v]);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) store(c + r * c_stride + v * w, sum[r][v]);
}

// The last, partial strip: finds the tile of `left` <= rows rows.
template <int rows, int vectors, class T, class A>
inline void multiply_rest(A a, std::int64_t first, std::int64_t left, const Right<T>& b, T* c,
                          std::int64_t c_stride, bool add) {
    if constexpr (rows > 0) {
        if (left == rows)
            multiply_tile<rows, vectors>(a.template strip<rows>(first), b.panel, b.depth, c, c_stride, add);
        else
            multiply_rest<rows - 1, vectors>(a, first, left, b, c, c_stride, add);
    }
}

// One panel of b. Meanwhile b.after comes into L1, a share with each strip: panels lie in pages of their own,
// where the hardware's prefetch starts late (forward at D = 64: 67% of peak without, 78% with).
template <int vectors, class T, class A>
inline void multiply_panel(A a, std::int64_t rows, const Right<T>& b, T* c, std::int64_t c_stride, bool add) {
    constexpr std::int64_t line = 64 / sizeof(T);
    const std::int64_t strips = rows / kTileRows;
    const std::int64_t share = strips == 0 ? 0 : round_up((b.depth * kPanel<T> + strips - 1) / strips, line);
    const T* after = b.after;
    std::int64_t r = 0;
    for (; r + kTileRows <= rows; r += kTileRows, after += share) {
        for (std::int64_t i = 0; i < share; i += line) __builtin_prefetch(after + i);
        multiply_tile<kTileRows, vectors>(a.template strip<kTileRows>(r), b.panel, b.depth, c + r * c_stride,
                                          c_stride, add);
    }
    multiply_rest<kTileRows - 1, vectors>(a, r, rows - r, b, c + r * c_stride, c_stride, add);
}

// c[rows, columns] (+)= a[rows, depth] b[depth, columns]. c has room for columns rounded up to whole vectors.
template <class T, class A>
[[gnu::noinline]] void multiply(A a, std::int64_t rows, Right<T> b, std::int64_t columns, T* c,
                                std::int64_t c_stride, bool add) {
    const T* const after = b.after;
    for (std::int64_t first = 0; first < columns; first += kPanel<T>, b.panel += b.stride) {
        b.after = first + kPanel<T> < columns ? b.panel + b.stride : after;
        if (columns - first > kWidth<T>)
            multiply_panel<kVectors>(a, rows, b, c + first, c_stride, add);
        else
            multiply_panel<1>(a, rows, b, c + first, c_stride, add);
    }
}

}  // namespace
}  // namespace hone
