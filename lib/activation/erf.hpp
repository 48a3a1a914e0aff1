// erf.hpp: p = w (1 + erf(s + b)), as erfc of -(s + b), which keeps its precision in the left tail.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct erf : ElementWise {
    template <class T>
    static Group<T> value(Group<T> x) {
        const Group<T> tail = erfc_abs(x);
        return select(x < Group<T>(0), tail, Group<T>(2) - tail);
    }
    template <class T>
    static Group<T> slope(Group<T> x) {
        constexpr T two_over_sqrt_pi = static_cast<T>(1.12837916709551257390L);
        return Group<T>(two_over_sqrt_pi) * exp_minus(x * x);
    }
};

}  // namespace
}  // namespace hone::activation
