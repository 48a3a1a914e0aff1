// erf.hpp: p = w (1 + erf(s + b)), to an absolute 4e-7 w in float32, to a few units in the last place in
// float64. In float32 forward takes erf from a rational function, which keeps nothing of the left tail beyond
// that: an exponential would cost 3% of the whole kernel. Backward has e^(-x^2) from the slope, and takes p
// as erfc of -(s + b) from it; so does float64.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct erf : ElementWise {
    static constexpr double slope_unit = 1.12837916709551257390;  // 2 / sqrt(pi)
    template <class T>
    struct Parts {
        Group<T> x, y, e;
    };
    template <bool for_slope, class T>
    static auto prepare(Group<T> x) {
        if constexpr (!for_slope && sizeof(T) == 4) {
            return x;
        } else {
            const Group<T> y = at_most(Group<T>(Coefficients<T>::erfc_end), abs(x));
            return Parts<T>{x, y, exp_minus_square(y)};
        }
    }
    template <class T>
    static Group<T> value(Group<T> x) {
        using C = Coefficients<T>;
        const Group<T> zero(0), end(C::erf_end), y = at_most(end, at_least(zero - end, x)), square = y * y;
        const Group<T> erf = y * polynomial(square, C::erf_n) / polynomial(square, C::erf_d);
        // Not 0 where p is not, that an infinite v may reach what sees it.
        const Group<T> least = select(Group<T>(-C::erfc_end) < x, Group<T>(C::smallest), zero);
        return at_least(least, Group<T>(1) + erf);
    }
    template <class T>
    static Group<T> value(const Parts<T>& of) {
        using C = Coefficients<T>;
        const Group<T> tail = of.e * polynomial(of.y, C::erfc_n) / polynomial(of.y, C::erfc_d);
        return select(of.x < Group<T>(0), tail, Group<T>(2) - tail);
    }
    template <class T>
    static Group<T> slope(const Parts<T>& of) {
        return of.e;
    }
};

}  // namespace
}  // namespace hone::activation
