// product.hpp: the matrix products that all kernels are made of, on one register tile.
#pragma once

#include "kernel/tuning.hpp"
#include "tiles.hpp"

namespace hone {
namespace {

// Rows of a result, `stride` elements apart.
template <class T>
struct Matrix {
    T* data;
    std::int64_t stride;

    T* row(std::int64_t r) const { return data + r * stride; }
    Matrix at(std::int64_t row, std::int64_t column) const { return {data + row * stride + column, stride}; }
};

// Where element (r, k) of a left factor lies.
enum class Order {
    by_row,     // data[r * stride + k]
    by_column,  // data[k * stride + r]
};

// The left factor of a product, or of one of its tiles. (Rows with a pointer each would not leave a tile
// enough registers for addresses: AVX-512 on Zen 5, 22 to 33 cycles more for each tile of 8 rows.)
template <class T, Order order>
struct LeftFactor {
    const T* data;
    std::int64_t stride;

    T operator()(int r, std::int64_t k) const {
        return order == Order::by_row ? data[r * stride + k] : data[k * stride + r];
    }
    void fetch_ahead(std::int64_t) const {}
    template <int rows>
    LeftFactor tile(std::int64_t first) const {
        return {data + first * (order == Order::by_row ? stride : 1), stride};
    }
};
template <class T>
using ByRow = LeftFactor<T, Order::by_row>;
template <class T>
using ByColumn = LeftFactor<T, Order::by_column>;

template <class T>
inline const T* row_of(const ByRow<T>& rows, std::int64_t row) {
    return rows.data + row * rows.stride;
}
template <class T>
inline ByRow<T> rows_from(const ByRow<T>& rows, std::int64_t row) {
    return {row_of(rows, row), rows.stride};
}
template <class T>
inline ByRow<T> by_row(const Matrix<T>& rows) {
    return {rows.data, rows.stride};
}

// The right factor: panels of `depth` lines, `stride` elements apart. Packed, a line follows the one before;
// where lines lie as near as kNearLine they may be read in place. `after` is what the caller will multiply by
// next, any address that is worth having in the cache; null: nothing.
template <class T>
struct Panels {
    const T* data;
    std::int64_t stride, depth;
    const T* after;
    std::int64_t line = kPanel<T>;  // from line to line of a panel
};

// Whether rows of so many features, `stride` apart, are panels where they lie.
template <class T>
inline bool are_panels(std::int64_t stride, std::int64_t features) {
    return 0 < stride && stride <= kNearLine<T> && features % kPanel<T> == 0;
}

// The pointer, of which the compiler does not know that it had it before: what is computed from it is
// computed here, not kept in registers that a loop before this needs.
template <class T>
inline T* computed_here(T* pointer) {
    asm("" : "+r"(pointer));
    return pointer;
}

// c[rows, vectors * width] (+)= a b, b one panel. A sum starts from 0 and is added to c after kChain terms:
// sums of many terms would lose digits if they went on in one chain.
template <int rows, int vectors, class T, class Left>
inline void multiply_tile(Left a, const Panels<T>& b, Matrix<T> c, Join join) {
    constexpr int w = kWidth<T>;
    const T* line = b.data;
    std::int64_t k = 0;
    do {
        const std::int64_t end = smaller(k + kChain, b.depth);
        Vec<T> sum[rows][vectors];
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v) sum[r][v] = Vec<T>(0);
                // Unrolled, as another thread on the same core leaves few issue slots: at D = 128 backward
                // gains 9%.
#pragma GCC unroll 4
        for (; k < end; ++k, line += b.line) {
            a.fetch_ahead(k);
            Vec<T> right[vectors];
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v) right[v] = load(line + v * w);
#pragma GCC unroll 16
            for (int r = 0; r < rows; ++r) {
                const Vec<T> left(a(r, k));
#pragma GCC unroll 8
                for (int v = 0; v < vectors; ++v) sum[r][v] = fma(left, right[v], sum[r][v]);
            }
        }
        const auto write = [&](auto value) {
            T* to = computed_here(c.data);
#pragma GCC unroll 16
            for (int r = 0; r < rows; ++r, to += c.stride)
#pragma GCC unroll 8
                for (int v = 0; v < vectors; ++v) store(to + v * w, value(to + v * w, sum[r][v]));
        };
        if (join == Join::store)
            write([](const T*, Vec<T> x) { return x; });
        else
            write([](const T* to, Vec<T> x) { return load(to) + x; });
        join = Join::add;
    } while (k < b.depth);
}

// The tile of these rows, at most `rows` of them, and one panel.
template <int rows, int vectors, class T, class A>
inline void multiply_rows(A a, Range tile, const Panels<T>& b, Matrix<T> c, Join join) {
    if (count(tile) == rows)
        multiply_tile<rows, vectors>(a.template tile<rows>(tile.begin), b, c.at(tile.begin, 0), join);
    else if constexpr (rows > 1)
        multiply_rows<rows - 1, vectors>(a, tile, b, c, join);
}

// Rows of the next tile. What whole tiles leave is cut into two of equal size: a tile of few rows waits for
// its sums.
inline std::int64_t tile_rows(std::int64_t left, std::int64_t most) {
    return left >= 2 * most ? most : left > most ? (left + 1) / 2 : left;
}

// One panel. Meanwhile `after` comes into L1, a share with each tile: panels lie in pages of their own,
// where the hardware's prefetch starts late (forward at D = 64: 67% of peak without, 78% with).
template <int vectors, class T, class A>
inline void multiply_panel(A a, std::int64_t rows, const Panels<T>& b, Matrix<T> c, Join join) {
    constexpr int most = kTileRows * kTileVectors / vectors;
    constexpr std::int64_t cache_line = 64 / sizeof(T);
    const std::int64_t tiles = (rows + most - 1) / most;
    const std::int64_t share = b.after ? round_up((b.depth * kPanel<T> + tiles - 1) / tiles, cache_line) : 0;
    const T* after = b.after;
    for (std::int64_t r = 0, count; r < rows; r += count, after += share) {
        for (std::int64_t i = 0; i < share; i += cache_line) __builtin_prefetch(after + i);
        count = tile_rows(rows - r, most);
        multiply_rows<most, vectors>(a, {r, r + count}, b, c, join);
    }
}

// c[rows, columns] (+)= a[rows, depth] b[depth, columns]. c has room for columns rounded up to whole vectors.
template <class T, class A>
[[gnu::noinline]] void multiply(A a, std::int64_t rows, Panels<T> b, std::int64_t columns, Matrix<T> c,
                                Join join) {
    Panels<T> panel = b;
    for (std::int64_t first = 0; first < columns; first += kPanel<T>, panel.data += b.stride) {
        panel.after = first + kPanel<T> < columns && b.line == kPanel<T> ? panel.data + b.stride : b.after;
        if (columns - first > kWidth<T>)
            multiply_panel<kTileVectors>(a, rows, panel, c.at(0, first), join);
        else
            multiply_panel<1>(a, rows, panel, c.at(0, first), join);
    }
}

}  // namespace
}  // namespace hone
