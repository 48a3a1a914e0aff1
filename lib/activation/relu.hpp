// relu.hpp: p = w max(s + b, 0).
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct relu : ElementWise {
    template <class T>
    static Group<T> value(Group<T> x) {
        return at_least(Group<T>(0), x);
    }
    template <class T>
    static Group<T> slope(Group<T> x) {
        return select(x <= Group<T>(0), Group<T>(0), Group<T>(1));  // 1 at NaN
    }
};

}  // namespace
}  // namespace hone::activation
