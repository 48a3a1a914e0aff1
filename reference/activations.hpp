// activations.hpp owns what each activation is, mathematically: its family, its scalar function phi and its
// defaults.
//
// To add one: a struct with the name that it has in hone/activations.def, derived from its family, with a
// phi that works for any scalar, dual numbers included (see dual.hpp). For example
//
//     struct tanh : ElementWise {
//         template <class T>
//         static T phi(T x) {
//             return math::tanh(x);
//         }
//     };
#pragma once

#include <hone/hone.h>

#include <limits>

#include "reference/dual.hpp"

namespace hone::reference {

// What a family assumes; an activation overrides what differs.
struct Activation {
    static constexpr bool normalised = false;
    static constexpr bool joint = false;
    static constexpr bool takes_sink = false;
    static constexpr bool takes_log_prior = false;
    static constexpr bool takes_shift = false;
    static constexpr bool takes_weight = false;
    static constexpr bool takes_softmax_n = false;
};

// p = phi(s) / Z, Z = sum of phi(s).
struct Normalised : Activation {
    static constexpr bool normalised = true;
    // Where no score of a row is above this, phi is exp there, to the last digit of any type.
    static constexpr double exponential_below = -std::numeric_limits<double>::infinity();
};

// phi = exp, whose p is the same when all the scores are shifted by one number: what keeps it from
// overflowing.
struct Exponential : Normalised {
    static constexpr double exponential_below = std::numeric_limits<double>::infinity();

    template <class T>
    static T phi(T x) {
        return math::exp(x);
    }
};

// p = w phi(s + b); `keys` is the number of keys that the row sees.
struct ElementWise : Activation {
    static constexpr bool takes_shift = true;
    static constexpr bool takes_weight = true;

    template <class S>
    static S default_shift(S) {
        return 0;
    }
    template <class S>
    static S default_weight(S keys) {
        return 1 / keys;
    }
};

struct softmax : Exponential {
    static constexpr bool takes_sink = true;
};

struct softmax_1 : Exponential {
    static constexpr bool takes_softmax_n = true;
};

struct bayes_softmax : Exponential {
    static constexpr bool joint = true;
    static constexpr bool takes_sink = true;
    static constexpr bool takes_log_prior = true;
};

struct softplus : Normalised {
    static constexpr double exponential_below = -50;

    template <class T>
    static T phi(T x) {
        return x > 0 ? x + math::log1p(math::exp(-x)) : math::log1p(math::exp(x));
    }
};

struct sigmoid : ElementWise {
    static constexpr bool takes_weight = false;

    template <class S>
    static S default_shift(S keys) {
        return -math::log(keys);
    }
    template <class T>
    static T phi(T x) {
        const T e = math::exp(x > 0 ? -x : x);
        return (x > 0 ? T(1) : e) / (1 + e);
    }
};

struct relu : ElementWise {
    // The comparison is such that a NaN stays one.
    template <class T>
    static T phi(T x) {
        return x <= 0 ? T(0) : x;
    }
};

struct relu_squared : ElementWise {
    template <class T>
    static T phi(T x) {
        return relu::phi(x) * relu::phi(x);
    }
};

struct linear : ElementWise {
    template <class S>
    static S default_shift(S) {
        return 1;
    }
    template <class T>
    static T phi(T x) {
        return x;
    }
};

// 1 + erf(x), as erfc(-x): far below 0 the sum would have lost all digits.
struct erf : ElementWise {
    template <class T>
    static T phi(T x) {
        return math::erfc(-x);
    }
};

// New activations go above this line.

// Calls visitor with the struct of this activation, a hone_activation.
template <class Visitor>
void visit(int32_t activation, Visitor&& visitor) {
    switch (activation) {
#define HONE_ACTIVATION(ENUMERATOR, name) \
    case HONE_##ENUMERATOR:               \
        visitor(reference::name{});       \
        break;
#include <hone/activations.def>
#undef HONE_ACTIVATION
    }
}

// Their names, by hone_activation.
inline constexpr const char* activation_names[] = {
#define HONE_ACTIVATION(ENUMERATOR, name) #name,
#include <hone/activations.def>
#undef HONE_ACTIVATION
};

inline constexpr int activation_count = sizeof(activation_names) / sizeof(activation_names[0]);

// The reference's own account of what hone_describe_activation() tells.
inline hone_activation_info describe(int32_t activation) {
    hone_activation_info info = {};
    visit(activation, [&]<class A>(A) {
        info = {sizeof info,        activation_names[activation],
                A::normalised,      A::joint,
                A::takes_sink,      A::takes_log_prior,
                A::takes_shift,     A::takes_weight,
                A::takes_softmax_n, 0};
    });
    return info;
}

}  // namespace hone::reference
