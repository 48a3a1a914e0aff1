// activations.hpp: the row functions of every activation.
#pragma once

#include "all_activations.hpp"
#include "kernel/normaliser.hpp"

namespace hone {
namespace {

template <class T>
inline constexpr RowFunctions<T> kActivations[] = {
#define HONE_ACTIVATION(ENUMERATOR, name) row_functions<T, activation::name>(),
#include "hone/activations.def"
#undef HONE_ACTIVATION
};

}  // namespace
}  // namespace hone
