// relu.hpp: p = w max(s + b, 0).
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct relu : ElementWise {
    template <class T>
    static Pair<T> value(Pair<T> x) {
        return at_least(Pair<T>(0), x);
    }
    template <class T>
    static Pair<T> slope(Pair<T> x) {
        return select(x <= Pair<T>(0), Pair<T>(0), Pair<T>(1));  // 1 at NaN
    }
};

}  // namespace
}  // namespace hone::activation
