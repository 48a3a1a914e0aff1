// group.hpp: a few vectors computed in step, the type that activations are written in.
//
// An activation is one long chain of dependent operations. Taking kGroup vectors through it together keeps
// the processor busy, and loads each coefficient once for all of them: they do not fit into 16 registers.
#pragma once

#include "kernel/simd.hpp"

namespace hone {
namespace {

inline constexpr int kGroup = 2;  // 4 measures no better, and spills

template <class T>
struct Group {
    static constexpr int width = kGroup * kWidth<T>;
    Vec<T> v[kGroup];
    Group() = default;
    // Copied vector by vector: g++ copies structs of whole arrays through memory.
    Group(const Group& x) { *this = x; }
    Group& operator=(const Group& x) {
#pragma GCC unroll 8
        for (int i = 0; i < kGroup; ++i) v[i] = x.v[i];
        return *this;
    }
    explicit Group(T x) {
        for (Vec<T>& each : v) each = Vec<T>(x);
    }
};

template <class T>
struct GroupMask {
    Mask<T> v[kGroup];
};

// The group (or mask) whose i-th vector is f(i).
template <class Result, class F>
inline Result each(F f) {
    Result result;
#pragma GCC unroll 8
    for (int i = 0; i < kGroup; ++i) result.v[i] = f(i);
    return result;
}

template <class T>
inline Group<T> load_group(const T* from) {
    return each<Group<T>>([&](int i) { return load(from + i * kWidth<T>); });
}

template <class T>
inline void store(T* to, const Group<T>& x) {
#pragma GCC unroll 8
    for (int i = 0; i < kGroup; ++i) store(to + i * kWidth<T>, x.v[i]);
}

template <class T>
inline Group<T> operator+(const Group<T>& a, const Group<T>& b) {
    return each<Group<T>>([&](int i) { return a.v[i] + b.v[i]; });
}
template <class T>
inline Group<T> operator-(const Group<T>& a, const Group<T>& b) {
    return each<Group<T>>([&](int i) { return a.v[i] - b.v[i]; });
}
template <class T>
inline Group<T> operator*(const Group<T>& a, const Group<T>& b) {
    return each<Group<T>>([&](int i) { return a.v[i] * b.v[i]; });
}
template <class T>
inline Group<T> operator/(const Group<T>& a, const Group<T>& b) {
    return each<Group<T>>([&](int i) { return divide(a.v[i], b.v[i]); });
}
template <class T>
inline GroupMask<T> operator<(const Group<T>& a, const Group<T>& b) {
    return each<GroupMask<T>>([&](int i) { return a.v[i] < b.v[i]; });
}
template <class T>
inline GroupMask<T> operator<=(const Group<T>& a, const Group<T>& b) {
    return each<GroupMask<T>>([&](int i) { return a.v[i] <= b.v[i]; });
}

// Where the mask holds a, else b.
template <class T>
inline Group<T> select(const GroupMask<T>& mask, const Group<T>& a, const Group<T>& b) {
    return each<Group<T>>([&](int i) { return xsimd::select(mask.v[i], a.v[i], b.v[i]); });
}

template <class T>
inline Group<T> abs(const Group<T>& x) {
    return each<Group<T>>([&](int i) { return xsimd::abs(x.v[i]); });
}

// a * b + c.
template <class T>
inline Group<T> fma(const Group<T>& a, const Group<T>& b, const Group<T>& c) {
    return each<Group<T>>([&](int i) { return fma(a.v[i], b.v[i], c.v[i]); });
}

// a * b - c.
template <class T>
inline Group<T> fms(const Group<T>& a, const Group<T>& b, const Group<T>& c) {
    return each<Group<T>>([&](int i) { return fms(a.v[i], b.v[i], c.v[i]); });
}

// c - a * b.
template <class T>
inline Group<T> fnma(const Group<T>& a, const Group<T>& b, const Group<T>& c) {
    return each<Group<T>>([&](int i) { return fnma(a.v[i], b.v[i], c.v[i]); });
}

// The larger (smaller) of bound and x; x where x is NaN.
template <class T>
inline Group<T> at_least(const Group<T>& bound, const Group<T>& x) {
    return each<Group<T>>([&](int i) { return at_least(bound.v[i], x.v[i]); });
}
template <class T>
inline Group<T> at_most(const Group<T>& bound, const Group<T>& x) {
    return each<Group<T>>([&](int i) { return at_most(bound.v[i], x.v[i]); });
}

template <class T>
inline Group<T> power_from_bits(const Group<T>& shifted) {
    return each<Group<T>>([&](int i) { return power_from_bits(shifted.v[i]); });
}

template <class T>
inline T sum_of(const Group<T>& x) {
    Vec<T> sum = x.v[0];
    for (int i = 1; i < kGroup; ++i) sum = sum + x.v[i];
    return sum_of(sum);
}

template <class T>
inline T max_of(const Group<T>& x) {
    Vec<T> most = x.v[0];
    for (int i = 1; i < kGroup; ++i) most = at_least(most, x.v[i]);
    return max_of(most);
}

template <class T>
inline T min_of(const Group<T>& x) {
    Vec<T> least = x.v[0];
    for (int i = 1; i < kGroup; ++i) least = at_most(least, x.v[i]);
    return min_of(least);
}

// Which of the elements come before the count-th.
template <class T>
inline GroupMask<T> first_of(std::int64_t count) {
    const Vec<T> index = iota<T>();
    return each<GroupMask<T>>([&](int i) { return index < Vec<T>(static_cast<T>(count - i * kWidth<T>)); });
}

}  // namespace
}  // namespace hone
