// isa.cpp: one ISA's table of tile functions. Compiled once per ISA, with that ISA's flags and
// -DHONE_ARCH=<its name>.
#include "kernel/add.hpp"
#include "kernel/backward.hpp"
#include "kernel/forward.hpp"
#include "kernel/joint.hpp"
#include "kernel/row_constants.hpp"

namespace hone {
namespace {

template <class Act>
constexpr hone_activation_info describe(const char* name) {
    return {sizeof(hone_activation_info),
            name,
            Act::normaliser != Normaliser::none,
            Act::joint,
            Act::takes_sink,
            Act::takes_log_prior,
            Act::takes_shift,
            Act::takes_weight,
            Act::takes_softmax_n,
            0};
}

template <class T>
constexpr Tiles<T> tiles() {
    return {kTuning<T>,
            pack_keys<T>,
            pack_values<T>,
            attend<T>,
            join_splits<T>,
            join_heads<T>,
            row_constants<T>,
            backward_begin<T>,
            backward_step<T>,
            backward_end<T>,
            {add_rows<T, Join::store>, add_rows<T, Join::add>, add_rows<T, Join::compensate>}};
}

}  // namespace

extern constinit const Isa HONE_JOIN(isa_, HONE_ARCH);
constinit const Isa HONE_JOIN(isa_, HONE_ARCH) = {
    tiles<float>(),
    tiles<double>(),
    {
#define HONE_ACTIVATION(ENUMERATOR, name) describe<activation::name>(#name),
#include "hone/activations.def"
#undef HONE_ACTIVATION
    },
};

}  // namespace hone
