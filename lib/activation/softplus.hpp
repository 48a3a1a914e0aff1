// softplus.hpp: p = phi(s) / sum phi(s), phi(s) = log(1 + e^s).
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct softplus : Normalised {
    static constexpr double exponential_below = -40;  // phi is e^s to a relative 2e-18
    template <class T>
    struct Parts {
        Vectors<T> x, e;
    };
    template <bool for_slope, class T>
    static Parts<T> prepare(Vectors<T> x) {
        return {x, exp_minus(abs(x))};
    }
    template <class T>
    static Vectors<T> value(const Parts<T>& of) {
        return at_least(Vectors<T>(0), of.x) + log1p(of.e);
    }
    template <class T>
    static Vectors<T> slope(const Parts<T>& of) {
        const Vectors<T> zero(0), one(1);
        return select(of.x < zero, of.e, one) / (one + of.e);
    }
};

}  // namespace
}  // namespace hone::activation
