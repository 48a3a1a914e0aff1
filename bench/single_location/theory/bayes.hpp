// bayes.hpp: the least risk that any predictor can have in the limit of D -> infinity.
#pragma once

#include "theory/draws.hpp"

namespace single_location {

// log E_theta exp(theta . z - |theta|^2 / 2): how much likelier the coordinates z [F] of a token are where it
// is the marked one. Exact for both families of P_theta: a sum over points, or a Gaussian integral.
double log_evidence(const Signal& signal, const double* z);

// E sum_l (delta_l_epsilon - a_l)^2 where a_l is the posterior probability that token l is the marked one,
// the softmax of log_evidence over the tokens: the mean over the draws, with the standard error of its
// replicates.
Estimate bayes_risk(const Signal& signal, const Draws& draws);

}  // namespace single_location
