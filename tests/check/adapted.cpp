// adapted.cpp: what becomes of a spec without each of the words.
#include "tests/check/adapted.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace hone::test {
namespace {

void leave_out_empty(Spec& s) {
    // There are no offsets without a batch entry.
    if (s.batch == 0) s.query_offsets.clear(), s.key_offsets.clear();
    for (std::int64_t* extent : {&s.batch, &s.query_heads, &s.queries, &s.keys})
        *extent = std::max<std::int64_t>(*extent, 1);
    s.query_heads = std::max(s.query_heads, s.kv_heads);
}

void leave_out_causality(Spec& s) {
    s.bottom_right |= s.mask == Mask::bottom_right;
    s.mask = Mask::none;
    if (!s.window) s.bottom_right = false, s.diagonal_shift = 0;
}

void leave_out_strides(Spec& s) {
    s.bnhd = s.mixed = false;
    s.padding = 0;
    s.bool_mask.order = 0, s.bool_mask.negative = 0, s.bool_mask.padding = 0;
}

void leave_out_parameters(Spec& s) {
    s.sink = s.log_prior = s.shift = false;
    s.group_heads = 0, s.softmax_n = 1, s.weight = 0;
    s.gradients &= ~unsigned{WITH_PARAMETERS};
    if (s.gradients == 0) s.gradients = WITH_DQ;
}

std::vector<hone_activation> listed_activations(const bench::Implementation& implementation) {
    std::vector<hone_activation> listed;
    for (int a = 0; a < hone_activation_count(); ++a)
        if (const auto activation = static_cast<hone_activation>(a);
            implementation.supports(describe(activation).name))
            listed.push_back(activation);
    return listed;
}

// What another activation than the one that a spec was drawn for does not take.
void leave_out_what_does_not_apply(Spec& s, const hone_activation_info& info) {
    s.sink &= info.takes_sink != 0, s.log_prior &= info.takes_log_prior != 0;
    s.shift &= info.takes_shift != 0, s.dlse &= info.normalised != 0;
    if (!info.normalised) s.lse = true;
    if (!info.joint) s.group_heads = 0;
    if (!info.takes_softmax_n) s.softmax_n = 1;
    if (!info.takes_weight) s.weight = 0;
}

}  // namespace

Spec adapted(Spec s, const bench::Implementation& implementation) {
    const auto lacks = [&](const char* word) { return !implementation.supports(word); };
    if (lacks("empty")) leave_out_empty(s);
    if (lacks("grouped")) s.kv_heads = s.query_heads;
    if (lacks("value_dim")) s.value_dim = s.key_dim;
    if (lacks("window")) s.window.reset();
    if (lacks("causal")) leave_out_causality(s);
    if (lacks("mask")) s.bool_mask = {};
    if (lacks("lengths")) s.query_lengths.clear(), s.key_lengths.clear();
    if (lacks("ragged")) s.query_offsets.clear(), s.key_offsets.clear();
    if (lacks("strides")) leave_out_strides(s);
    if (lacks("broadcast")) s.share_q = s.share_k = s.share_v = s.share_dout = {};
    if (lacks("lse")) s.lse = s.dlse = false;
    if (lacks("parameters")) leave_out_parameters(s);
    if (lacks("subset"))
        s.gradients = lacks("parameters") ? WITH_DQ | WITH_DK | WITH_DV : unsigned{ALL_GRADIENTS};
    return s;
}

SearchProblem adapted(SearchProblem problem, const bench::Implementation& implementation) {
    if (!implementation.supports(describe(problem.activation).name)) {
        const std::vector<hone_activation> listed = listed_activations(implementation);
        problem.activation = listed[static_cast<std::size_t>(problem.activation) % listed.size()];
        leave_out_what_does_not_apply(problem.spec, describe(problem.activation));
    }
    if (!implementation.supports(problem.dtype == HONE_FLOAT32 ? "f32" : "f64"))
        problem.dtype = problem.dtype == HONE_FLOAT32 ? HONE_FLOAT64 : HONE_FLOAT32;
    problem.spec = adapted(problem.spec, implementation);
    return problem;
}

}  // namespace hone::test
