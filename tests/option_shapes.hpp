// option_shapes.hpp: the part of the sweep in which the options vary that hide no key: parameters, lse, the
// size of the scores, and which gradients are asked for.
#pragma once

#include <string>
#include <vector>

#include "tests/options.hpp"

namespace hone::test {

// Adds changes of one causal spec with grouped heads.
class OptionVariants {
  public:
    explicit OptionVariants(std::vector<Spec>& specs) : specs_(specs) {}
    template <class Change>
    void operator()(const std::string& name, Change&& change) {
        specs_.push_back({.name = name,
                          .batch = 2,
                          .query_heads = 6,
                          .kv_heads = 2,
                          .queries = 29,
                          .keys = 31,
                          .key_dim = 17,
                          .value_dim = 11,
                          .mask = Mask::top_left});
        change(specs_.back());
    }

  private:
    std::vector<Spec>& specs_;
};

inline void add_parameters(std::vector<Spec>& specs) {
    OptionVariants add(specs);
    add("sink", [](Spec& s) { s.sink = s.quick = true; });
    add("sink_dlse", [](Spec& s) { s.sink = s.dlse = true; });
    add("sink_no_visible_key", [](Spec& s) {
        s.sink = s.dlse = true;
        s.mask = Mask::bottom_right;
        s.keys = 13;
    });
    add("sink_in_splits", [](Spec& s) {
        s.sink = s.dlse = true;
        s.mask = Mask::none;
        s.queries = 2;
        s.keys = 1037;
    });
    add("softmax_n_tiny", [](Spec& s) { s.softmax_n = 1e-30; });
    add("softmax_half", [](Spec& s) { s.softmax_n = 0.5; });
    add("softmax_3", [](Spec& s) { s.softmax_n = 3; });
    add("softmax_3_dlse", [](Spec& s) {
        s.softmax_n = 3;
        s.dlse = true;
    });
    add("log_prior", [](Spec& s) { s.log_prior = s.quick = true; });
    for (const int n : {1, 2, 3, 6}) {
        add("groups_of_" + std::to_string(n), [&](Spec& s) { s.group_heads = n; });
        add("groups_of_" + std::to_string(n) + "_sink_log_prior", [&](Spec& s) {
            s.group_heads = n;
            s.sink = s.log_prior = s.dlse = true;
        });
    }
    add("shift", [](Spec& s) { s.shift = s.quick = true; });
    add("shift_misaligned", [](Spec& s) {
        s.shift = true;
        s.offset = 1;
    });
    add("weight", [](Spec& s) { s.weight = 0.7; });
    add("negative_weight_shift", [](Spec& s) {
        s.weight = -1.3;
        s.shift = true;
    });
}

inline void add_lse(std::vector<Spec>& specs) {
    OptionVariants add(specs);
    add("dlse", [](Spec& s) { s.dlse = true; });
    add("dlse_no_visible_key", [](Spec& s) {
        s.dlse = true;
        s.mask = Mask::bottom_right;
        s.keys = 13;
    });
    add("without_lse", [](Spec& s) { s.lse = false; });
}

inline void add_scores(std::vector<Spec>& specs) {
    OptionVariants add(specs);
    add("scale", [](Spec& s) { s.scale = 0.3; });
    add("negative_scale", [](Spec& s) { s.scale = -0.3; });
    add("peaked", [](Spec& s) { s.amplitude = 8; });
    add("flat", [](Spec& s) { s.amplitude = 1e-3; });
}

inline void add_gradients(std::vector<Spec>& specs) {
    OptionVariants add(specs);
    add("only_dq", [](Spec& s) { s.gradients = WITH_DQ; });
    add("only_dk", [](Spec& s) { s.gradients = WITH_DK; });
    add("only_dv", [](Spec& s) { s.gradients = WITH_DV; });
    add("only_parameters", [](Spec& s) { s.gradients = WITH_PARAMETERS; });
    add("dk_dv", [](Spec& s) { s.gradients = WITH_DK | WITH_DV; });
}

}  // namespace hone::test
