// sigmoid.hpp: p = 1 / (1 + e^-(s + b)); b is -log(keys that the row sees) by default, so that weights add up
// to about one at scores about 0.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct sigmoid : ElementWise {
    static constexpr bool takes_weight = false;
    static double default_shift(double keys) { return -__builtin_log(keys); }
    static double default_weight(double) { return 1; }
    // For the slope, e = e^-x, of which p' = e / (1 + e)^2 keeps its digits, as p (1 - p) would not.
    template <class T>
    struct Parts {
        Vectors<T> e;
    };
    template <bool for_slope, class T>
    static auto prepare(Vectors<T> x) {
        if constexpr (for_slope)
            return Parts<T>{exp_minus(at_least(Vectors<T>(-Coefficients<T>::exp_end), x))};
        else
            return x;
    }
    template <class T>
    static Vectors<T> value(Vectors<T> x) {
        const Vectors<T> e = exp(at_most(Vectors<T>(40), x));  // of which e / (1 + e) is 1 in either type
        return e / (Vectors<T>(1) + e);
    }
    template <class T>
    static Vectors<T> value(const Parts<T>& of) {
        return Vectors<T>(1) / (Vectors<T>(1) + of.e);
    }
    template <class T>
    static Vectors<T> slope(const Parts<T>& of) {
        const Vectors<T> p = value(of);
        return of.e * p * p;
    }
};

}  // namespace
}  // namespace hone::activation
