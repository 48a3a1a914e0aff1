// in_place.hpp: the products where the right factor is not worth packing, as few rows read it: it is read
// once, from memory, and the speed is that of memory.
#pragma once

#include "kernel/pack.hpp"
#include "kernel/rows.hpp"

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

// While b's lines [first, first + count) are read: what comes some 8 KiB later, into L1. Each tile brings a
// share of it, that of rows [row, end_row) of `rows`, as what waits for memory all at once keeps tiles
// waiting too. Longer lines are streams that the hardware follows by itself. (Inlined before g++ finds that a
// function which only fetches has no effect, and drops the calls.)
template <int count, class T>
[[gnu::always_inline]] inline void fetch_ahead(const Lines<T>& b, std::int64_t first, std::int64_t columns,
                                               std::int64_t row, std::int64_t end_row, std::int64_t rows) {
    constexpr std::int64_t cache_line = 64 / sizeof(T), longest = 1024 / sizeof(T);
    if (columns > longest) return;
    const std::int64_t ahead = round_up(8 * longest / columns + 1, count);
    for (std::int64_t l = count * row / rows; l < count * end_row / rows; ++l) {
        const T* line = b.line(first + ahead + l);
        for (std::int64_t i = 0; i < columns; i += cache_line) __builtin_prefetch(line + i);
    }
}

// Rows and lines of a tile, by the registers: add_lines holds the rows' elements of its lines and their sums,
// multiply_dots their sums over its lines and a vector of each row.
inline constexpr int kAddRows = kRegisters == 32 ? 4 : 2;
inline constexpr int kAddLines = kRegisters == 32 ? 6 : 4;
inline constexpr int kDotRows = kRegisters == 32 ? 4 : 3;
inline constexpr int kLines = 4;

template <int n>
struct Constant {
    static constexpr int value = n;
};

// Calls body with `count`, from 1 to most, as a Constant.
template <int most, class Body>
[[gnu::always_inline]] inline void with_constant(std::int64_t count, Body body) {
    if (count == most)
        body(Constant<most>());
    else if constexpr (most > 1)
        with_constant<most - 1>(count, body);
}

// c[rows, columns] (+)= a[rows, lines] b[lines, columns], b's lines from k on, columns [from, end). The lines
// are summed up before they are added to c: a chain of a fraction of the additions.
template <int rows, int lines, class T, class A>
[[gnu::noinline]] void add_lines(A a, std::int64_t row, const Lines<T>& b, std::int64_t k, std::int64_t from,
                                 std::int64_t end, T* c, std::int64_t c_stride, bool add) {
    const auto strip = a.template strip<rows>(row);
    Vec<T> left[rows][lines];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int l = 0; l < lines; ++l) left[r][l] = Vec<T>(strip(r, k + l));
    const T* line[lines];
#pragma GCC unroll 8
    for (int l = 0; l < lines; ++l) line[l] = b.data + (k + l) * b.stride;
    const auto add_column = [&](std::int64_t i, auto read) {
        Vec<T> sum[rows];
#pragma GCC unroll 8
        for (int l = 0; l < lines; ++l) {
            const Vec<T> right = in_register(read(line[l] + i));
#pragma GCC unroll 8
            for (int r = 0; r < rows; ++r)
                sum[r] = l == 0 ? left[r][0] * right : fma(left[r][l], right, sum[r]);
        }
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r) {
            T* const to = c + (row + r) * c_stride + i;
            store(to, add ? load(to) + sum[r] : sum[r]);
        }
    };
    std::int64_t i = from;
    for (; i + kWidth<T> <= end; i += kWidth<T>) add_column(i, [](const T* x) { return load(x); });
    if (i < end) add_column(i, [&](const T* x) { return load_first(x, end - i); });
}

template <int lines, class T, class A>
inline void add_lines(A a, std::int64_t rows, const Lines<T>& b, std::int64_t k, std::int64_t from,
                      std::int64_t end, std::int64_t columns, T* c, std::int64_t c_stride, bool add) {
    for (std::int64_t r = 0, count; r < rows; r += count) {
        count = strip_rows(rows - r, kAddRows);
        fetch_ahead<lines>(b, k, columns, r, r + count, rows);
        with_constant<kAddRows>(
            count, [&](auto n) { add_lines<n.value, lines>(a, r, b, k, from, end, c, c_stride, add); });
    }
}

// c[rows, columns] (+)= a[rows, depth] b[depth, columns], a few whole lines at a time, as memory gives them;
// c stays in L1, and has room for columns rounded up to whole vectors. Nothing of b beyond its columns is
// read.
template <class T, class A>
[[gnu::noinline]] void multiply(A a, std::int64_t rows, Lines<T> b, std::int64_t columns, T* c,
                                std::int64_t c_stride, bool add) {
    constexpr std::int64_t chunk = 1024 / sizeof(T);
    if (b.depth == 0 && !add) clear_rows(c, c_stride, rows, columns);
    for (std::int64_t from = 0; from < columns; from += chunk) {
        const std::int64_t end = smaller(from + chunk, columns);
        for (std::int64_t k = 0, count; k < b.depth; k += count) {
            count = smaller(kAddLines, b.depth - k);
            with_constant<kAddLines>(count, [&](auto lines) {
                add_lines<lines.value>(a, rows, b, k, from, end, columns, c, c_stride, add || k > 0);
            });
        }
    }
}

// c[r, j] = a[r] . b's line first + j, for kLines of them. A line beyond the last is the last one
// again.
template <int rows, class T>
[[gnu::noinline]] void multiply_dots(const T* const* a, const Lines<T>& b, std::int64_t first,
                                     std::int64_t features, T* c, std::int64_t c_stride) {
    constexpr int w = kWidth<T>, vectors = (rows * kLines + w - 1) / w;
    const T* line[kLines];
    for (int j = 0; j < kLines; ++j) line[j] = b.data + smaller(first + j, b.depth - 1) * b.stride;
    Vec<T> sum[vectors][w];
#pragma GCC unroll 32
    for (int i = 0; i < vectors * w; ++i) sum[i / w][i % w] = Vec<T>(0);
    const auto add = [&](auto read) {
        Vec<T> left[rows];
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r) left[r] = read(a[r]);
#pragma GCC unroll 8
        for (int j = 0; j < kLines; ++j) {
            const Vec<T> right = read(line[j]);
#pragma GCC unroll 8
            for (int r = 0; r < rows; ++r) {
                Vec<T>& to = sum[(r * kLines + j) / w][(r * kLines + j) % w];
                to = fma(left[r], right, to);
            }
        }
    };
    std::int64_t d = 0;
    for (; d + w <= features; d += w) add([&](const T* row) { return load(row + d); });
    if (d < features) add([&](const T* row) { return load_first(row + d, features - d); });
    alignas(64) T dot[vectors * w];
#pragma GCC unroll 16
    for (int i = 0; i < vectors; ++i) store(dot + i * w, sums_of(sum[i]));
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int j = 0; j < kLines; ++j) c[r * c_stride + j] = dot[r * kLines + j];
}

// c[rows, b's lines] = a b^T, each element the sum over the lanes of its products.
template <class T>
inline void multiply_dots(const T* const* a, std::int64_t rows, const Lines<T>& b, std::int64_t features,
                          T* c, std::int64_t c_stride) {
    for (std::int64_t first = 0; first < b.depth; first += kLines)
        for (std::int64_t r = 0, count; r < rows; r += count) {
            count = strip_rows(rows - r, kDotRows);
            fetch_ahead<kLines>(b, first, features, r, r + count, rows);
            with_constant<kDotRows>(count, [&](auto n) {
                multiply_dots<n.value>(a + r, b, first, features, c + r * c_stride + first, c_stride);
            });
        }
}

// Where rows fill the lanes and features are fewer than this, lanes hold rows: adding up the lanes of a sum
// over features would cost as much as its products.
inline constexpr std::int64_t kFeaturesInLanes = 256;

// c[rows, b's lines] = a b^T as (b a^T)^T, a packed and b by rows, where it lies.
template <class T>
inline void multiply_lanes(const T* const* a, std::int64_t rows, const Lines<T>& b, std::int64_t features,
                           T* c, std::int64_t c_stride, T* room) {
    constexpr int w = kWidth<T>, strip = 2 * kTileRows;
    const std::int64_t width = round_up(rows, kPanel<T>);
    T *const panels = room, *const turned = room + width * features;
    pack_transposed([&](std::int64_t r) { return a[r]; }, rows, features, panels);
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

// c[rows, b's lines] = a b^T. Rows that are row 0 again (where a is broadcast) are copied from it. c
// has room for columns rounded up to kLines and to vectors; `room` is for as many rows, rounded up to panels,
// of the features and of as many elements as b has lines, rounded up to vectors.
template <class T>
[[gnu::noinline]] void multiply_transposed(const T* const* a, std::int64_t rows, Lines<T> b,
                                           std::int64_t features, T* c, std::int64_t c_stride, T* room) {
    std::int64_t distinct = rows;
    while (distinct > 1 && a[distinct - 1] == a[0]) --distinct;
    if (distinct >= kWidth<T> && features < kFeaturesInLanes)
        multiply_lanes(a, distinct, b, features, c, c_stride, room);
    else
        multiply_dots(a, distinct, b, features, c, c_stride);
    for (std::int64_t r = distinct; r < rows; ++r)
        for (std::int64_t j = 0; j < b.depth; ++j) c[r * c_stride + j] = c[j];
}

}  // namespace
}  // namespace hone
