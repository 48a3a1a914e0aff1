// softplus.hpp: p = phi(s) / sum phi(s), phi(s) = log(1 + e^s).
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct softplus : Normalised {
    template <class T>
    static Pair<T> value(Pair<T> x) {
        return add_log1p(at_least(Pair<T>(0), x), exp_minus(abs(x)));
    }
    template <class T>
    static Pair<T> slope(Pair<T> x) {
        const Pair<T> zero(0), one(1);
        const Pair<T> e = exp_minus(abs(x));
        return select(x < zero, e, one) / (one + e);
    }
};

}  // namespace
}  // namespace hone::activation
