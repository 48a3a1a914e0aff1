// math.hpp: the functions that activations are made of, each accurate to about one ulp; erf, absolutely.
//
// Coefficients are weighted minimax fits (Lawson's algorithm on 400 Chebyshev points); the error beside
// each is that of the fit, in exact arithmetic, over its whole interval.
#pragma once

#include "kernel/group.hpp"

namespace hone {
namespace {

// c[0] + c[1] x + ... by Horner's rule in x^2, on pairs of terms: half the chain of Horner's rule in x, for
// one more product. The chain bounds the time, as the processor holds but a few elements' worth of
// operations.
template <class T, int n>
inline Group<T> polynomial(Group<T> x, const T (&c)[n]) {
    const auto terms = [&](int i) {
        return i + 1 < n ? fma(Group<T>(c[i + 1]), x, Group<T>(c[i])) : Group<T>(c[i]);
    };
    const Group<T> square = x * x;
    constexpr int last = (n - 1) / 2 * 2;
    Group<T> y = terms(last);
#pragma GCC unroll 16
    for (int i = last - 2; i >= 0; i -= 2) y = fma(y, square, terms(i));
    return y;
}

// The same by Horner's rule in x: fewer operations, a longer chain.
template <class T, int n>
inline Group<T> horner(Group<T> x, const T (&c)[n]) {
    Group<T> y(c[n - 1]);
#pragma GCC unroll 16
    for (int i = n - 2; i >= 0; --i) y = fma(y, x, Group<T>(c[i]));
    return y;
}

template <class T>
struct Coefficients;

template <>
struct Coefficients<float> {
    // 2^x = 1 + x P(x) on [-1/2, 1/2]: relative error 2.0e-9.
    static constexpr float exp2[] = {1.0f,           0.693147203f,   0.240226479f,   0.0555033247f,
                                     0.00961843736f, 0.00133988754f, 0.000153533591f};
    static constexpr float exp2_bias = 127, exp2_round = 12582912;  // 1.5 * 2^23: adding it rounds to integer
    // log2(1 + t) = t N(t) / D(t) on [0, 1]: relative error 1.9e-8.
    static constexpr float log2_1p_n[] = {1.4426950135f, 1.2510938478f, 0.1785534116f};
    static constexpr float log2_1p_d[] = {1, 1.3671902264f, 0.4740577072f, 0.0310943939f};
    // erfc(y / sqrt(log2 e)) = 2^(-y^2) N(y) / D(y) on [0, 4.8]: absolute error 1.2e-7; 2^(-end^2) is 0.
    static constexpr float erfc_end = 11.2694283f;
    static constexpr float erfc_n[] = {1.0000001193f, 0.5077162134f, 0.1126529513f};
    static constexpr float erfc_d[] = {1, 1.4471635612f, 0.7788930604f, 0.1633834329f};
    // erf(y / sqrt(log2 e)) = y N(y^2) / D(y^2) up to y = erf_end: absolute error 1.5e-8. At
    // this very end it comes out as 1, with fused operations and without, so that 1 - erf vanishes.
    static constexpr float erf_end = 4.6849003f, smallest = 1.17549435e-38f;
    static constexpr float erf_n[] = {0.9394371667f,  0.1107681256f,    0.0211871069f,
                                      0.00106385364f, 0.0000552437632f, 0.000000273119978f};
    static constexpr float erf_d[] = {
        1, 0.3489569993f, 0.0551366490f, 0.00503182917f, 0.000272790532f, 0.00000611681942f};
};

template <>
struct Coefficients<double> {
    // Relative error 3.4e-18.
    static constexpr double exp2[] = {1.0,
                                      0.69314718055994532581,
                                      0.24022650695910131263,
                                      0.055504108664820083121,
                                      0.0096181291075941189943,
                                      0.0013333558146774641895,
                                      0.00015403530457113266087,
                                      0.000015252733493109485002,
                                      1.3215435281794343365e-6,
                                      1.0178199578607681381e-7,
                                      7.0737833276593899437e-9,
                                      4.434770361277511693e-10};
    static constexpr double exp2_bias = 1023, exp2_round = 6755399441055744;  // 1.5 * 2^52
    // Relative error 5.9e-18.
    static constexpr double log2_1p_n[] = {1.4426950408889634,    3.5380123150508438,  3.1314387042855629,
                                           1.2108502088473851,    0.19506210065797025, 0.0098484745445049076,
                                           3.3057142899644272e-05};
    static constexpr double log2_1p_d[] = {1,
                                           2.9523632609638546,
                                           3.3133962061206459,
                                           1.7618744244084046,
                                           0.44976937062229883,
                                           0.048962717775075562,
                                           0.0015739215278506777};
    // On [0, 7.2]: absolute error 7.1e-18.
    static constexpr double erfc_end = 31.984371;
    static constexpr double erfc_n[] = {1,
                                        1.1378312956005721,
                                        0.66063273391906341,
                                        0.22844838660066724,
                                        0.049022882892420599,
                                        0.006125348446653878,
                                        0.00034906228726998176,
                                        -1.2990562620896898e-09};
    static constexpr double erfc_d[] = {1,
                                        2.0772685743002257,
                                        1.9189490899279151,
                                        1.0254400427616195,
                                        0.34378646005699443,
                                        0.0726959886117408,
                                        0.0090403327484599207,
                                        0.00051502568442347049};
};

inline constexpr double kLog2e = 1.4426950408889634074;
inline constexpr double kSqrtLog2e = 1.2011224087864498158;
inline constexpr double kLn2 = 0.69314718055994530942;

// 2^x for x up to the exponent's range; exactly 0 below half the smallest normal number (and at -inf), NaN at
// NaN.
template <class T>
inline Group<T> exp2(Group<T> x) {
    using C = Coefficients<T>;
    x = at_least(Group<T>(-C::exp2_bias), x);
    const Group<T> round(C::exp2_round + C::exp2_bias), shifted = x + round;
    return polynomial(x + (round - shifted), C::exp2) * power_from_bits(shifted);
}

// 2^-x likewise; infinite for x from -(bias + 1) to -(bias + 1/2).
template <class T>
inline Group<T> exp2_minus(Group<T> x) {
    using C = Coefficients<T>;
    x = at_most(Group<T>(C::exp2_bias), x);
    const Group<T> round(C::exp2_round + C::exp2_bias), shifted = round - x;
    return polynomial((round - shifted) - x, C::exp2) * power_from_bits(shifted);
}

// 2^-(x^2) for x^2 up to the exponent's bias.
template <class T>
inline Group<T> exp2_minus_square(Group<T> x) {
    using C = Coefficients<T>;
    const Group<T> round(C::exp2_round + C::exp2_bias), shifted = fnma(x, x, round);
    return polynomial(fnma(x, x, round - shifted), C::exp2) * power_from_bits(shifted);
}

// log2(1 + t) for 0 <= t <= 1.
template <class T>
inline Group<T> log2_1p(Group<T> t) {
    using C = Coefficients<T>;
    return t * horner(t, C::log2_1p_n) / horner(t, C::log2_1p_d);
}

}  // namespace
}  // namespace hone
