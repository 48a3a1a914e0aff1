// hessian.hpp: the fixed point at which all heads are the same, and how it falls apart.
#pragma once

#include <functional>
#include <vector>

#include "theory/draws.hpp"

namespace single_location {

// One way for the heads to part: head h moves by c_h along `direction`, with sum_h c_h = 0. All choices of c
// have the same eigenvalue, as the heads are exchangeable.
struct Mode {
    int feature;          // the hidden direction along which it goes mostly; F: elsewhere; F + 1: the bias
    Estimate eigenvalue;  // of the loss's Hessian; where negative, the spread of the heads grows as
                          // e^{-eigenvalue t}
    Vector direction;     // [F + 1 (+ 1)]: of the query, elsewhere, of the bias if it is trained
};

// All heads have the query [F + 1] and the bias. Modes in the order in which they grow: the fastest first.
struct Unspecialised {
    Vector query;
    double bias = 0;
    Estimate loss;
    std::vector<Mode> modes;
};

// From queries of 0, which move along E[theta], by Newton steps along the directions in which all heads are
// equal; for `sets` independent sets of draws of the shape (others = 1: the direction that stands for all
// that carry no signal), whose spread is the error. `poll` is called at each evaluation and may throw. Needs
// two heads at least; throws std::runtime_error where no fixed point is found.
Unspecialised unspecialised(
    const Signal& signal, const Attention& attention, int heads, const DrawsShape& shape, std::uint64_t seed,
    int threads, int sets = 4, const std::function<void()>& poll = [] {});

}  // namespace single_location
