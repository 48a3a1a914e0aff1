// softmax_1.hpp: p = e^s / (n + sum e^s), a softmax whose sink has the fixed logit log n (n = 1: logit 0).
#pragma once

#include "activation/family.hpp"

namespace hone::activation {
namespace {

struct softmax_1 : Exponential {
    static constexpr bool takes_softmax_n = true;
    template <class T>
    static T offset(const Parameters<T>& parameter, std::int64_t) {
        return static_cast<T>(__builtin_log(parameter.softmax_n));
    }
};

}  // namespace
}  // namespace hone::activation
