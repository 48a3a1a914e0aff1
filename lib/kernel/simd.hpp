// simd.hpp: the vector type of the ISA that is compiled for, and the few operations where xsimd 8.1 to 14
// differ.
//
// Each ISA's kernels see xsimd under a namespace of its own name, and everything else in lib/kernel lives in
// an anonymous namespace: no inline function compiled for one ISA can be the copy that another calls.
#pragma once

#define HONE_JOIN_(a, b) a##b
#define HONE_JOIN(a, b) HONE_JOIN_(a, b)
#define xsimd HONE_JOIN(xsimd_, HONE_ARCH)

#include <cstdint>
#include <utility>
#include <xsimd/xsimd.hpp>

namespace hone {
namespace {

// The xsimd architecture of each ISA that lib/meson.build can name.
namespace arch {
using sse2 = xsimd::sse2;
using avx2 = xsimd::fma3<xsimd::avx2>;
using avx512 = xsimd::avx512bw;
using neon64 = xsimd::neon64;
}  // namespace arch

using Arch = arch::HONE_ARCH;

template <class T>
using Vec = xsimd::batch<T, Arch>;
template <class T>
using Mask = xsimd::batch_bool<T, Arch>;
template <class T>
using Bits = Vec<xsimd::as_integer_t<T>>;

template <class T>
inline constexpr int kWidth = static_cast<int>(Vec<T>::size);

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kRegisters = 32;
#else
inline constexpr int kRegisters = 16;
#endif

template <class T>
inline Vec<T> load(const T* from) {
    return Vec<T>::load_unaligned(from);
}

template <class T>
inline void store(T* to, Vec<T> x) {
    x.store_unaligned(to);
}

// x in a register: g++ would else load it again for each product that it is in.
template <class T>
inline Vec<T> in_register(Vec<T> x) {
    typename Vec<T>::register_type value = x;
#if defined(__x86_64__)
    asm("" : "+v"(value));
#elif defined(__aarch64__)
    asm("" : "+w"(value));
#endif
    return Vec<T>(value);
}

// The first `count` < width elements, then zeros; nothing beyond them is read.
#if defined(__AVX512F__)
inline Vec<float> load_first(const float* from, std::int64_t count) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
}
inline Vec<double> load_first(const double* from, std::int64_t count) {
    return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), from);
}
#elif defined(__AVX2__)
inline Vec<float> load_first(const float* from, std::int64_t count) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index));
}
inline Vec<double> load_first(const double* from, std::int64_t count) {
    const __m256i index = _mm256_setr_epi64x(0, 1, 2, 3);
    return _mm256_maskload_pd(from, _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), index));
}
#else
template <class T>
inline Vec<T> load_first(const T* from, std::int64_t count) {
    alignas(64) T lane[kWidth<T>] = {};
    for (std::int64_t i = 0; i < count; ++i) lane[i] = from[i];
    return Vec<T>::load_aligned(lane);
}
#endif

#if defined(__AVX512F__)
#define HONE_X86(operation) _mm512_##operation
#elif defined(__AVX__)
#define HONE_X86(operation) _mm256_##operation
#elif defined(__SSE2__)
#define HONE_X86(operation) _mm_##operation
#endif

// a * b + c, a * b - c and c - a * b, rounded once where the ISA can. (xsimd 8 rounds twice in some of them
// on AVX-512 and ARM.)
#if defined(__FMA__)
inline constexpr bool kFused = true;
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return HONE_X86(fmadd_ps)(a, b, c);
}
inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return HONE_X86(fmadd_pd)(a, b, c);
}
inline Vec<float> fms(Vec<float> a, Vec<float> b, Vec<float> c) {
    return HONE_X86(fmsub_ps)(a, b, c);
}
inline Vec<double> fms(Vec<double> a, Vec<double> b, Vec<double> c) {
    return HONE_X86(fmsub_pd)(a, b, c);
}
inline Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return HONE_X86(fnmadd_ps)(a, b, c);
}
inline Vec<double> fnma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return HONE_X86(fnmadd_pd)(a, b, c);
}
#elif defined(__aarch64__)
inline constexpr bool kFused = true;
template <class T>
inline Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
    return xsimd::fma(a, b, c);
}
template <class T>
inline Vec<T> fms(Vec<T> a, Vec<T> b, Vec<T> c) {
    return xsimd::fma(a, b, -c);
}
template <class T>
inline Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
    return xsimd::fma(-a, b, c);
}
#else
inline constexpr bool kFused = false;
template <class T>
inline Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
    return a * b + c;
}
template <class T>
inline Vec<T> fms(Vec<T> a, Vec<T> b, Vec<T> c) {
    return a * b - c;
}
template <class T>
inline Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
    return c - a * b;
}
#endif

// a / b. (xsimd 8 approximates it for floats on ARM.)
template <class T>
inline Vec<T> divide(Vec<T> a, Vec<T> b) {
#if defined(__aarch64__)
    if constexpr (sizeof(T) == 4) return vdivq_f32(a, b);
#endif
    return a / b;
}

// The larger (smaller) of bound and x; x where x is NaN. (xsimd's own answer to a NaN changed between
// versions.)
#if defined(__SSE2__)
inline Vec<float> at_least(Vec<float> bound, Vec<float> x) {
    return HONE_X86(max_ps)(bound, x);
}
inline Vec<double> at_least(Vec<double> bound, Vec<double> x) {
    return HONE_X86(max_pd)(bound, x);
}
inline Vec<float> at_most(Vec<float> bound, Vec<float> x) {
    return HONE_X86(min_ps)(bound, x);
}
inline Vec<double> at_most(Vec<double> bound, Vec<double> x) {
    return HONE_X86(min_pd)(bound, x);
}
#undef HONE_X86
#else
template <class T>
inline Vec<T> at_least(Vec<T> bound, Vec<T> x) {
    return xsimd::select(x < bound, bound, x);
}
template <class T>
inline Vec<T> at_most(Vec<T> bound, Vec<T> x) {
    return xsimd::select(bound < x, bound, x);
}
#endif

// 2^n for the integer n that the low bits of `shifted`'s mantissa hold, biased by the exponent's bias.
template <class T>
inline Vec<T> power_from_bits(Vec<T> shifted) {
    constexpr int mantissa = sizeof(T) == 4 ? 23 : 52;
#if XSIMD_VERSION_MAJOR < 10
    return xsimd::bitwise_cast<Vec<T>>(xsimd::bitwise_cast<Bits<T>>(shifted) << mantissa);
#else
    return xsimd::bitwise_cast<T>(xsimd::bitwise_cast<xsimd::as_integer_t<T>>(shifted) << mantissa);
#endif
}

// Whether an instruction takes elements from a table of 16 in a register.
template <class T>
inline constexpr bool kHasTables = false;
#if defined(__AVX512F__)
template <>
inline constexpr bool kHasTables<float> = true;

// 2^(n / 16) likewise, where that is a normal number. The table has the mantissas of 2^(j / 16), less j where
// shifting n leaves its last 4 bits.
inline Vec<float> power_from_table(Vec<float> shifted) {
    alignas(64) static constexpr int mantissas[16] = {0,       -152893, -289342, -408621, -509968, -592590,
                                                      -655657, -698305, -719629, -718684, -694486, -646004,
                                                      -572163, -471841, -343865, -187011};
    const __m512i n = _mm512_castps_si512(shifted);
    const __m512i mantissa = _mm512_permutexvar_epi32(n, _mm512_load_si512(mantissas));
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32(n, 19), mantissa));
}
#endif

// A vector as the compiler's own shuffles take it. (xsimd has none that mean the same in all its versions and
// ISAs.)
template <class T>
struct Raw {
    using Register = typename Vec<T>::register_type;
    typedef T Elements __attribute__((vector_size(kWidth<T> * sizeof(T))));
    typedef xsimd::as_integer_t<T> Index __attribute__((vector_size(kWidth<T> * sizeof(T))));
    static Elements of(Vec<T> x) { return (Elements) static_cast<Register>(x); }
    static Vec<T> back(Elements x) { return Vec<T>((Register)x); }
};

// With h a power of two, exchanges a's elements whose index has the bit h for b's whose index has not:
// a = [a0 a1 a2 a3], b = [b0 b1 b2 b3] become, with h = 1, [a0 b0 a2 b2], [a1 b1 a3 b3].
template <int h, class T, int... i>
inline void exchange(Vec<T>& a, Vec<T>& b, std::integer_sequence<int, i...>) {
    constexpr int w = kWidth<T>;
    const auto x = Raw<T>::of(a), y = Raw<T>::of(b);
#if defined(__clang__)
    a = Raw<T>::back(__builtin_shufflevector(x, y, ((i & h) ? w + i - h : i)...));
    b = Raw<T>::back(__builtin_shufflevector(x, y, ((i & h) ? w + i : i + h)...));
#else
    using Index = typename Raw<T>::Index;
    a = Raw<T>::back(__builtin_shuffle(x, y, Index{((i & h) ? w + i - h : i)...}));
    b = Raw<T>::back(__builtin_shuffle(x, y, Index{((i & h) ? w + i : i + h)...}));
#endif
}
template <int h, class T>
inline void exchange(Vec<T>& a, Vec<T>& b) {
    exchange<h>(a, b, std::make_integer_sequence<int, kWidth<T>>());
}

// x[j][i] = x[i][j].
template <int h = 1, class T>
inline void transpose(Vec<T> (&x)[kWidth<T>]) {
#pragma GCC unroll 16
    for (int i = 0; i < kWidth<T>; ++i)
        if (!(i & h)) exchange<h>(x[i], x[i + h]);
    if constexpr (2 * h < kWidth<T>) transpose<2 * h>(x);
}

struct Add {
    template <class V>
    V operator()(const V& a, const V& b) const {
        return a + b;
    }
};

// Element i is x[i]'s elements combined, neighbours first; x is used up.
template <int h = 1, class T, class Combine>
inline Vec<T> reduce(Vec<T> (&x)[kWidth<T>], Combine combine) {
#pragma GCC unroll 16
    for (int i = 0; i < kWidth<T>; i += 2 * h) {
        exchange<h>(x[i], x[i + h]);
        x[i] = combine(x[i], x[i + h]);
    }
    if constexpr (2 * h < kWidth<T>) return reduce<2 * h>(x, combine);
    return x[0];
}

// With h a power of two, x's elements with those of the index that differs in the bit h in each other's
// place.
template <int h, class T, int... i>
inline Vec<T> swapped(Vec<T> x, std::integer_sequence<int, i...>) {
#if defined(__clang__)
    return Raw<T>::back(__builtin_shufflevector(Raw<T>::of(x), Raw<T>::of(x), (i ^ h)...));
#else
    return Raw<T>::back(__builtin_shuffle(Raw<T>::of(x), typename Raw<T>::Index{(i ^ h)...}));
#endif
}

// x's elements combined in the order of the above. In registers: a maximum by way of memory cost some 50
// cycles a row.
template <int h = 1, class T, class Combine>
inline T reduce(Vec<T> x, Combine combine) {
    x = combine(x, swapped<h>(x, std::make_integer_sequence<int, kWidth<T>>()));
    if constexpr (2 * h < kWidth<T>)
        return reduce<2 * h>(x, combine);
    else
        return Raw<T>::of(x)[0];
}

// result[i] is x[i]'s elements combined.
template <class T, class Combine>
inline void reduce_rows(const Vec<T>* x, std::int64_t rows, Combine combine, T* result) {
    std::int64_t i = 0;
    for (; i + kWidth<T> <= rows; i += kWidth<T>) {
        Vec<T> some[kWidth<T>];
#pragma GCC unroll 16
        for (int j = 0; j < kWidth<T>; ++j) some[j] = x[i + j];
        store(result + i, reduce(some, combine));
    }
    for (; i < rows; ++i) result[i] = reduce(x[i], combine);
}

template <class T>
inline T sum_of(Vec<T> x) {
    return reduce(x, Add());
}

// 0, 1, 2, ...
template <class T>
inline Vec<T> iota() {
    alignas(64) T lane[kWidth<T>];
    for (int i = 0; i < kWidth<T>; ++i) lane[i] = static_cast<T>(i);
    return Vec<T>::load_aligned(lane);
}

}  // namespace
}  // namespace hone
