// math.hpp: the functions that activations are made of, each accurate to about one ulp.
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

template <class T>
struct Coefficients;

template <>
struct Coefficients<float> {
    // 2^x = 1 + x P(x) on [-1/2, 1/2]: relative error 2.0e-9.
    static constexpr float exp2[] = {1.0f,           0.693147203f,   0.240226479f,   0.0555033247f,
                                     0.00961843736f, 0.00133988754f, 0.000153533591f};
    static constexpr float exp2_bias = 127, exp2_round = 12582912;  // 1.5 * 2^23: adding it rounds to integer
    // log(1 + t) = t P(t - 1/2) on [0, 1]: relative error 3.0e-8.
    static constexpr float log1p[] = {0.810930219f,   -0.288526665f,   0.132609085f,
                                      -0.0677114469f, 0.0366338478f,   -0.0202282466f,
                                      0.0115865543f,  -0.00857446051f, 0.00523253759f};
    // erfc(y) = e^(-y^2) P(t), t = 1 / (1 + y/2), on [0, 4]: absolute error 8.6e-9; erfc(4) = 1.5e-8.
    static constexpr float erfc_end = 4, erfc_slope = 0.5f;
    static constexpr float erfc[] = {0.00865114609f, 0.195340303f,  0.649346139f, -0.592842184f,
                                     1.25868576f,    -0.621594625f, 0.102413454f};
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
    // t = 1 / (1 + 0.3 y), on [0, 6]: absolute error 1.5e-17; erfc(6) = 2.2e-17.
    static constexpr double erfc_end = 6, erfc_slope = 0.3;
    static constexpr double erfc[] = {
        -0.000025901088372223709954, 0.16959632163798005315,  0.16789643661966456353, 0.15831312495289548152,
        0.20696061835655220023,      -0.19667240105201229843, 1.1344756472340332496,  -2.2421987876564677071,
        3.7733530900368728618,       -4.3724580988710799015,  3.7395928118483065193,  -2.2039973828106174286,
        0.8254288141895496077,       -0.17688808187346120982, 0.016623788476156247445};
};

inline constexpr double kLog2e = 1.4426950408889634074;
inline constexpr double kLn2 = 0.69314718055994530942;

// 2^x for x up to the exponent's range; exactly 0 below half the smallest normal number (and at -inf), NaN at
// NaN.
template <class T>
inline Group<T> exp2(Group<T> x) {
    using C = Coefficients<T>;
    x = at_least(Group<T>(-C::exp2_bias), x);
    const Group<T> round(C::exp2_round + C::exp2_bias);
    const Group<T> shifted = x + round;
    return polynomial(x - (shifted - round), C::exp2) * power_from_bits(shifted);
}

// e^-x for x >= 0.
template <class T>
inline Group<T> exp_minus(Group<T> x) {
    return exp2(x * Group<T>(static_cast<T>(-kLog2e)));
}

// a + log(1 + t) for 0 <= t <= 1.
template <class T>
inline Group<T> add_log1p(Group<T> a, Group<T> t) {
    return fma(t, polynomial(t - Group<T>(static_cast<T>(0.5)), Coefficients<T>::log1p), a);
}

// erfc(|x|). Its e^(-x^2) is also erf's slope.
template <class T>
inline Group<T> erfc_abs(Group<T> x) {
    using C = Coefficients<T>;
    const Group<T> one(1), y = at_most(Group<T>(C::erfc_end), abs(x));
    const Group<T> t = one / fma(Group<T>(C::erfc_slope), y, one);
    return exp_minus(x * x) * polynomial(t, C::erfc);
}

}  // namespace
}  // namespace hone
