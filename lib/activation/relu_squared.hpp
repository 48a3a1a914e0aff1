// relu_squared.hpp: p = w max(s + b, 0)^2.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct relu_squared : ElementWise {
    template <class T>
    static Pair<T> value(Pair<T> x) {
        const Pair<T> y = at_least(Pair<T>(0), x);
        return y * y;
    }
    template <class T>
    static Pair<T> slope(Pair<T> x) {
        const Pair<T> y = at_least(Pair<T>(0), x);
        return y + y;
    }
};

}  // namespace
}  // namespace hone::activation
