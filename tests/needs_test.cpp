// needs_test.cpp: each word of hone/implementation.h is needed by what it stands for, and by nothing else;
// and what a library may leave behind.
#include <gtest/gtest.h>

#include <cfenv>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "bench/implementation.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

// A change of a call that needs no word but those of its direction, type and activation; and the words that
// this makes it need.
struct Change {
    const char* name;
    std::function<void(Spec&)> change;
    std::vector<std::string> forward, backward;
    hone_activation activation = HONE_SOFTMAX;
};

void PrintTo(const Change& change, std::ostream* out) {
    *out << change.name;
}

// The same words in both directions.
Change both(const char* name, const std::vector<std::string>& words, std::function<void(Spec&)> change,
            hone_activation activation = HONE_SOFTMAX) {
    return {name, std::move(change), words, words, activation};
}

std::vector<Change> changes() {
    return {
        both("nothing", {}, [](Spec&) {}),
        both("one_of_each", {}, [](Spec& s) { s.batch = s.query_heads = s.kv_heads = s.queries = 1; }),
        both("alignment", {}, [](Spec& s) { s.bottom_right = true; }),
        both("scale", {}, [](Spec& s) { s.scale = 0.3; }),
        both("misaligned", {}, [](Spec& s) { s.offset = 1; }),
        both("no_keys", {"empty"}, [](Spec& s) { s.keys = 0; }),
        both("no_batch", {"empty"}, [](Spec& s) { s.batch = 0; }),
        both("heads", {"grouped"}, [](Spec& s) { s.kv_heads = 1; }),
        both("dims", {"value_dim"}, [](Spec& s) { s.value_dim = 3; }),
        both("bnhd", {"strides"}, [](Spec& s) { s.bnhd = true; }),
        both("padded", {"strides"}, [](Spec& s) { s.padding = 1; }),
        both("shared_keys", {"broadcast"}, [](Spec& s) { s.share_k = {.heads = true}; }),
        both("shared_rows", {"broadcast"}, [](Spec& s) { s.share_q = {.rows = true}; }),
        both("causal", {"causal"}, [](Spec& s) { s.mask = Mask::top_left; }),
        both("window", {"window"},
             [](Spec& s) {
                 s.window = {2, 1};
             }),
        both("mask", {"mask"}, [](Spec& s) { s.bool_mask.shows = Shows::some_keys; }),
        both("mask_of_all_heads", {"mask"},
             [](Spec& s) { s.bool_mask = {.shows = Shows::some_keys, .one_head = true}; }),
        both(
            "mask_by_strides_of_0", {"mask"},
            [](Spec& s) { s.bool_mask = {.shows = Shows::some_keys, .one_batch = true, .by_stride = true}; }),
        both("mask_transposed", {"strides", "mask"},
             [](Spec& s) { s.bool_mask = {.shows = Shows::some_keys, .order = 1}; }),
        both("key_lengths", {"lengths"},
             [](Spec& s) {
                 s.key_lengths = {3, 7};
             }),
        both("query_lengths", {"lengths"},
             [](Spec& s) {
                 s.query_lengths = {5, 0};
             }),
        both("ragged_keys", {"ragged"},
             [](Spec& s) {
                 make_keys_ragged(s, {3, 7});
             }),
        both("ragged_queries", {"ragged"},
             [](Spec& s) {
                 make_queries_ragged(s, {5, 2});
             }),
        both("ragged_bnhd", {"strides", "ragged"},
             [](Spec& s) {
                 make_queries_ragged(s, {5, 2}), s.bnhd = true;
             }),
        {"lse", [](Spec& s) { s.lse = true; }, {"lse"}, {}},
        {"dlse", [](Spec& s) { s.dlse = true; }, {}, {"lse"}},
        both("sink", {"parameters"}, [](Spec& s) { s.sink = true, s.gradients |= WITH_PARAMETERS; }),
        both(
            "softmax_n", {"parameters"}, [](Spec& s) { s.softmax_n = 3; }, HONE_SOFTMAX_1),
        both(
            "groups", {"parameters"}, [](Spec& s) { s.group_heads = 1; }, HONE_BAYES_SOFTMAX),
        both(
            "one_group", {}, [](Spec& s) { s.group_heads = 2; }, HONE_BAYES_SOFTMAX),
        both(
            "weight", {"parameters"}, [](Spec& s) { s.weight = 0.7; }, HONE_RELU),
        {"default_shift", [](Spec& s) { s.gradients |= WITH_PARAMETERS; }, {}, {"parameters"}, HONE_SIGMOID},
        {"without_dsink", [](Spec& s) { s.sink = true; }, {"parameters"}, {"parameters", "subset"}},
        {"only_dq", [](Spec& s) { s.gradients = WITH_DQ; }, {}, {"subset"}},
        {"without_dk", [](Spec& s) { s.gradients = WITH_DQ | WITH_DV; }, {}, {"subset"}},
    };
}

class Needs : public testing::TestWithParam<Change> {};

TEST_P(Needs, are_what_a_call_makes_use_of) {
    const Change& change = GetParam();
    Spec spec = {.name = "needs", .batch = 2, .query_heads = 2, .kv_heads = 2};
    spec.lse = false;
    spec.gradients = WITH_DQ | WITH_DK | WITH_DV;
    change.change(spec);
    const std::string activation = describe(change.activation).name;
    std::vector<std::string> forward = {"forward", "f32", activation},
                             backward = {"backward", "f64", activation};
    forward.insert(forward.end(), change.forward.begin(), change.forward.end());
    backward.insert(backward.end(), change.backward.begin(), change.backward.end());

    Call<float> f32 = make_call<float>(spec, change.activation, Direction::forward);
    Call<double> f64 = make_call<double>(spec, change.activation, Direction::backward);
    EXPECT_EQ(bench::needs(f32.problem, f32.forward_args()), forward);
    EXPECT_EQ(bench::needs(f64.problem, f64.backward_args()), backward);

    const bench::Implementation hone;
    EXPECT_EQ(hone.lacks(f32.problem, f32.forward_args()), "");
    EXPECT_EQ(hone.lacks(f64.problem, f64.backward_args()), "");
}

INSTANTIATE_TEST_SUITE_P(Every, Needs, testing::ValuesIn(changes()),
                         [](const auto& info) { return info.param.name; });

TEST(KeptEnvironment, rounds_as_before) {
    {
        const bench::KeptEnvironment kept;
        ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
    }
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

}  // namespace
}  // namespace hone::test
