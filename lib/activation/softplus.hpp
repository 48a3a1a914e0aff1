// softplus.hpp: p = phi(s) / sum phi(s), phi(s) = log(1 + e^s). Where all scores of a row are below log of
// the smallest normal number (-87 in float32, -708 in float64) the row is taken to see no key.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct softplus : Normalised {
    template <class T>
    static Group<T> value(Group<T> x) {
        return add_log1p(at_least(Group<T>(0), x), exp_minus(abs(x)));
    }
    template <class T>
    static Group<T> slope(Group<T> x) {
        const Group<T> zero(0), one(1);
        const Group<T> e = exp_minus(abs(x));
        return select(x < zero, e, one) / (one + e);
    }
};

}  // namespace
}  // namespace hone::activation
