// in_place.hpp: the products where the right factor is not worth packing, as few rows read it: it is read
// once, from memory, and the speed is that of memory.
#pragma once

#include "kernel/pack.hpp"
#include "kernel/rows.hpp"

namespace hone {
namespace {

// The right factor where it lies: `depth` lines, each a row of a tensor. `after` is what comes next.
template <class Rows>
struct Lines {
    Rows rows;
    std::int64_t depth;
    RowAddresses after;

    const char* address(std::int64_t line) const {
        return line < depth ? row_of(addresses_of(rows), line)
                            : row_of(after, smaller(line - depth, depth - 1));
    }
};

template <class Rows>
inline Lines<Rows> lines_at(const Rows& rows, std::int64_t depth, const RowAddresses& after) {
    return {rows, depth, after};
}

// The left factor by rows that come from memory: while row r is read, next[r] comes into L1.
// (S: how they are stored.)
template <class T, class S>
struct ByStreamedRow {
    const S* const* row;
    const char* const* next;
    template <int rows>
    struct Tile {
        const S* row[rows];
        const char* next[rows];
        T operator()(int r, std::int64_t k) const { return static_cast<T>(row[r][k]); }
        void fetch_ahead(std::int64_t k) const {
            if (k % (64 / sizeof(S)) == 0)
#pragma GCC unroll 16
                for (int r = 0; r < rows; ++r) __builtin_prefetch(next[r] + k * sizeof(S));
        }
    };
    template <int rows>
    Tile<rows> tile(std::int64_t first) const {
        Tile<rows> s;
        for (int r = 0; r < rows; ++r) s.row[r] = row[first + r], s.next[r] = next[first + r];
        return s;
    }
};
template <class T, class S>
inline ByStreamedRow<T, S> by_streamed_row(const S* const* row, const char* const* next) {
    return {row, next};
}

// While b's lines [first, first + count) are read: the same share, `part` of `parts`, of as many lines ahead
// comes into L1. Each tile of rows fetches its own share, as a burst of fetches would stall the tiles.
// (Inlined before g++ finds that a function which only fetches has no effect, and drops the calls.)
template <int count, class Rows>
[[gnu::always_inline]] inline void fetch_ahead(const Lines<Rows>& b, std::int64_t first, std::int64_t columns,
                                               Range part, std::int64_t parts) {
    constexpr std::int64_t cache_line = 64;
    const std::int64_t bytes = columns * static_cast<std::int64_t>(sizeof(*row_of(b.rows, 0)));
    if (bytes > kLongLineBytes) return;
    const std::int64_t ahead = round_up(kFetchBytes / bytes + 1, count);
    for (std::int64_t l = count * part.begin / parts; l < count * part.end / parts; ++l) {
        const char* line = b.address(first + ahead + l);
        for (std::int64_t i = 0; i < bytes; i += cache_line) __builtin_prefetch(line + i);
    }
}

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

// c[rows, columns] (+)= a[rows, depth] b[depth, columns].
template <class T, class A, class Rows>
struct LineProduct {
    A a;
    std::int64_t rows;
    Lines<Rows> b;
    Range columns;
    Matrix<T> c;
};

// Some rows of it, and some of b's lines, from `row` and from k on. The lines are summed up before they are
// added to c: a chain of a fraction of the additions.
template <int rows, int lines, class T, class A, class Rows>
[[gnu::noinline]] void add_lines(const LineProduct<T, A, Rows>& p, std::int64_t row, std::int64_t k,
                                 Join join) {
    const auto tile = p.a.template tile<rows>(row);
    Vec<T> left[rows][lines];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int l = 0; l < lines; ++l) left[r][l] = Vec<T>(tile(r, k + l));
    decltype(row_of(p.b.rows, 0)) line[lines];
#pragma GCC unroll 8
    for (int l = 0; l < lines; ++l) line[l] = row_of(p.b.rows, k + l);
    const Matrix<T> c = p.c.at(row, 0);
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
            T* const to = c.row(r) + i;
            store(to, join == Join::store ? sum[r] : load(to) + sum[r]);
        }
    };
    const std::int64_t end = p.columns.end;
    std::int64_t i = p.columns.begin;
    for (; i + kWidth<T> <= end; i += kWidth<T>) add_column(i, [](const auto* x) { return load(x); });
    if (i < end) add_column(i, [&](const auto* x) { return load_first(x, end - i); });
}

template <int lines, class T, class A, class Rows>
inline void add_lines(const LineProduct<T, A, Rows>& p, std::int64_t k, std::int64_t line_length, Join join) {
    for (std::int64_t r = 0, count; r < p.rows; r += count) {
        count = tile_rows(p.rows - r, kAddRows);
        fetch_ahead<lines>(p.b, k, line_length, {r, r + count}, p.rows);
        with_constant<kAddRows>(count, [&](auto n) { add_lines<n.value, lines>(p, r, k, join); });
    }
}

// c[rows, columns] (+)= a[rows, depth] b[depth, columns], a few whole lines at a time, as memory gives them;
// c stays in L1, and has room for columns rounded up to whole vectors. Nothing of b beyond its columns is
// read.
template <class T, class A, class Rows>
[[gnu::noinline]] void multiply(A a, std::int64_t rows, Lines<Rows> b, std::int64_t columns, Matrix<T> c,
                                Join join) {
    constexpr std::int64_t most = kLongLineBytes / sizeof(T);
    if (b.depth == 0 && join == Join::store) clear_rows(c, rows, columns);
    for (std::int64_t from = 0; from < columns; from += most) {
        const LineProduct<T, A, Rows> product = {a, rows, b, {from, smaller(from + most, columns)}, c};
        for (std::int64_t k = 0, count; k < b.depth; k += count) {
            count = smaller(kAddLines, b.depth - k);
            with_constant<kAddLines>(count, [&](auto lines) {
                add_lines<lines.value>(product, k, columns, k > 0 ? Join::add : join);
            });
        }
    }
}

// c[r, first + j] = a[r] . b's line first + j, for kDotLines of them. A line beyond the last is the last one
// again.
template <int rows, class T, class Rows>
[[gnu::noinline]] void multiply_dots(const T* const* a, const Lines<Rows>& b, std::int64_t first,
                                     std::int64_t features, Matrix<T> c) {
    constexpr int w = kWidth<T>, vectors = (rows * kDotLines + w - 1) / w;
    decltype(row_of(b.rows, 0)) line[kDotLines];
    for (int j = 0; j < kDotLines; ++j) line[j] = row_of(b.rows, smaller(first + j, b.depth - 1));
    Vec<T> sum[vectors][w];
#pragma GCC unroll 32
    for (int i = 0; i < vectors * w; ++i) sum[i / w][i % w] = Vec<T>(0);
    const auto add = [&](auto read) {
        Vec<T> left[rows];
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r) left[r] = read(a[r]);
#pragma GCC unroll 8
        for (int j = 0; j < kDotLines; ++j) {
            const Vec<T> right = read(line[j]);
#pragma GCC unroll 8
            for (int r = 0; r < rows; ++r) {
                Vec<T>& to = sum[(r * kDotLines + j) / w][(r * kDotLines + j) % w];
                to = fma(left[r], right, to);
            }
        }
    };
    std::int64_t d = 0;
    for (; d + w <= features; d += w) add([&](const auto* row) { return load(row + d); });
    if (d < features) add([&](const auto* row) { return load_first(row + d, features - d); });
    alignas(64) T dot[vectors * w];
#pragma GCC unroll 16
    for (int i = 0; i < vectors; ++i) store(dot + i * w, reduce(sum[i], Add()));
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int j = 0; j < kDotLines; ++j) c.row(r)[first + j] = dot[r * kDotLines + j];
}

// c[rows, b's lines] = a b^T, each element the sum over the lanes of its products.
template <class T, class Rows>
inline void multiply_dots(const T* const* a, std::int64_t rows, const Lines<Rows>& b, std::int64_t features,
                          Matrix<T> c) {
    for (std::int64_t first = 0; first < b.depth; first += kDotLines)
        for (std::int64_t r = 0, count; r < rows; r += count) {
            count = tile_rows(rows - r, kDotRows);
            fetch_ahead<kDotLines>(b, first, features, {r, r + count}, rows);
            with_constant<kDotRows>(
                count, [&](auto n) { multiply_dots<n.value>(a + r, b, first, features, c.at(r, 0)); });
        }
}

// c[rows, b's lines] = a b^T as (b a^T)^T, a packed and b by rows, where it lies. `room`: see below.
template <class T, class Rows>
inline void multiply_lanes(const T* const* a, std::int64_t rows, const Lines<Rows>& b, std::int64_t features,
                           Matrix<T> c, T* room) {
    constexpr int w = kWidth<T>, most = 2 * kTileRows;
    const std::int64_t width = round_up(rows, kPanel<T>);
    T* const panels = room;
    const Matrix<T> transposed = {room + width * features, width};
    pack_transposed(RowPointers<T>{a}, rows, features, panels);
    for (std::int64_t first = 0; first < b.depth; first += most) {
        const std::int64_t lines = smaller(most, b.depth - first);
        decltype(row_of(b.rows, 0)) line[most];
        const char* next[most];
        for (std::int64_t j = 0; j < lines; ++j)
            line[j] = row_of(b.rows, first + j), next[j] = b.address(first + j + most);
        multiply(by_streamed_row<T>(line, next), lines,
                 Panels<T>{panels, features * kPanel<T>, features, nullptr}, rows, transposed.at(first, 0),
                 Join::store);
    }
    for (std::int64_t first = 0; first < b.depth; first += w)
        for (std::int64_t r = 0; r < rows; r += w) {
            Vec<T> x[w];
#pragma GCC unroll 16
            for (int j = 0; j < w; ++j) x[j] = load(transposed.row(first + j) + r);
            transpose(x);
            for (std::int64_t i = 0; i < smaller(w, rows - r); ++i) store(c.row(r + i) + first, x[i]);
        }
}

// c[rows, b's lines] = a b^T. Rows that are the same memory as row 0 (where a is broadcast) are copied from
// it. c has room for columns rounded up to kDotLines and to vectors; `room` is for as many rows, rounded up
// to panels, of the features and of as many elements as b has lines, rounded up to vectors.
template <class T, class Rows>
[[gnu::noinline]] void multiply_transposed(const T* const* a, std::int64_t rows, Lines<Rows> b,
                                           std::int64_t features, Matrix<T> c, T* room) {
    std::int64_t distinct = rows;
    while (distinct > 1 && a[distinct - 1] == a[0]) --distinct;
    if (distinct >= kWidth<T> && features < kFeaturesInLanes)
        multiply_lanes(a, distinct, b, features, c, room);
    else
        multiply_dots(a, distinct, b, features, c);
    for (std::int64_t r = distinct; r < rows; ++r)
        for (std::int64_t j = 0; j < b.depth; ++j) c.row(r)[j] = c.data[j];
}

}  // namespace
}  // namespace hone
