// families.cpp: the list of families.
#include "tests/check/families.hpp"

#include "tests/shapes.hpp"

namespace hone::test {
namespace {

// Near the ends of float32's range, where a sum or an exponential may overflow or vanish.
void add_large_and_tiny_scores(std::vector<Spec>& specs) {
    OptionVariants add(specs);
    const auto add_size = [&](const char* name, auto&& change) {
        add(name, [&](Spec& s) {
            s.grid = false;
            change(s);
        });
    };
    add_size("scores_large", [](Spec& s) { s.amplitude = 40; });
    add_size("scores_tiny", [](Spec& s) { s.amplitude = 1e-20; });
    add_size("values_large", [](Spec& s) { s.size_v = 1e20, s.size_dout = 1e-20; });
    add_size("values_tiny", [](Spec& s) { s.size_v = 1e-25; });
}

}  // namespace

std::vector<Family> families() {
    std::vector<Family> list;
    const auto add = [&](const char* name, const char* word, auto... fill) {
        list.push_back({name, word, {}});
        (fill(list.back().specs), ...);
    };
    add("extents", "", add_extents);
    add("scores", "", add_scores, add_large_and_tiny_scores);
    for (Spec& spec : list.back().specs) spec.mask = Mask::none;
    add("lse", "lse", add_lse);
    add("grouped", "grouped", add_heads);
    add("causality", "causal", add_masks);
    for (Spec& spec : list.back().specs) spec.nan_unseen = true;
    add("windows", "window", add_windows);
    add("masks", "mask", add_boolean_masks);
    add("lengths", "lengths", add_lengths);
    add("ragged", "ragged", add_ragged);
    add("layouts", "strides", add_layouts);
    add("broadcast", "broadcast", add_broadcasts);
    add("parameters", "parameters", add_parameters);
    add("gradients", "subset", add_gradients);
    return list;
}

}  // namespace hone::test
