// relu.hpp: p = w max(s + b, 0).
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct relu : ElementWise {
    template <class T>
    static Vectors<T> value(Vectors<T> x) {
        return at_least(Vectors<T>(0), x);
    }
    template <class T>
    static Vectors<T> slope(Vectors<T> x) {
        return select(x <= Vectors<T>(0), Vectors<T>(0), Vectors<T>(1));  // 1 at NaN
    }
};

}  // namespace
}  // namespace hone::activation
