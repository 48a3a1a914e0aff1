// linear.hpp: p = w (s + b); b is 1 by default.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct linear : ElementWise {
    static double default_shift(double) { return 1; }
    template <class T>
    static Pair<T> value(Pair<T> x) {
        return x;
    }
    template <class T>
    static Pair<T> slope(Pair<T>) {
        return Pair<T>(1);
    }
};

}  // namespace
}  // namespace hone::activation
