// unit.cpp: one ISA's table of tile functions. Compiled once per ISA, with that ISA's flags and
// -DHONE_ISA_UNIT=<its name>.
#include "all_activations.hpp"
#include "kernel/add.hpp"
#include "kernel/backward.hpp"
#include "kernel/delta.hpp"
#include "kernel/forward.hpp"
#include "kernel/joint.hpp"

namespace hone {
namespace {

template <class Act>
constexpr hone_activation_info describe(const char* name) {
    return {name,
            Act::normalised,
            Act::joint,
            Act::takes_sink,
            Act::takes_log_prior,
            Act::takes_shift,
            Act::takes_weight,
            Act::takes_softmax_n,
            {}};
}

template <class T>
constexpr Tiles<T> tiles() {
    return {
        kPanel<T>,
        kTileRows,
        share_keys<T>,
        share_values<T>,
        {
#define HONE_ACTIVATION(ENUMERATOR, name) forward_block<T, activation::name>,
#include "hone/activations.def"
#undef HONE_ACTIVATION
        },
        {
#define HONE_ACTIVATION(ENUMERATOR, name) join_chunks<T, activation::name>,
#include "hone/activations.def"
#undef HONE_ACTIVATION
        },
        join_heads<T>,
        {
#define HONE_ACTIVATION(ENUMERATOR, name) backward_rows<T, activation::name>,
#include "hone/activations.def"
#undef HONE_ACTIVATION
        },
        backward_begin<T>,
        {
#define HONE_ACTIVATION(ENUMERATOR, name) backward_step<T, activation::name>,
#include "hone/activations.def"
#undef HONE_ACTIVATION
        },
        backward_end<T>,
        {add_rows<T, Join::store>, add_rows<T, Join::add>, add_rows<T, Join::compensate>},
    };
}

}  // namespace

extern constinit const Unit HONE_JOIN(unit_, HONE_ISA_UNIT);
constinit const Unit HONE_JOIN(unit_, HONE_ISA_UNIT) = {
    tiles<float>(),
    tiles<double>(),
    {
#define HONE_ACTIVATION(ENUMERATOR, name) describe<activation::name>(#name),
#include "hone/activations.def"
#undef HONE_ACTIVATION
    },
};

}  // namespace hone
