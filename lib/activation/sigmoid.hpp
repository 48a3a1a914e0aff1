// sigmoid.hpp: p = 1 / (1 + e^-(s + b)); b is -log(keys that the row sees) by default, so that weights add up
// to about one at scores about 0.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct sigmoid : ElementWise {
    static constexpr bool takes_weight = false;
    static constexpr double unit = kLog2e;
    static double default_shift(double keys) { return -__builtin_log(keys); }
    static double default_weight(double) { return 1; }
    template <class T>
    static Group<T> value(Group<T> x) {
        const Group<T> one(1), least(-(Coefficients<T>::exp2_bias + 1));  // there 2^-x is infinite
        return one / (one + exp2_minus(at_least(least, x)));
    }
    template <class T>
    static Group<T> slope(Group<T> x) {
        const Group<T> p = value(x);
        return p * (Group<T>(1) - p);
    }
};

}  // namespace
}  // namespace hone::activation
