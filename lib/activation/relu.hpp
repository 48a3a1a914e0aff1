// relu.hpp: p = w max(s + b, 0).
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct relu : ElementWise {
    template <class T>
    static Vec<T> value(Vec<T> x) {
        return at_least(Vec<T>(0), x);
    }
    template <class T>
    static Vec<T> slope(Vec<T> x) {
        return xsimd::select(x <= Vec<T>(0), Vec<T>(0), Vec<T>(1));  // 1 at NaN
    }
};

}  // namespace
}  // namespace hone::activation
