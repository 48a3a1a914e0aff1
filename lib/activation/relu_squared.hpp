// relu_squared.hpp: p = w max(s + b, 0)^2.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct relu_squared : ElementWise {
    template <class T>
    static Vectors<T> value(Vectors<T> x) {
        const Vectors<T> y = at_least(Vectors<T>(0), x);
        return y * y;
    }
    template <class T>
    static Vectors<T> slope(Vectors<T> x) {
        const Vectors<T> y = at_least(Vectors<T>(0), x);
        return y + y;
    }
};

}  // namespace
}  // namespace hone::activation
