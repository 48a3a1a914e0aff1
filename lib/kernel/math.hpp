// math.hpp: the functions that activations are made of.
//
// Coefficients are weighted minimax fits (Lawson's algorithm on 200 to 400 Chebyshev points, each coefficient
// rounded before the rest were fitted again); the error beside each is that of the rounded fit, in exact
// arithmetic, over its whole interval.
#pragma once

#include "kernel/vectors.hpp"

namespace hone {
namespace {

// c[0] + c[1] x + ... by Horner's rule in x^2, on pairs of terms: half the chain of Horner's rule in x, for
// one more product. The chain bounds the time, as the processor can overlap only a few elements.
template <class T, int n>
inline Vectors<T> polynomial(Vectors<T> x, const T (&c)[n]) {
    const auto terms = [&](int i) {
        return i + 1 < n ? fma(Vectors<T>(c[i + 1]), x, Vectors<T>(c[i])) : Vectors<T>(c[i]);
    };
    const Vectors<T> square = x * x;
    constexpr int last = (n - 1) / 2 * 2;
    Vectors<T> y = terms(last);
#pragma GCC unroll 16
    for (int i = last - 2; i >= 0; i -= 2) y = fma(y, square, terms(i));
    return y;
}

// The same by Horner's rule in x: fewer operations, a longer chain.
template <class T, int n>
inline Vectors<T> horner(Vectors<T> x, const T (&c)[n]) {
    Vectors<T> y(c[n - 1]);
#pragma GCC unroll 16
    for (int i = n - 2; i >= 0; --i) y = fma(y, x, Vectors<T>(c[i]));
    return y;
}

inline constexpr double kLog2e = 1.4426950408889634074;

template <class T>
struct Coefficients;

template <>
struct Coefficients<float> {
    // e^r = 1 + r + r^2 P(r) for |r| <= ln(2) / 2: relative error 3.2e-9; for |r| <= ln(2) / 32: 1.6e-9.
    static constexpr float exp[] = {0.49999994f, 0.166665211f, 0.0416682586f, 0.00836866815f, 0.00138213031f};
    static constexpr float short_exp[] = {0.500016153f, 0.166667134f};
    static constexpr float exp_end = 88.02969f;         // 127 ln 2
    static constexpr float normal_exp_end = 87.33654f;  // 126 ln 2
    static constexpr int exp_bias = 127;
    static constexpr float round_to_integer = 12582912;  // 1.5 * 2^23: adding it does
    // As one number 1.9e-9 too small; in two, the first of so few bits that its product with n is exact.
    static constexpr float ln2 = 0.693147182f, ln2_high = 0.693145752f, ln2_low = 1.42860677e-6f;
    // log(1 + t) = t N(t) / D(t) on [0, 1]: relative error 2.2e-8.
    static constexpr float log1p_n[] = {1, 0.869496524f, 0.124630041f};
    static constexpr float log1p_d[] = {1, 1.36949515f, 0.476071775f, 0.0313496366f};
    // erfc(y) = e^(-y^2) N(y) / D(y) on [0, 4]: absolute error 1.2e-7; e^(-end^2) is 0.
    static constexpr float erfc_end = 9.38241386f;
    static constexpr float erfc_n[] = {1.00000012f, 0.609788716f, 0.162507474f};
    static constexpr float erfc_d[] = {1, 1.73817992f, 1.1236434f, 0.283088684f};
    // erf(y) = y N(y^2) / D(y^2) up to y = erf_end: absolute error 2.4e-8. At this very end it comes out as
    // 1, with fused operations and without, so that 1 - erf vanishes.
    static constexpr float erf_end = 3.91f, smallest = 1.17549435e-38f;
    static constexpr float erf_n[] = {1.12837899f,    0.19500728f,     0.0533196367f,
                                      0.00395476073f, 0.000287706236f, 1.99448505e-6f};
    static constexpr float erf_d[] = {
        1, 0.506152034f, 0.115977988f, 0.0153460791f, 0.00120592047f, 3.76667776e-5f};
};

template <>
struct Coefficients<double> {
    // Relative error 3.8e-18.
    static constexpr double exp[] = {0.50000000000000111,   0.16666666666666444,   0.041666666666527082,
                                     0.0083333333334758598, 0.0013888888944296625, 0.00019841269544805626,
                                     2.4801492506957585e-5, 2.7557553606204201e-6, 2.7630434012573127e-7,
                                     2.5010089757750532e-8};
    static constexpr double exp_end = 709.0895657128241;
    static constexpr int exp_bias = 1023;
    static constexpr double round_to_integer = 6755399441055744;  // 1.5 * 2^52
    static constexpr double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
    // Relative error 6.6e-18.
    static constexpr double log1p_n[] = {1,
                                         2.4533780782319443,
                                         2.1725325419810493,
                                         0.84057764556524739,
                                         0.13551445432150896,
                                         0.0068482896142416944,
                                         2.301551507427818e-5};
    static constexpr double log1p_d[] = {1,
                                         2.9533780782319425,
                                         3.3158882477638638,
                                         1.7640624100305631,
                                         0.45059409640797299,
                                         0.049087646413458884,
                                         0.0015793032100540811};
    // erfc(y) = e^(-y^2) N(y) / D(y) on [0, 26.65]: relative error 4.1e-18.
    static constexpr double erfc_end = 26.62873571375149;
    static constexpr double erfc_n[] = {1,
                                        2.33859087272823585,
                                        2.71150181969029491,
                                        2.01386347698210777,
                                        1.05109802855179502,
                                        0.400993301364481303,
                                        0.113087423267093881,
                                        0.0233083046057888446,
                                        0.00337285366081330282,
                                        0.000311599722245073179,
                                        0.0000141273492147780602};
    static constexpr double erfc_d[] = {1,
                                        3.46697003982374863,
                                        5.62355858557169963,
                                        5.64465256812252836,
                                        3.90488565025954815,
                                        1.96028601081997289,
                                        0.731122422759654556,
                                        0.203418832440643904,
                                        0.0415890423240118032,
                                        0.00599074749682897319,
                                        0.000552296127635450575,
                                        0.0000250400745188136839};
};

// Powers of two between 2^n and 2^(n + 1) that a table holds, where there are such tables.
template <class T>
inline constexpr int kSteps = kHasTables<T> ? 16 : 1;

// x log2(e) in steps, whose integer is in the low bits of `shifted`, and what is left: x = n ln(2) / kSteps +
// r.
template <class T>
struct ExpParts {
    Vectors<T> r, shifted;
};
template <class T>
inline constexpr T kExpRound = Coefficients<T>::round_to_integer + kSteps<T>* Coefficients<T>::exp_bias;
template <class T>
inline constexpr T kStepsLog2e = static_cast<T>(kSteps<T>* kLog2e);

// x - n ln(2) / kSteps and n ln(2) / kSteps - x, for integers n up to the exponent's range. In float one
// number for ln 2 does where operations are fused: its error is 2.8e-9 of x.
template <class T>
inline constexpr bool kPlainLn2 = kFused && sizeof(T) == 4;
template <class T>
inline Vectors<T> minus_ln2(const Vectors<T>& x, const Vectors<T>& n) {
    using C = Coefficients<T>;
    if constexpr (kPlainLn2<T>)
        return fnma(n, Vectors<T>(C::ln2 / kSteps<T>), x);
    else
        return fnma(n, Vectors<T>(C::ln2_low), fnma(n, Vectors<T>(C::ln2_high), x));
}
template <class T>
inline Vectors<T> ln2_minus(const Vectors<T>& n, const Vectors<T>& x) {
    using C = Coefficients<T>;
    if constexpr (kPlainLn2<T>)
        return fms(n, Vectors<T>(C::ln2 / kSteps<T>), x);
    else
        return fma(n, Vectors<T>(C::ln2_low), fms(n, Vectors<T>(C::ln2_high), x));
}

// The parts of x, and of -x.
template <class T>
inline ExpParts<T> parts_of(const Vectors<T>& x) {
    const Vectors<T> round(kExpRound<T>), shifted = fma(x, Vectors<T>(kStepsLog2e<T>), round);
    return {minus_ln2(x, shifted - round), shifted};
}
template <class T>
inline ExpParts<T> parts_of_minus(const Vectors<T>& x) {
    const Vectors<T> round(kExpRound<T>), shifted = fnma(x, Vectors<T>(kStepsLog2e<T>), round);
    return {ln2_minus(round - shifted, x), shifted};
}

// e to the sum of the parts, as long as that is a normal number or has no table; exactly 2^n at r = 0.
template <class T>
inline Vectors<T> exp_from_parts(const ExpParts<T>& of) {
    using C = Coefficients<T>;
    const Vectors<T> square = of.r * of.r;
    if constexpr (kHasTables<T>) {
        const Vectors<T> power = power_from_table(of.shifted);
        return fma(fma(square, polynomial(of.r, C::short_exp), of.r), power, power);
    } else {
        const Vectors<T> power = power_from_bits(of.shifted);
        return fma(fma(square, polynomial(of.r, C::exp), of.r), power, power);
    }
}

// e^x for x up to the exponent's range; exactly 0 below the smallest normal number or half of it (and at
// -inf), NaN at NaN. Powers from a table are no powers below that: they are not looked at.
template <class T>
inline Vectors<T> exp(Vectors<T> x) {
    using C = Coefficients<T>;
    if constexpr (kHasTables<T>)
        return select(x < Vectors<T>(-C::normal_exp_end), Vectors<T>(0), exp_from_parts(parts_of(x)));
    else
        return exp_from_parts(parts_of(at_least(Vectors<T>(-C::exp_end), x)));
}

// e^-x likewise.
template <class T>
inline Vectors<T> exp_minus(Vectors<T> x) {
    using C = Coefficients<T>;
    if constexpr (kHasTables<T>)
        return select(Vectors<T>(C::normal_exp_end) < x, Vectors<T>(0), exp_from_parts(parts_of_minus(x)));
    else
        return exp_from_parts(parts_of_minus(at_most(Vectors<T>(C::exp_end), x)));
}

// x^2 - square, where that is x^2 rounded: exact.
inline Vectors<double> rounded_off_square(const Vectors<double>& x, const Vectors<double>& square) {
    if constexpr (kFused) {
        return fms(x, x, square);
    } else {
        // Of halves of x with half the mantissa's bits.
        const Vectors<double> moved = x * Vectors<double>(134217729), high = moved - (moved - x),
                              low = x - high;
        return (high * high - square + (high + high) * low) + low * low;
    }
}

// e^-(x^2) for |x| up to erfc_end. In double x^2 is taken in two parts: its rounding alone, of up to 6e-14 at
// the end, would be the relative error of the result.
template <class T>
inline Vectors<T> exp_minus_square(Vectors<T> x) {
    const Vectors<T> square = x * x;
    if constexpr (sizeof(T) == 4) return exp_minus(square);
    ExpParts<T> parts = parts_of_minus(square);
    if constexpr (sizeof(T) == 8) parts.r = parts.r - rounded_off_square(x, square);
    return exp_from_parts(parts);
}

// log(1 + t) for 0 <= t <= 1.
template <class T>
inline Vectors<T> log1p(Vectors<T> t) {
    using C = Coefficients<T>;
    return t * horner(t, C::log1p_n) / horner(t, C::log1p_d);
}

}  // namespace
}  // namespace hone
