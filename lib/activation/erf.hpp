// erf.hpp: p = w (1 + erf(s + b)), as erfc of -(s + b), which keeps its precision in the left tail.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct erf : ElementWise {
    template <class T>
    static Vec<T> value(Vec<T> x) {
        const Vec<T> tail = erfc_abs(x);
        return xsimd::select(x < Vec<T>(0), tail, Vec<T>(2) - tail);
    }
    template <class T>
    static Vec<T> slope(Vec<T> x) {
        constexpr T two_over_sqrt_pi = static_cast<T>(1.12837916709551257390L);
        return Vec<T>(two_over_sqrt_pi) * exp_negative(Vec<T>(0) - x * x);
    }
};

}  // namespace
}  // namespace hone::activation
