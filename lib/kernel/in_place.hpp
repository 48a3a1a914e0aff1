// in_place.hpp: the products where the right factor is not worth packing, as few rows read it: it is read
// once, from memory, and the speed is that of memory.
#pragma once

#include "kernel/pack.hpp"

namespace hone {
namespace {

// The right factor where it lies: `depth` lines, `stride` elements apart. `after` and its stride: what comes
// next.
template <class T>
struct Lines {
    const T* data;
    std::int64_t stride, depth;
    const T* after;
    std::int64_t after_stride;

    const T* line(std::int64_t k) const {
        return k < depth ? data + k * stride : after + smaller(k - depth, depth - 1) * after_stride;
    }
};

// The left factor by rows that come from memory: while row r is read, next[r] comes into L1.
template <class T>
struct ByStreamedRow {
    const T *const *row, *const *next;
    template <int rows>
    struct Strip {
        const T *row[rows], *next[rows];
        T operator()(int r, std::int64_t k) const { return row[r][k]; }
        void fetch_ahead(std::int64_t k) const {
            if (k % (64 / sizeof(T)) == 0)
#pragma GCC unroll 16
                for (int r = 0; r < rows; ++r) __builtin_prefetch(next[r] + k);
        }
    };
    template <int rows>
    Strip<rows> strip(std::int64_t first) const {
        Strip<rows> s;
        for (int r = 0; r < rows; ++r) s.row[r] = row[first + r], s.next[r] = next[first + r];
        return s;
    }
};

// While b's lines [first, first + count) are read: what comes some 8 KiB later, into L1, a share of it with
// each tile, as what waits for memory all at once keeps tiles waiting too. (Inlined before g++ finds that a
// function which only fetches has no effect, and drops the calls.)
template <int count, class T>
[[gnu::always_inline]] inline void fetch_ahead(const Lines<T>& b, std::int64_t first, std::int64_t from,
                                               std::int64_t columns, std::int64_t share,
                                               std::int64_t shares) {
    constexpr int cache_line = 64 / sizeof(T);
    const std::int64_t ahead = round_up(8192 / static_cast<std::int64_t>(sizeof(T)) / columns + 1, count);
    for (std::int64_t l = count * share / shares; l < count * (share + 1) / shares; ++l) {
        const T* line = b.line(first + ahead + l);
        for (std::int64_t i = from; i < from + columns; i += cache_line) __builtin_prefetch(line + i);
    }
}

// c[rows, columns] += a[rows, lines] b[lines, columns], b's lines from k on; columns is a multiple of the
// width.
template <int rows, int lines, class T, class A>
inline void add_lines(A a, std::int64_t row, const Lines<T>& b, std::int64_t k, std::int64_t from,
                      std::int64_t columns, T* c, std::int64_t c_stride) {
    const auto strip = a.template strip<rows>(row);
    Vec<T> left[rows][lines];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int l = 0; l < lines; ++l) left[r][l] = Vec<T>(strip(r, k + l));
    const T* line[lines];
#pragma GCC unroll 8
    for (int l = 0; l < lines; ++l) line[l] = b.data + (k + l) * b.stride;
    for (std::int64_t i = from; i < from + columns; i += kWidth<T>) {
        Vec<T> right[lines];
#pragma GCC unroll 8
        for (int l = 0; l < lines; ++l) right[l] = load(line[l] + i);
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r) {
            T* const to = c + (row + r) * c_stride + i;
            Vec<T> sum = load(to);
#pragma GCC unroll 8
            for (int l = 0; l < lines; ++l) sum = fma(left[r][l], right[l], sum);
            store(to, sum);
        }
    }
}

template <int lines, class T, class A>
inline void add_lines(A a, std::int64_t rows, const Lines<T>& b, std::int64_t k, std::int64_t from,
                      std::int64_t columns, T* c, std::int64_t c_stride) {
    std::int64_t r = 0;
    for (; r + 2 <= rows; r += 2) {
        fetch_ahead<lines>(b, k, from, columns, r, rows);
        fetch_ahead<lines>(b, k, from, columns, r + 1, rows);
        add_lines<2, lines>(a, r, b, k, from, columns, c, c_stride);
    }
    if (r == rows) return;
    fetch_ahead<lines>(b, k, from, columns, r, rows);
    add_lines<1, lines>(a, r, b, k, from, columns, c, c_stride);
}

// c[rows, columns] (+)= a[rows, depth] b[depth, columns], a few whole lines at a time, as memory gives them;
// c stays in L1. Nothing of b beyond its columns is read.
template <class T, class A>
[[gnu::noinline]] void multiply(A a, std::int64_t rows, Lines<T> b, std::int64_t columns, T* c,
                                std::int64_t c_stride, bool add) {
    constexpr std::int64_t chunk = 1024 / sizeof(T), lines = 4;
    const std::int64_t whole = columns / kWidth<T> * kWidth<T>;
    for (std::int64_t r = 0; r < rows && !add; ++r)
        for (std::int64_t i = 0; i < columns; ++i) c[r * c_stride + i] = 0;
    for (std::int64_t from = 0; from < whole; from += chunk) {
        const std::int64_t here = smaller(chunk, whole - from);
        std::int64_t k = 0;
        for (; k + lines <= b.depth; k += lines) add_lines<lines>(a, rows, b, k, from, here, c, c_stride);
        for (; k < b.depth; ++k) add_lines<1>(a, rows, b, k, from, here, c, c_stride);
    }
    for (std::int64_t r = 0; r < rows && whole < columns; ++r) {
        const auto left = a.template strip<1>(r);
        for (std::int64_t k = 0; k < b.depth; ++k)
            for (std::int64_t i = whole; i < columns; ++i)
                c[r * c_stride + i] += left(0, k) * b.data[k * b.stride + i];
    }
}

// Dot products that are taken together: enough to cover the latency of two pipes.
template <class T>
inline constexpr int kSums = kWidth<T> > 8 ? kWidth<T> : 8;

// c[j] = factor * a . b's line first + j, kSums of them. A line beyond the last is the last one again.
template <class T>
inline void multiply_dots(const T* a, const Lines<T>& b, std::int64_t first, std::int64_t features, T factor,
                          T* c) {
    constexpr int w = kWidth<T>;
    const T* line[kSums<T>];
    for (int j = 0; j < kSums<T>; ++j) line[j] = b.data + smaller(first + j, b.depth - 1) * b.stride;
    Vec<T> sum[kSums<T> / w][w];
#pragma GCC unroll 16
    for (int j = 0; j < kSums<T>; ++j) sum[j / w][j % w] = Vec<T>(0);
    std::int64_t d = 0;
    for (; d + w <= features; d += w) {
        const Vec<T> left = load(a + d) * Vec<T>(factor);
#pragma GCC unroll 16
        for (int j = 0; j < kSums<T>; ++j)
            sum[j / w][j % w] = fma(left, load(line[j] + d), sum[j / w][j % w]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kSums<T> / w; ++i) store(c + i * w, sums_of(sum[i]));
    for (; d < features; ++d)
        for (int j = 0; j < kSums<T>; ++j) c[j] += factor * a[d] * line[j][d];
}

// From so many rows on, lanes hold rows rather than features.
inline constexpr std::int64_t kRowsInLanes = 5;

// c[rows, b's lines] = factor * a b^T as (b a^T)^T, a packed and b by rows, where it lies.
template <class T>
inline void multiply_lanes(const T* const* a, std::int64_t rows, const Lines<T>& b, std::int64_t features,
                           T factor, T* c, std::int64_t c_stride, T* room) {
    constexpr int w = kWidth<T>, strip = 2 * kTileRows;
    const std::int64_t width = round_up(rows, kPanel<T>);
    T *const panels = room, *const turned = room + width * features;
    pack_transposed([&](std::int64_t r) { return a[r]; }, rows, features, factor, panels);
    for (std::int64_t first = 0; first < b.depth; first += strip) {
        const std::int64_t lines = smaller(strip, b.depth - first);
        const T *line[strip], *next[strip];
        for (std::int64_t j = 0; j < lines; ++j)
            line[j] = b.line(first + j), next[j] = b.line(first + j + strip);
        multiply(ByStreamedRow<T>{line, next}, lines,
                 Panels<T>{panels, features * kPanel<T>, features, nullptr}, rows, turned + first * width,
                 width, false);
    }
    for (std::int64_t first = 0; first < b.depth; first += w)
        for (std::int64_t r = 0; r < rows; r += w) {
            Vec<T> x[w];
#pragma GCC unroll 16
            for (int j = 0; j < w; ++j) x[j] = load(turned + (first + j) * width + r);
            transpose(x);
            for (std::int64_t i = 0; i < smaller(w, rows - r); ++i)
                store(c + (r + i) * c_stride + first, x[i]);
        }
}

// c[rows, b's lines] = factor * a b^T. c has room for columns rounded up to kSums; `room` is for as
// many rows, rounded up to panels, of the features and of as many elements as b has lines, rounded up to
// vectors.
template <class T>
[[gnu::noinline]] void multiply_transposed(const T* const* a, std::int64_t rows, Lines<T> b,
                                           std::int64_t features, T factor, T* c, std::int64_t c_stride,
                                           T* room) {
    if (rows >= kRowsInLanes) return multiply_lanes(a, rows, b, features, factor, c, c_stride, room);
    for (std::int64_t first = 0; first < b.depth; first += kSums<T>)
        for (std::int64_t r = 0; r < rows; ++r) {
            fetch_ahead<kSums<T>>(b, first, 0, features, r, rows);
            multiply_dots(a[r], b, first, features, factor, c + r * c_stride + first);
        }
}

}  // namespace
}  // namespace hone
