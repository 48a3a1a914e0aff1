// family.hpp: what the families of activations have in common; an activation derives from one of them.
//
// phi(x) is value(x) and its derivative slope_factor * slope(x), for x = s + b, s = scale q k^T: slope_factor
// makes a factor of every element one of the row. Both are to be right to a few units in the last place
// wherever they are normal numbers (but see erf.hpp), and exactly 0 where they vanish.
//
// Where value and slope are a long chain of operations, prepare(x) is its first part, and value and slope
// take what that returns: the first part for the next elements then runs beside the second for these.
// (softplus, whole kernel on Zen 5: 5% slower than softmax without, 3% with.)
#pragma once

#include "kernel/math.hpp"
#include "tiles.hpp"

namespace hone {

// How the weights of a row are normalised (kernel/normaliser.hpp).
enum class Normaliser {
    maximum_and_sum,  // p = e^(s - maximum) / sum
    sum,              // p = phi(s) / sum
    none,             // p = w phi(s): element-wise
};

namespace activation {
namespace {

struct Any {
    static constexpr bool joint = false;  // one normaliser for a group of heads
    static constexpr bool takes_sink = false, takes_log_prior = false, takes_shift = false;
    static constexpr bool takes_weight = false, takes_softmax_n = false;
    static constexpr double slope_factor = 1;
    template <bool for_slope, class T>
    static Vectors<T> prepare(Vectors<T> x) {
        return x;
    }
};

// p = e^(s - L), L = log(sum e^s + e^offset), with the row maximum subtracted.
struct Exponential : Any {
    static constexpr Normaliser normaliser = Normaliser::maximum_and_sum;
    template <class T>
    static Vectors<T> value(Vectors<T> x) {
        return exp(x);
    }
    template <class T>
    static Vectors<T> slope(Vectors<T> x) {
        return value(x);
    }
    // The logit beside the keys' own in the normaliser of one head.
    template <class T>
    static T offset(const Parameters<T>&, std::int64_t) {
        return -static_cast<T>(__builtin_inf());
    }
};

// p = phi(s) / sum phi(s), for a phi >= 0 that grows with s, but no faster, so that it needs no shift: where
// sums grow large the kernel lowers the whole row. Rows of which all scores are below `exponential_below` are
// taken as Exponential.
struct Normalised : Any {
    static constexpr Normaliser normaliser = Normaliser::sum;
};

// p = w phi(s + b); w is 1 for an activation that takes no weight.
struct ElementWise : Any {
    static constexpr Normaliser normaliser = Normaliser::none;
    static constexpr bool takes_shift = true, takes_weight = true;
    static double default_shift(double) { return 0; }
    static double default_weight(double keys) { return 1 / keys; }
};

}  // namespace
}  // namespace activation
}  // namespace hone
