// softmax.hpp: p = e^(s - L), with an optional learned sink: a logit that takes weight and gives no value.
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct softmax : Exponential {
    static constexpr bool takes_sink = true;
    template <class T>
    static T offset(const Parameters<T>& parameter, std::int64_t head) {
        return parameter.sink ? parameter.sink[head] : -static_cast<T>(__builtin_inf());
    }
};

}  // namespace
}  // namespace hone::activation
