// linear.hpp: p = w (s + b); b is 1 by default.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct linear : ElementWise {
    static double default_shift(double) { return 1; }
    template <class T>
    static Group<T> value(Group<T> x) {
        return x;
    }
    template <class T>
    static Group<T> slope(Group<T>) {
        return Group<T>(1);
    }
};

}  // namespace
}  // namespace hone::activation
