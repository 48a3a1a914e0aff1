// veneer_test.cpp: what hone.hpp adds to hone.h: arrays that know their length and type, and the type of a
// call.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <hone/hone.hpp>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace hone::test {
namespace {

// The arrays of a call in C++ know how long they are.
TEST(Veneer, arrays_of_another_length_or_type_are_refused_by_name) {
    std::vector<float> x(2 * 3, 1.0f), o(2 * 3), three(3, 1.0f), two(2, 1.0f), lse(2);
    std::vector<double> doubles(2, 1.0);
    const Problem problem = {
        .query_heads = 2, .kv_heads = 2, .queries = 1, .keys = 1, .key_dim = 3, .value_dim = 3};
    Forward call = {.q = bhnd(x.data(), 2, 1, 3),
                    .k = bhnd(x.data(), 2, 1, 3),
                    .v = bhnd(x.data(), 2, 1, 3),
                    .o = bhnd(o.data(), 2, 1, 3)};
    const auto refusal = [&]() -> std::string {
        try {
            forward(problem, call);
        } catch (const Error& error) {
            EXPECT_EQ(error.status(), HONE_INVALID_ARGUMENT);
            return error.what();
        }
        return "";
    };
    call.sink = three;
    EXPECT_EQ(refusal(), "sink: has 3 elements; should have 2");
    call.sink = doubles;
    EXPECT_EQ(refusal(), "sink: has another type; should have floats");
    call.sink = two;
    call.lse = three;
    EXPECT_EQ(refusal(), "lse: has 3 elements; should have 2");
    call.lse = lse;
    EXPECT_EQ(refusal(), "");
    call.k = strided(doubles.data(), 0, 0, 0);
    EXPECT_NE(refusal().find("k.dtype"), std::string::npos) << refusal();
}

// Heads that share a normaliser share a sink and an L.
TEST(Veneer, arrays_of_a_joint_call_count_its_groups) {
    std::vector<float> x(6 * 3, 1.0f), dx(6 * 3), two(2, 1.0f), three(3), six(6, 1.0f);
    const Problem problem = {.activation = HONE_BAYES_SOFTMAX,
                             .query_heads = 6,
                             .kv_heads = 6,
                             .queries = 1,
                             .keys = 1,
                             .key_dim = 3,
                             .value_dim = 3,
                             .group_heads = 3};
    const View in = bhnd(x.data(), 6, 1, 3);
    const Backward right = {.q = in,
                            .k = in,
                            .v = in,
                            .o = in,
                            .dout = in,
                            .sink = two,
                            .log_prior = six,
                            .lse = two,
                            .dlse = two,
                            .dq = bhnd(dx.data(), 6, 1, 3)};
    const auto refusal_with = [&](auto change) -> std::string {
        Backward call = right;
        change(call);
        try {
            backward(problem, call);
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(refusal_with([](Backward&) {}), "");
    EXPECT_EQ(refusal_with([&](Backward& b) { b.sink = three; }), "sink: has 3 elements; should have 2");
    EXPECT_EQ(refusal_with([&](Backward& b) { b.lse = six; }), "lse: has 6 elements; should have 2");
    EXPECT_EQ(refusal_with([&](Backward& b) { b.dlse = six; }), "dlse: has 6 elements; should have 2");
    EXPECT_EQ(refusal_with([&](Backward& b) { b.dsink = six; }), "dsink: has 6 elements; should have 2");
    EXPECT_EQ(refusal_with([&](Backward& b) { b.log_prior = two; }),
              "log_prior: has 2 elements; should have 6");
    EXPECT_EQ(refusal_with([&](Backward& b) { b.dlog_prior = three; }),
              "dlog_prior: has 3 elements; should have 6");
}

// The library itself says which extent is wrong.
TEST(Veneer, arrays_are_not_counted_where_extents_are_wrong) {
    std::vector<float> one(1, 1.0f);
    const auto refusal = [&](const Problem& problem) -> std::string {
        try {
            forward(problem, {.q = bhnd(one.data(), 1, 1, 1), .lse = one});
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    constexpr std::int64_t huge = std::int64_t{1} << 62, least = std::numeric_limits<std::int64_t>::min();
    Problem problem = {.queries = 1, .keys = 1, .key_dim = 1, .value_dim = 1};
    for (const std::int64_t wrong : {huge, least, std::int64_t{-1}})
        for (const auto& [extent, name] :
             {std::pair(&Problem::queries, "queries"), std::pair(&Problem::batch, "batch"),
              std::pair(&Problem::query_heads, "query_heads"), std::pair(&Problem::keys, "keys")}) {
            Problem changed = problem;
            changed.*extent = wrong;
            EXPECT_EQ(refusal(changed).find(name), 0u) << refusal(changed);
        }
    problem.activation = HONE_BAYES_SOFTMAX, problem.group_heads = least;
    EXPECT_EQ(refusal(problem).find("group_heads"), 0u) << refusal(problem);
}

// A temporary that owns its elements would be gone before the call.
static_assert(!std::is_constructible_v<ConstArray, std::vector<float>>);
static_assert(!std::is_constructible_v<Array, std::vector<float>>);
static_assert(!std::is_constructible_v<ConstIntegers, std::vector<std::int64_t>>);
static_assert(std::is_constructible_v<ConstIntegers, const std::vector<std::int32_t>&>);
static_assert(std::is_constructible_v<ConstArray, std::vector<float>&>);
static_assert(std::is_constructible_v<ConstArray, std::span<const double>>);
static_assert(std::is_constructible_v<Array, std::span<double>>);
static_assert(!std::is_constructible_v<Array, std::span<const double>>);
static_assert(!std::is_constructible_v<Array, const std::vector<float>&>);

// Two sequences, of 1 and of 2 tokens, packed; and the same padded.
TEST(Veneer, lengths_offsets_windows_and_masks_reach_the_library) {
    std::vector<float> x = {1, 2, 3}, padded = {1, 0, 2, 3}, o(3), o_padded(4), wrong(2), lse(3);
    const std::vector<std::int32_t> offsets = {0, 1, 3}, few = {0, 1};
    const std::vector<std::int64_t> lengths = {1, 2};
    const auto view = [](std::vector<float>& t) { return bnhd(t.data(), 1, 2, 1); };
    Problem ragged = {.batch = 2, .queries = 2, .keys = 2, .key_dim = 1, .value_dim = 1, .scale = 1e-30};
    ragged.query_offsets = ragged.key_offsets = offsets;
    ragged.total_queries = ragged.total_keys = 3;
    const Forward packed = {.q = view(x), .k = view(x), .v = view(x), .o = view(o), .lse = lse};
    forward(ragged, packed);
    EXPECT_EQ(o, (std::vector<float>{1, 2.5, 2.5}));
    ragged.window = Window{.left = 0, .right = 0};
    forward(ragged, packed);
    EXPECT_EQ(o, x);
    const bool others[] = {true, false, true, false, true, true};
    ragged.window = {};
    Forward masked = packed;
    masked.mask = bhqk(others, 1, 1, 1, 2);
    forward(ragged, masked);
    EXPECT_EQ(o, (std::vector<float>{1, 2, 2}));
    Problem by_lengths = {.batch = 2, .queries = 2, .keys = 2, .key_dim = 1, .value_dim = 1, .scale = 1e-30};
    by_lengths.query_lengths = by_lengths.key_lengths = lengths;
    forward(by_lengths, {.q = view(padded), .k = view(padded), .v = view(padded), .o = view(o_padded)});
    EXPECT_EQ(o_padded, (std::vector<float>{1, 0, 2.5, 2.5}));
    const auto refusal = [&](const Problem& problem, const Forward& call) -> std::string {
        try {
            forward(problem, call);
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    Forward short_lse = packed;
    short_lse.lse = wrong;
    EXPECT_EQ(refusal(ragged, short_lse), "lse: has 2 elements; should have 3");
    ragged.key_offsets = few;
    EXPECT_EQ(refusal(ragged, packed), "key_offsets: has 2 elements; should have 3");
    ragged.key_offsets = ConstIntegers::later();
    EXPECT_EQ(refusal(ragged, packed),
              "key_offsets: is NULL; should point to its integers, as flags has "
              "HONE_RAGGED_KEYS");
    EXPECT_GT(workspace_bytes(ragged, packed), 0u);
}

TEST(Veneer, computes_in_the_type_of_q) {
    const std::vector<double> q = {1}, k = {0, 1}, v = {2, 6}, sink = {0.5};
    std::vector<double> o(1), lse(1);
    forward({.queries = 1, .keys = 2, .key_dim = 1, .value_dim = 1}, {.q = bhnd(q.data(), 1, 1, 1),
                                                                      .k = bhnd(k.data(), 1, 2, 1),
                                                                      .v = bhnd(v.data(), 1, 2, 1),
                                                                      .o = bhnd(o.data(), 1, 1, 1),
                                                                      .sink = sink,
                                                                      .lse = lse});
    const double sum = std::exp(0.5) + 1 + std::exp(1);
    EXPECT_NEAR(o[0], (2 + 6 * std::exp(1)) / sum, 1e-14);
    EXPECT_NEAR(lse[0], std::log(sum), 1e-14);
}

}  // namespace
}  // namespace hone::test
