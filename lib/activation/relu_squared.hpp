// relu_squared.hpp: p = w max(s + b, 0)^2.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct relu_squared : ElementWise {
    template <class T>
    static Group<T> value(Group<T> x) {
        const Group<T> y = at_least(Group<T>(0), x);
        return y * y;
    }
    template <class T>
    static Group<T> slope(Group<T> x) {
        const Group<T> y = at_least(Group<T>(0), x);
        return y + y;
    }
};

}  // namespace
}  // namespace hone::activation
