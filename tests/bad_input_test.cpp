// bad_input_test.cpp: every wrong argument gives a status and a sentence that names it; nothing is written.
#include <gtest/gtest.h>

#include <cstdint>
#include <hone/hone.hpp>
#include <initializer_list>
#include <regex>
#include <string>
#include <vector>

#include "tests/accuracy.hpp"
#include "tests/bad_visibility_cases.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

const Spec kSpec = {.name = "bad_input",
                    .batch = 2,
                    .query_heads = 4,
                    .kv_heads = 2,
                    .queries = 5,
                    .keys = 7,
                    .key_dim = 8,
                    .value_dim = 6};

// A right call, before it is changed.
struct Fixture {
    Fixture(hone_activation activation, Direction direction)
        : call(make_call<float>(kSpec, activation, direction)) {
        compute_o_and_lse(call);
    }
    Arguments arguments() { return {call.problem, call.forward_args(), call.backward_args()}; }

    hone_status run(Arguments& a) {
        const hone_problem* problem = a.problem_pointer ? &a.problem : nullptr;
        if (call.direction == Direction::forward)
            return hone_forward(problem, a.null_args ? nullptr : &a.forward);
        return hone_backward(problem, a.null_args ? nullptr : &a.backward);
    }

    Call<float> call;
};

bool names(const std::string& sentence, const std::string& word) {
    return std::regex_search(sentence, std::regex("\\b" + word + "\\b"));
}

class BadInput : public testing::TestWithParam<Bad> {};

TEST_P(BadInput, is_named_and_nothing_is_written) {
    const Bad& bad = GetParam();
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        if (!(bad.where & (direction == Direction::forward ? FORWARD : BACKWARD))) continue;
        Fixture fixture(bad.activation, direction);
        Call<float> before = fixture.call;
        std::fill(std::begin(spare), std::end(spare), 1.0f);
        Arguments a = fixture.arguments();
        bad.change(a);
        EXPECT_EQ(fixture.run(a), bad.status);
        EXPECT_TRUE(names(hone_last_error(), bad.word))
            << "\"" << hone_last_error() << "\" has no " << bad.word;
        for (int argument = 0; argument < ARGUMENTS; ++argument)
            EXPECT_TRUE(fixture.call.tensors[argument].same_bytes(before.tensors[argument]))
                << argument_names[argument];
        for (const float x : spare) ASSERT_EQ(x, 1.0f);
    }
}

std::string bad_name(const testing::TestParamInfo<Bad>& info) {
    return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Problem, BadInput, testing::ValuesIn(bad_problems()), bad_name);
INSTANTIATE_TEST_SUITE_P(Visibility, BadInput, testing::ValuesIn(bad_visibility()), bad_name);
INSTANTIATE_TEST_SUITE_P(Forward, BadInput, testing::ValuesIn(bad_forward_arguments()), bad_name);
INSTANTIATE_TEST_SUITE_P(Backward, BadInput, testing::ValuesIn(bad_backward_arguments()), bad_name);

TEST(GoodInput, that_the_bad_calls_start_from_is_accepted) {
    for (int activation = 0; activation < hone_activation_count(); ++activation)
        for (const Direction direction : {Direction::forward, Direction::backward}) {
            Fixture fixture(static_cast<hone_activation>(activation), direction);
            Arguments a = fixture.arguments();
            EXPECT_EQ(fixture.run(a), HONE_OK) << hone_last_error();
        }
}

TEST(GoodInput, windows_lengths_offsets_and_masks_that_the_bad_ones_are_changed_from) {
    for (const auto& change : std::initializer_list<void (*)(Arguments&)>{
             [](Arguments& a) { a.problem.flags = HONE_WINDOW, a.problem.window_left = -1; },
             [](Arguments& a) { a.problem.flags = HONE_WINDOW, a.problem.window_right = INT64_MAX; },
             [](Arguments& a) { set_key_lengths<7, 0>(a), set_query_lengths<0, 5>(a); },
             [](Arguments& a) { set_query_offsets<0, 3, 5>(a), set_key_offsets<2, 2, 7>(a); },
             [](Arguments& a) { set_key_offsets<0, 4, 7>(a), set_key_lengths<4, 3>(a); },
             [](Arguments& a) { set_mask(a, 2, 4, 5, 7); }, [](Arguments& a) { set_mask(a, 1, 1, 1, 1); },
             [](Arguments& a) { set_mask(a, 0, 0, 0, 0); }})
        for (const Direction direction : {Direction::forward, Direction::backward}) {
            Fixture fixture(HONE_SOFTMAX, direction);
            Arguments a = fixture.arguments();
            change(a);
            EXPECT_EQ(fixture.run(a), HONE_OK) << hone_last_error();
        }
}

TEST(GoodInput, stride_0_on_an_axis_of_extent_1_is_no_broadcast) {
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        Call<float> call =
            make_call<float>({.name = "ones", .queries = 1, .keys = 1}, HONE_SOFTMAX, direction);
        compute_o_and_lse(call);
        Arguments a = {call.problem, call.forward_args(), call.backward_args()};
        a.forward.o.batch_stride = a.forward.o.head_stride = a.forward.o.row_stride = 0;
        a.backward.dq = tensor_at(a.backward.dq.data, 0, 0, 0);
        a.backward.dk = tensor_at(a.backward.dk.data, 0, 0, 0);
        const hone_status status = direction == Direction::forward ? hone_forward(&a.problem, &a.forward)
                                                                   : hone_backward(&a.problem, &a.backward);
        EXPECT_EQ(status, HONE_OK) << hone_last_error();
    }
}

TEST(GoodInput, gradients_and_lse_that_are_not_wanted_may_be_all_zero_bytes) {
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        Fixture fixture(HONE_SOFTMAX, direction);
        Arguments a = fixture.arguments();
        a.forward.lse = nullptr;
        a.backward.dq = a.backward.dk = {};
        EXPECT_EQ(fixture.run(a), HONE_OK) << hone_last_error();
    }
}

TEST(BadInput, workspace_query_without_a_place_for_the_answer) {
    Fixture fixture(HONE_SOFTMAX, Direction::forward);
    Arguments a = fixture.arguments();
    EXPECT_EQ(hone_forward_workspace(&a.problem, &a.forward, nullptr), HONE_INVALID_ARGUMENT);
    EXPECT_TRUE(names(hone_last_error(), "bytes")) << hone_last_error();
    EXPECT_EQ(hone_backward_workspace(&a.problem, &a.backward, nullptr), HONE_INVALID_ARGUMENT);
    EXPECT_TRUE(names(hone_last_error(), "bytes")) << hone_last_error();
}

TEST(BadInput, workspace_query_checks_the_call_too) {
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        Fixture fixture(HONE_SOFTMAX, direction);
        fixture.call.problem.keys = -1;
        std::size_t bytes = 77;
        EXPECT_EQ(workspace_bytes(fixture.call, &bytes), HONE_INVALID_ARGUMENT);
        EXPECT_TRUE(names(hone_last_error(), "keys")) << hone_last_error();
        EXPECT_EQ(bytes, 77u);
    }
}

Arguments without_tensors() {
    return {small_problem(), no_forward_args(), no_backward_args()};
}

// What is no mistake: a gradient of no elements, whatever its strides.
TEST(BadInput, gradients_without_elements_are_taken) {
    Arguments a = without_tensors();
    a.problem.batch = a.problem.query_heads = a.problem.kv_heads = 2;
    a.problem.keys = 0;
    float q[4] = {}, o[4] = {}, lse[4] = {}, dk[1] = {};
    a.backward.q = a.backward.o = hone_const_bhnd(q, 2, 1, 1);
    a.backward.dout = hone_const_bhnd(o, 2, 1, 1);
    a.backward.lse = lse;
    a.backward.k = a.backward.v = hone_const_bnhd(nullptr, 2, 0, 1);
    a.backward.dk = hone_bhnd(dk, 2, 0, 1);
    EXPECT_EQ(hone_backward(&a.problem, &a.backward), HONE_OK) << hone_last_error();
}

TEST(BadInput, more_threads_than_could_be_started_are_taken_as_fewer) {
    Arguments a = without_tensors();
    a.problem.batch = 100000;
    a.problem.threads = 2147483647;
    a.forward.q = a.forward.k = a.forward.v = hone_const_bhnd(spare, 1, 1, 1);
    a.forward.o = hone_bhnd(spare + 128, 1, 1, 1);
    std::size_t bytes = 0;
    EXPECT_EQ(hone_forward_workspace(&a.problem, &a.forward, &bytes), HONE_OK) << hone_last_error();
    a.problem.threads = 1024;
    std::size_t most = 0;
    EXPECT_EQ(hone_forward_workspace(&a.problem, &a.forward, &most), HONE_OK) << hone_last_error();
    EXPECT_EQ(bytes, most);
}

TEST(BadInput, workspace_query_needs_no_tensors) {
    Arguments a = without_tensors();
    std::size_t bytes = 0;
    EXPECT_EQ(hone_forward_workspace(&a.problem, &a.forward, &bytes), HONE_OK) << hone_last_error();
    EXPECT_GT(bytes, 0u);
    EXPECT_EQ(hone_backward_workspace(&a.problem, &a.backward, &bytes), HONE_OK) << hone_last_error();
    EXPECT_EQ(hone_forward(&a.problem, &a.forward), HONE_INVALID_ARGUMENT);
}

TEST(BadInput, one_byte_of_workspace_too_few) {
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        Fixture fixture(HONE_SOFTMAX, direction);
        std::size_t bytes = 0;
        ASSERT_EQ(workspace_bytes(fixture.call, &bytes), HONE_OK) << hone_last_error();
        ASSERT_GT(bytes, 0u);
        std::vector<std::byte> memory(bytes);
        fixture.call.workspace = std::span(memory).first(bytes - 1);
        EXPECT_EQ(run(fixture.call), HONE_INVALID_ARGUMENT);
        EXPECT_TRUE(names(hone_last_error(), "workspace_bytes")) << hone_last_error();
    }
}

TEST(BadInput, isa_that_this_machine_does_not_run) {
    bool found = false;
    for (std::int32_t i = 0; i < hone_isa_count(); ++i) {
        if (hone_isa_available(i)) continue;
        found = true;
        Fixture fixture(HONE_SOFTMAX, Direction::forward);
        fixture.call.problem.isa = hone_isa_name(i);
        EXPECT_EQ(run(fixture.call), HONE_UNSUPPORTED);
        EXPECT_TRUE(names(hone_last_error(), "isa")) << hone_last_error();
    }
    if (!found) GTEST_SKIP() << "this machine runs all implementations of this build";
}

TEST(BadInput, exception_carries_the_same_sentence) {
    const Problem problem = {.queries = 1, .keys = -1, .key_dim = 1, .value_dim = 1};
    hone_problem p = small_problem();
    p.keys = -1;
    const hone_forward_args a = no_forward_args();
    ASSERT_EQ(hone_forward(&p, &a), HONE_INVALID_ARGUMENT);
    const std::string sentence = hone_last_error();
    const auto expect_thrown = [&](auto&& call) {
        try {
            call();
            ADD_FAILURE() << "nothing was thrown";
        } catch (const Error& error) {
            EXPECT_EQ(error.what(), sentence);
            EXPECT_EQ(error.status(), HONE_INVALID_ARGUMENT);
        }
    };
    expect_thrown([&] { forward(problem, {}); });
    expect_thrown([&] { backward(problem, {}); });
    expect_thrown([&] { workspace_bytes(problem, Forward{}); });
    expect_thrown([&] { workspace_bytes(problem, Backward{}); });
}

}  // namespace
}  // namespace hone::test
