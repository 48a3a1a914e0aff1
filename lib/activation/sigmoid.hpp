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
    template <class T>
    static Group<T> value(Group<T> x) {
        const Group<T> zero(0), one(1);
        const Group<T> e = exp_minus(abs(x));
        return select(x < zero, e, one) / (one + e);
    }
    template <class T>
    static Group<T> slope(Group<T> x) {
        const Group<T> p = value(x);
        return p * (Group<T>(1) - p);
    }
};

}  // namespace
}  // namespace hone::activation
