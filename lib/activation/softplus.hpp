// softplus.hpp: p = phi(s) / sum phi(s), phi(s) = log(1 + e^s).
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct softplus : Normalised {
    template <class T>
    static Vec<T> value(Vec<T> x) {
        const Vec<T> zero(0);
        return at_least(zero, x) + log1p_unit(exp_negative(zero - xsimd::abs(x)));
    }
    template <class T>
    static Vec<T> slope(Vec<T> x) {
        const Vec<T> zero(0), one(1);
        const Vec<T> e = exp_negative(zero - xsimd::abs(x));
        return xsimd::select(x < zero, e, one) / (one + e);
    }
};

}  // namespace
}  // namespace hone::activation
