// linear.hpp: p = w (s + b); b is 1 by default.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct linear : ElementWise {
    static double default_shift(double) { return 1; }
    template <class T>
    static Vectors<T> value(Vectors<T> x) {
        return x;
    }
    template <class T>
    static Vectors<T> slope(Vectors<T>) {
        return Vectors<T>(1);
    }
};

}  // namespace
}  // namespace hone::activation
