// relu_squared.hpp: p = w max(s + b, 0)^2.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct relu_squared : ElementWise {
    template <class T>
    static Vec<T> value(Vec<T> x) {
        const Vec<T> y = at_least(Vec<T>(0), x);
        return y * y;
    }
    template <class T>
    static Vec<T> slope(Vec<T> x) {
        const Vec<T> y = at_least(Vec<T>(0), x);
        return y + y;
    }
};

}  // namespace
}  // namespace hone::activation
