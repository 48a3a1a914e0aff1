// vectors.hpp: a few vectors computed in step, the type that activations are written in.
//
// An activation is one long chain of dependent operations. Taking kInStep vectors through it together keeps
// the processor busy, and loads each coefficient once for all of them: they do not fit into 16 registers.
#pragma once

#include "kernel/simd.hpp"
#include "range.hpp"

namespace hone {
namespace {

inline constexpr int kInStep = 2;  // 4 measures no better, and spills

template <class T>
struct Vectors {
    static constexpr int width = kInStep * kWidth<T>;
    Vec<T> v[kInStep];
    Vectors() = default;
    // Copied vector by vector: g++ copies structs of whole arrays through memory.
    Vectors(const Vectors& x) { *this = x; }
    Vectors& operator=(const Vectors& x) {
#pragma GCC unroll 8
        for (int i = 0; i < kInStep; ++i) v[i] = x.v[i];
        return *this;
    }
    explicit Vectors(T x) {
        for (Vec<T>& each : v) each = Vec<T>(x);
    }
};

template <class T>
struct VectorsMask {
    Mask<T> v[kInStep];
};

// The vectors (or mask) of which the i-th is f(i).
template <class Result, class F>
inline Result each(F f) {
    Result result;
#pragma GCC unroll 8
    for (int i = 0; i < kInStep; ++i) result.v[i] = f(i);
    return result;
}

template <class T>
inline Vectors<T> load_vectors(const T* from) {
    return each<Vectors<T>>([&](int i) { return load(from + i * kWidth<T>); });
}

template <class T>
inline void store(T* to, const Vectors<T>& x) {
#pragma GCC unroll 8
    for (int i = 0; i < kInStep; ++i) store(to + i * kWidth<T>, x.v[i]);
}

template <class T>
inline Vectors<T> operator+(const Vectors<T>& a, const Vectors<T>& b) {
    return each<Vectors<T>>([&](int i) { return a.v[i] + b.v[i]; });
}
template <class T>
inline Vectors<T> operator-(const Vectors<T>& a, const Vectors<T>& b) {
    return each<Vectors<T>>([&](int i) { return a.v[i] - b.v[i]; });
}
template <class T>
inline Vectors<T> operator*(const Vectors<T>& a, const Vectors<T>& b) {
    return each<Vectors<T>>([&](int i) { return a.v[i] * b.v[i]; });
}
template <class T>
inline Vectors<T> operator/(const Vectors<T>& a, const Vectors<T>& b) {
    return each<Vectors<T>>([&](int i) { return divide(a.v[i], b.v[i]); });
}
template <class T>
inline VectorsMask<T> operator<(const Vectors<T>& a, const Vectors<T>& b) {
    return each<VectorsMask<T>>([&](int i) { return a.v[i] < b.v[i]; });
}
template <class T>
inline VectorsMask<T> operator<=(const Vectors<T>& a, const Vectors<T>& b) {
    return each<VectorsMask<T>>([&](int i) { return a.v[i] <= b.v[i]; });
}

// Where the mask holds a, else b.
template <class T>
inline Vectors<T> select(const VectorsMask<T>& mask, const Vectors<T>& a, const Vectors<T>& b) {
    return each<Vectors<T>>([&](int i) { return xsimd::select(mask.v[i], a.v[i], b.v[i]); });
}

template <class T>
inline Vectors<T> abs(const Vectors<T>& x) {
    return each<Vectors<T>>([&](int i) { return xsimd::abs(x.v[i]); });
}

// a * b + c.
template <class T>
inline Vectors<T> fma(const Vectors<T>& a, const Vectors<T>& b, const Vectors<T>& c) {
    return each<Vectors<T>>([&](int i) { return fma(a.v[i], b.v[i], c.v[i]); });
}

// a * b - c.
template <class T>
inline Vectors<T> fms(const Vectors<T>& a, const Vectors<T>& b, const Vectors<T>& c) {
    return each<Vectors<T>>([&](int i) { return fms(a.v[i], b.v[i], c.v[i]); });
}

// c - a * b.
template <class T>
inline Vectors<T> fnma(const Vectors<T>& a, const Vectors<T>& b, const Vectors<T>& c) {
    return each<Vectors<T>>([&](int i) { return fnma(a.v[i], b.v[i], c.v[i]); });
}

// The larger (smaller) of bound and x; x where x is NaN.
template <class T>
inline Vectors<T> at_least(const Vectors<T>& bound, const Vectors<T>& x) {
    return each<Vectors<T>>([&](int i) { return at_least(bound.v[i], x.v[i]); });
}
template <class T>
inline Vectors<T> at_most(const Vectors<T>& bound, const Vectors<T>& x) {
    return each<Vectors<T>>([&](int i) { return at_most(bound.v[i], x.v[i]); });
}

template <class T>
inline Vectors<T> power_from_bits(const Vectors<T>& shifted) {
    return each<Vectors<T>>([&](int i) { return power_from_bits(shifted.v[i]); });
}

template <class T>
inline Vectors<T> power_from_table(const Vectors<T>& shifted) {
    return each<Vectors<T>>([&](int i) { return power_from_table(shifted.v[i]); });
}

// The vectors combined into one.
template <class T, class Combine>
inline Vec<T> fold(const Vectors<T>& x, Combine combine) {
    Vec<T> all = x.v[0];
    for (int i = 1; i < kInStep; ++i) all = combine(all, x.v[i]);
    return all;
}

template <class T>
inline T first_of(const Vectors<T>& x) {
    return Raw<T>::of(x.v[0])[0];
}

template <class T>
inline T sum_of(const Vectors<T>& x) {
    return sum_of(fold(x, Add()));
}

// An index taken down or up to where whole vectors of a row begin.
template <class T>
inline std::int64_t vectors_down(std::int64_t index) {
    return index & -static_cast<std::int64_t>(Vectors<T>::width);
}
template <class T>
inline std::int64_t vectors_up(std::int64_t index) {
    return vectors_down<T>(index + Vectors<T>::width - 1);
}

// Which of the elements have an index in the range.
template <class T>
inline VectorsMask<T> elements_in(Range range) {
    return each<VectorsMask<T>>([&](int i) {
        const Vec<T> index = iota<T>() + Vec<T>(static_cast<T>(i * kWidth<T>));
        return index < Vec<T>(static_cast<T>(range.end)) && !(index < Vec<T>(static_cast<T>(range.begin)));
    });
}

// Which elements are not 0.
template <class T>
inline VectorsMask<T> nonzero(const T* from) {
    return each<VectorsMask<T>>([&](int i) { return load(from + i * kWidth<T>) != Vec<T>(0); });
}

}  // namespace
}  // namespace hone
