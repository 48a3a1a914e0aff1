// attention.hpp: which attention the heads use: its activation, what is trained beside the queries, how heads
// combine.
#pragma once

#include <hone/hone.hpp>
#include <string>

namespace single_location {

// The trained parameter of a head that is no query: in the library's words.
enum class Bias { none, sink, log_prior, shift };

// a_l = c sum_h A_hl, with c = 1 (sum) or 1/H (mean).
enum class Combine { mean, sum };

// How an activation of the library is used in this model.
struct Attention {
    std::string name;  // as it was asked for: softmax_1+b:mean
    hone_activation activation = HONE_SOFTMAX;
    Bias bias = Bias::none;  // which parameter `first_bias` is
    bool trained = false;    // whether the bias is trained, else it keeps its first value
    double first_bias = 0;
    double weight = 0;  // hone_problem.weight
    Combine combine = Combine::mean;

    double share(int heads) const { return combine == Combine::mean ? 1.0 / heads : 1.0; }
};

// From NAME[+b][:mean|:sum]. NAME is one of the library's activations, +b trains a bias per head: the
// log-prior of bayes_softmax, the shift of an element-wise activation, and for softmax_1 the logit of its
// sink, from 0 on (the library's softmax with a sink). Heads of softmax and softplus, whose weights sum to 1,
// are averaged unless :sum asks otherwise; all others are summed. Throws std::invalid_argument with a
// sentence.
Attention parse_attention(const std::string& text, int tokens);

}  // namespace single_location
