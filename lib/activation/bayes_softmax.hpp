// bayes_softmax.hpp: p = e^(s + b_h - L_i), one L_i for all heads of a group and their keys; the optional
// sink is the group's. The kernel normalises each head by itself; the heads are joined afterwards.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct bayes_softmax : Exponential {
    static constexpr bool joint = true, takes_sink = true, takes_log_prior = true;
};

}  // namespace
}  // namespace hone::activation
