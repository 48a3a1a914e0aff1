// math.hpp: the vector functions that activations are made of, each accurate to about one ulp.
//
// Coefficients are weighted minimax fits (Lawson's algorithm on 400 Chebyshev points); the error beside
// each is that of the fit, in exact arithmetic, over its whole interval.
#pragma once

#include "kernel/simd.hpp"

namespace hone {
namespace {

// c[0] + c[1] x + ... by Horner's rule.
template <class T, int n>
inline Vec<T> polynomial(Vec<T> x, const T (&c)[n]) {
    Vec<T> y(c[n - 1]);
#pragma GCC unroll 32
    for (int i = n - 2; i >= 0; --i) y = fma(y, x, Vec<T>(c[i]));
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
    // log(1 + t) = t P(t - 1/2) on [0, 1]: relative error 4.7e-9.
    static constexpr float log1p[] = {0.810930220f,   -0.288527110f,  0.132609004f,  -0.0676876994f,
                                      0.0366354727f,  -0.0205702854f, 0.0115761515f, -0.00674996701f,
                                      0.00525334834f, -0.00324392632f};
    // erfc(y) = 2^(-y P(y - 2)) on [0, 4]: absolute error 2.2e-9; erfc(4) = 1.5e-8.
    static constexpr float erfc_end = 4;
    static constexpr float erfc[] = {3.86998676f,     1.25203361f,       0.0403285510f,
                                     -0.00826477441f, 0.00160162015f,    -0.000253978122f,
                                     -6.47412936e-6f, -0.0000327133751f, -0.0000116049209f};
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
    // Relative error 9.1e-18.
    static constexpr double log1p[] = {
        0.81093021621632876502,     -0.28852709909932388908,    0.13260975375420289862,
        -0.06768864331096612089,    0.036611854523157903426,    -0.02054881191899169796,
        0.011833792109664841347,    -0.0069453949791279314424,  0.0041361791216789916358,
        -0.0024918411227917706301,  0.0015153828260282993112,   -0.00092885816289123495343,
        0.00057306538218561226658,  -0.00035481595533205627403, 0.00022107456757720525127,
        -0.00014211662988858503295, 0.00008973209972067440418,  -0.000044795174393274770485,
        0.000027525583500163796437, -0.00003839043153853813286, 0.000025040919917963140632};
    // On [0, 6]: absolute error 3.9e-17; erfc(6) = 2.2e-17.
    static constexpr double erfc_end = 6;
    static constexpr double erfc[] = {
        5.1554048657326474419,      1.3129964401294194726,      0.022743817131446096271,
        -0.0040169061048683079478,  0.0006881636624956830966,   -0.00011123407815826884047,
        0.000016362933208957754788, -2.0301872070682037246e-6,  1.6006967895687988461e-7,
        5.8362701782138086333e-9,   -1.1737030630700671156e-8,  4.6454488569098296532e-9,
        2.3781517579124885828e-9,   1.4580565218251133527e-9,   -2.0167038262050788007e-10,
        -4.6987125342078586018e-10, -2.1444328252129404882e-10, -3.014536035969997539e-11,
        1.0944631630119977349e-11,  6.1697235690268166997e-12,  1.3094908417087169672e-12,
        1.333237614507899703e-13,   5.1702032216612278877e-15};
};

inline constexpr double kLog2e = 1.4426950408889634074;
inline constexpr double kLn2 = 0.69314718055994530942;

// 2^x for x up to the exponent's range; exactly 0 below the smallest normal number (and at -inf), NaN at
// NaN.
template <class T>
inline Vec<T> exp2(Vec<T> x) {
    using C = Coefficients<T>;
    x = at_least(Vec<T>(-C::exp2_bias), x);
    const Vec<T> round(C::exp2_round + C::exp2_bias);
    const Vec<T> shifted = x + round;
    return polynomial(x - (shifted - round), C::exp2) * power_from_bits(shifted);
}

// e^x for x <= 0.
template <class T>
inline Vec<T> exp_negative(Vec<T> x) {
    return exp2(x * Vec<T>(static_cast<T>(kLog2e)));
}

// log(1 + t) for 0 <= t <= 1.
template <class T>
inline Vec<T> log1p_unit(Vec<T> t) {
    return t * polynomial(t - Vec<T>(static_cast<T>(0.5)), Coefficients<T>::log1p);
}

// erfc(|x|).
template <class T>
inline Vec<T> erfc_abs(Vec<T> x) {
    using C = Coefficients<T>;
    const Vec<T> end(C::erfc_end);
    const Vec<T> y = Vec<T>(0) - at_least(Vec<T>(0) - end, Vec<T>(0) - xsimd::abs(x));
    return exp2(Vec<T>(0) - y * polynomial(y - end * Vec<T>(static_cast<T>(0.5)), C::erfc));
}

}  // namespace
}  // namespace hone
