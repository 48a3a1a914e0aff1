// dual.hpp owns the scalar mathematics of the reference: the functions that activations are written with,
// for floating-point numbers and for dual numbers, which carry a derivative along with a value.
#pragma once

#include <cmath>
#include <compare>
#include <concepts>
#include <numbers>

// A namespace of its own, because the activations are structs with names such as `erf`: within them
// only the qualified `math::erf` means the function.
namespace hone::reference::math {

// A value and its derivative by one variable; a plain number converts to a constant, of slope 0.
template <std::floating_point S>
struct Dual {
    S value;
    S slope;

    constexpr Dual(S value, S slope = 0) : value(value), slope(slope) {}

    friend Dual operator-(Dual a) { return {-a.value, -a.slope}; }
    friend Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
    friend Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.slope - b.slope}; }
    friend Dual operator*(Dual a, Dual b) {
        return {a.value * b.value, a.slope * b.value + a.value * b.slope};
    }
    friend Dual operator/(Dual a, Dual b) {
        const S quotient = a.value / b.value;
        return {quotient, (a.slope - quotient * b.slope) / b.value};
    }
    friend bool operator==(Dual a, Dual b) { return a.value == b.value; }
    friend std::partial_ordering operator<=>(Dual a, Dual b) { return a.value <=> b.value; }
};

template <std::floating_point S>
S exp(S x) {
    return std::exp(x);
}
template <std::floating_point S>
Dual<S> exp(Dual<S> x) {
    const S value = std::exp(x.value);
    return {value, value * x.slope};
}

template <std::floating_point S>
S log(S x) {
    return std::log(x);
}
template <std::floating_point S>
Dual<S> log(Dual<S> x) {
    return {std::log(x.value), x.slope / x.value};
}

template <std::floating_point S>
S log1p(S x) {
    return std::log1p(x);
}
template <std::floating_point S>
Dual<S> log1p(Dual<S> x) {
    return {std::log1p(x.value), x.slope / (1 + x.value)};
}

template <std::floating_point S>
S sqrt(S x) {
    return std::sqrt(x);
}
template <std::floating_point S>
Dual<S> sqrt(Dual<S> x) {
    const S value = std::sqrt(x.value);
    return {value, x.slope / (2 * value)};
}

template <std::floating_point S>
S tanh(S x) {
    return std::tanh(x);
}
template <std::floating_point S>
Dual<S> tanh(Dual<S> x) {
    const S value = std::tanh(x.value);
    return {value, (1 - value) * (1 + value) * x.slope};
}

template <std::floating_point S>
S erf(S x) {
    return std::erf(x);
}
template <std::floating_point S>
Dual<S> erf(Dual<S> x) {
    return {std::erf(x.value), 2 * std::numbers::inv_sqrtpi_v<S> * std::exp(-x.value * x.value) * x.slope};
}

template <std::floating_point S>
S erfc(S x) {
    return std::erfc(x);
}
template <std::floating_point S>
Dual<S> erfc(Dual<S> x) {
    return {std::erfc(x.value), -2 * std::numbers::inv_sqrtpi_v<S> * std::exp(-x.value * x.value) * x.slope};
}

}  // namespace hone::reference::math
