// erf.hpp: p = w (1 + erf(s + b)), to an absolute 4e-7 w in float32, to a few units in the last place in
// float64. In float32 forward takes erf from a rational function, which keeps nothing of the left tail beyond
// that: an exponential would cost 3% of the whole kernel. Backward has e^(-x^2) from the slope, and takes p
// as erfc of -(s + b) from it; so does float64.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct erf : ElementWise {
    static constexpr double slope_factor = 1.12837916709551257390;  // 2 / sqrt(pi)
    template <class T>
    struct Parts {
        Vectors<T> x, y, e;
    };
    template <bool for_slope, class T>
    static auto prepare(Vectors<T> x) {
        if constexpr (!for_slope && sizeof(T) == 4) {
            return x;
        } else {
            const Vectors<T> y = at_most(Vectors<T>(Coefficients<T>::erfc_end), abs(x));
            return Parts<T>{x, y, exp_minus_square(y)};
        }
    }
    template <class T>
    static Vectors<T> value(Vectors<T> x) {
        using C = Coefficients<T>;
        const Vectors<T> zero(0), end(C::erf_end), y = at_most(end, at_least(zero - end, x)), square = y * y;
        const Vectors<T> erf = y * polynomial(square, C::erf_n) / polynomial(square, C::erf_d);
        // Not 0 where p is not, that an infinite v may reach what sees it.
        const Vectors<T> least = select(Vectors<T>(-C::erfc_end) < x, Vectors<T>(C::smallest), zero);
        return at_least(least, Vectors<T>(1) + erf);
    }
    template <class T>
    static Vectors<T> value(const Parts<T>& of) {
        using C = Coefficients<T>;
        const Vectors<T> tail = of.e * polynomial(of.y, C::erfc_n) / polynomial(of.y, C::erfc_d);
        return select(of.x < Vectors<T>(0), tail, Vectors<T>(2) - tail);
    }
    template <class T>
    static Vectors<T> slope(const Parts<T>& of) {
        return of.e;
    }
};

}  // namespace
}  // namespace hone::activation
