// seen.hpp: products restricted to what a row sees, for factors that hold a NaN or an inf: 0 * NaN is NaN.
#pragma once

#include "kernel/in_place.hpp"

namespace hone {
namespace {

// Some lines of a right factor.
template <class T>
inline Panels<T> lines_of(const Panels<T>& b, Range lines) {
    return {b.data + lines.begin * b.line, b.stride, count(lines), b.after, b.line};
}
template <class Rows>
inline Lines<Rows> lines_of(const Lines<Rows>& b, Range lines) {
    return {rows_from(b.rows, lines.begin), count(lines), b.after};
}

// c[columns] (+)= a b for one row, run by run of the lines that count: next(k) is the next run from line k
// on, and left(k) the row's factor from there.
template <class T, class Left, class B, class Next>
void multiply_seen(Left left, const B& b, std::int64_t columns, T* c, Join join, Next next) {
    Range run = next(0);
    do {
        multiply(left(run.begin), 1, lines_of(b, run), columns, Matrix<T>{c, 0}, join);
        join = Join::add;
        run = next(run.end);
    } while (!empty(run));
}

}  // namespace
}  // namespace hone
