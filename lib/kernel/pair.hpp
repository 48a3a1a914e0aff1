// pair.hpp: two vectors that are computed in step, the type that activations are written in.
//
// A polynomial's coefficients do not fit into 16 registers beside its operands, so each is loaded where it is
// used: once for both vectors. One vector at a time, softplus is bound by its 30 loads (15 cycles a vector).
#pragma once

#include "kernel/simd.hpp"

namespace hone {
namespace {

template <class T>
struct Pair {
    Vec<T> low, high;
    Pair() = default;
    Pair(Vec<T> a, Vec<T> b) : low(a), high(b) {}
    explicit Pair(T x) : low(x), high(low) {}
    static constexpr int width = 2 * kWidth<T>;
};

template <class T>
struct PairMask {
    Mask<T> low, high;
};

template <class T>
inline Pair<T> load_pair(const T* from) {
    return {load(from), load(from + kWidth<T>)};
}

template <class T>
inline void store(T* to, Pair<T> x) {
    store(to, x.low);
    store(to + kWidth<T>, x.high);
}

template <class T>
inline Pair<T> operator+(Pair<T> a, Pair<T> b) {
    return {a.low + b.low, a.high + b.high};
}
template <class T>
inline Pair<T> operator-(Pair<T> a, Pair<T> b) {
    return {a.low - b.low, a.high - b.high};
}
template <class T>
inline Pair<T> operator*(Pair<T> a, Pair<T> b) {
    return {a.low * b.low, a.high * b.high};
}
template <class T>
inline Pair<T> operator/(Pair<T> a, Pair<T> b) {
    return {a.low / b.low, a.high / b.high};
}
template <class T>
inline PairMask<T> operator<(Pair<T> a, Pair<T> b) {
    return {a.low < b.low, a.high < b.high};
}
template <class T>
inline PairMask<T> operator<=(Pair<T> a, Pair<T> b) {
    return {a.low <= b.low, a.high <= b.high};
}

// Where the mask holds a, else b.
template <class T>
inline Pair<T> select(PairMask<T> mask, Pair<T> a, Pair<T> b) {
    return {xsimd::select(mask.low, a.low, b.low), xsimd::select(mask.high, a.high, b.high)};
}

template <class T>
inline Pair<T> abs(Pair<T> x) {
    return {xsimd::abs(x.low), xsimd::abs(x.high)};
}

// a * b + c.
template <class T>
inline Pair<T> fma(Pair<T> a, Pair<T> b, Pair<T> c) {
    return {fma(a.low, b.low, c.low), fma(a.high, b.high, c.high)};
}

// The larger of bound and x; x where x is NaN.
template <class T>
inline Pair<T> at_least(Pair<T> bound, Pair<T> x) {
    return {at_least(bound.low, x.low), at_least(bound.high, x.high)};
}

// The smaller of bound and x; x where x is NaN.
template <class T>
inline Pair<T> at_most(Pair<T> bound, Pair<T> x) {
    return {at_most(bound.low, x.low), at_most(bound.high, x.high)};
}

template <class T>
inline Pair<T> power_from_bits(Pair<T> shifted) {
    return {power_from_bits(shifted.low), power_from_bits(shifted.high)};
}

template <class T>
inline T sum_of(Pair<T> x) {
    return sum_of(x.low + x.high);
}

template <class T>
inline T max_of(Pair<T> x) {
    return max_of(at_least(x.low, x.high));
}

// Which of the next elements come before the count-th.
template <class T>
inline PairMask<T> first_of(std::int64_t count) {
    const Vec<T> index = iota<T>();
    return {index < Vec<T>(static_cast<T>(count)), index < Vec<T>(static_cast<T>(count - kWidth<T>))};
}

}  // namespace
}  // namespace hone
