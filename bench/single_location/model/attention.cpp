// attention.cpp: the names of attentions, and where their biases begin.
#include "model/attention.hpp"

#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <stdexcept>

namespace single_location {
namespace {

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
    throw std::invalid_argument("--activation: '" + text + "' " + why);
}

std::string known_names() {
    std::string names;
    for (const hone_activation activation : hone::activations())
        names += (names.empty() ? "" : ", ") + std::string(hone::describe(activation).name);
    return names;
}

// Cuts the suffix off; whether it was there.
bool take_suffix(std::string& text, const std::string& suffix) {
    if (!text.ends_with(suffix)) return false;
    text.resize(text.size() - suffix.size());
    return true;
}

// Where the library's default is no start: erf's weight of 1/L cannot reach 1, and relu has no slope where
// its argument is below 0. As with sigmoid's default, a query of 0 then spreads a weight of 1 over the L
// tokens.
void set_element_wise(Attention& a, int tokens) {
    a.bias = Bias::shift;
    switch (a.activation) {
        case HONE_SIGMOID:
            a.first_bias = -std::log(tokens);
            break;
        case HONE_ERF:
            a.weight = 0.5;
            a.first_bias = boost::math::erf_inv(2.0 / tokens - 1);
            break;
        default:
            a.first_bias = 1;
    }
}

}  // namespace

Attention parse_attention(const std::string& text, int tokens) {
    Attention a;
    a.name = text;
    std::string name = text;
    const bool mean = take_suffix(name, ":mean"), sum = !mean && take_suffix(name, ":sum");
    a.trained = take_suffix(name, "+b");
    try {
        a.activation = hone::activation(name);
    } catch (const hone::Error&) {
        refuse(text, "should be NAME, NAME+b, NAME:mean or NAME:sum, where NAME is one of " + known_names());
    }
    const hone_activation_info info = hone::describe(a.activation);
    const bool averaged = a.activation == HONE_SOFTMAX || a.activation == HONE_SOFTPLUS;
    a.combine = mean || (averaged && !sum) ? Combine::mean : Combine::sum;
    if (a.activation == HONE_SOFTMAX_1 && a.trained) {
        a.activation = HONE_SOFTMAX;
        a.bias = Bias::sink;
    } else if (info.takes_log_prior) {
        a.bias = Bias::log_prior;
    } else if (info.takes_shift) {
        set_element_wise(a, tokens);
    } else if (a.activation == HONE_SOFTMAX && a.trained) {
        refuse(text, "has a trained sink: that is softmax_1+b");
    } else if (a.trained) {
        refuse(text, "asks for a bias, which " + name + " does not have");
    }
    return a;
}

}  // namespace single_location
