// cases_sums_test.cpp: long sums keep their digits: over keys, over rows, over heads and over what an input
// is broadcast over. Constant inputs, whose sums are known in closed form, are the worst: a plain float32 sum
// of n equal terms loses up to n / 2^25 of itself.
#include <gtest/gtest.h>

#include <cmath>
#include <hone/hone.hpp>
#include <string>
#include <vector>

#include "tests/call.hpp"
#include "tests/effort.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

// Of the sum of the magnitudes of the terms.
constexpr double kTolerance = 6e-6;

// The last three are among the worst for a float32 sum that grows by them one at a time.
constexpr float kConstants[] = {1.0f, 0.3f, 0.1f, 1.306f, 1.97f, 1.98f};

std::int64_t long_extent() {
    return quick() ? 1 << 14 : 1 << 20;
}

Spec one_feature(std::int64_t queries, std::int64_t keys) {
    Spec spec = {.name = "sum", .queries = queries, .keys = keys, .key_dim = 1, .value_dim = 1};
    spec.scale = 1;
    return spec;
}

// A call whose tensors are filled with one number each: q, k, v and dout.
struct Constants {
    float q = 0, k = 0, v = 1, dout = 1;
};

Call<float> constant_call(const Spec& spec, hone_activation activation, Direction direction,
                          const Constants& c) {
    Call<float> call = make_call<float>(spec, activation, direction);
    call[Q].fill([&] { return c.q; });
    call[K].fill([&] { return c.k; });
    call[V].fill([&] { return c.v; });
    call[DOUT].fill([&] { return c.dout; });
    return call;
}

// o and lse are what forward gives.
void complete(Call<float>& call) {
    if (!call[LSE].present()) return;
    call.direction = Direction::forward;
    ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
    call.direction = Direction::backward;
}

// Runs the call on every implementation and expects each number of a result to be `expected`.
void expect_everywhere(Call<float>& input, Argument argument, double expected) {
    for (const std::string& isa : available_isas())
        for (const int threads : thorough() ? std::vector{1, 2, 3} : std::vector{2}) {
            SCOPED_TRACE(isa + ", " + std::to_string(threads) + " threads");
            Call<float> call = input;
            call.problem.isa = isa.c_str();
            call.problem.threads = threads;
            if (call.direction == Direction::backward) complete(call);
            ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
            double worst = 0;
            call[argument].for_each_row([&](auto, auto, auto, const float* x) {
                for (std::int64_t d = 0; d < call[argument].extents().features; ++d)
                    worst = std::max(worst, std::isnan(x[d]) ? HUGE_VAL : std::abs(x[d] - expected));
            });
            EXPECT_LE(worst, kTolerance * std::abs(expected))
                << argument_names[argument] << " should be " << expected;
        }
}

// ---- Over keys ----

TEST(SumsOverKeys, of_o_are_the_mean_of_equal_values) {
    for (const float v : kConstants)
        // Read in place, one block of rows, several blocks.
        for (const std::int64_t queries : {1, 17, 193}) {
            const std::int64_t keys =
                queries == 193 && !thorough() ? long_extent() / 8 + 3 : long_extent() + 3;
            SCOPED_TRACE(std::to_string(v) + ", " + std::to_string(queries) + " queries");
            const Spec spec = one_feature(queries, keys);
            Call<float> call = constant_call(spec, HONE_SOFTMAX, Direction::forward, {.v = v});
            expect_everywhere(call, O, v);
            if (queries == 193 && !thorough()) continue;
            Call<float> lse = constant_call(spec, HONE_SOFTPLUS, Direction::forward, {.q = v, .k = 1});
            expect_everywhere(lse, LSE,
                              std::log(static_cast<double>(keys) * std::log1p(std::exp(double{v}))));
        }
}

// Weights that are not normalised: w (s + b) with w = 1.
TEST(SumsOverKeys, of_o_without_a_normaliser) {
    for (const float c : kConstants)
        for (const std::int64_t queries : {1, 17}) {
            SCOPED_TRACE(std::to_string(c) + ", " + std::to_string(queries) + " queries");
            Spec spec = one_feature(queries, long_extent() + 1);
            spec.weight = 1;
            Call<float> call = constant_call(spec, HONE_LINEAR, Direction::forward, {.q = 0, .v = c});
            expect_everywhere(call, O, static_cast<double>(spec.keys) * c);
        }
}

Call<float> dq_call(std::int64_t queries, std::int64_t keys, float k) {
    Spec spec = one_feature(queries, keys);
    spec.weight = 1;
    spec.gradients = WITH_DQ;
    return constant_call(spec, HONE_LINEAR, Direction::backward, {.q = 1, .k = k});
}

TEST(SumsOverKeys, of_dq) {
    for (const float c : kConstants)
        for (const std::int64_t queries : {1, 17, 193}) {
            SCOPED_TRACE(std::to_string(c) + ", " + std::to_string(queries) + " queries");
            const std::int64_t keys = queries == 193 ? long_extent() / 8 + 1 : long_extent() + 1;
            Call<float> call = dq_call(queries, keys, c);
            expect_everywhere(call, DQ, static_cast<double>(keys) * c);
        }
}

// So many rows that each thread has some of its own: one sum for each, to which a thousand key blocks add.
TEST(SumsOverKeys, of_dq_for_many_rows) {
    if (quick()) GTEST_SKIP() << "takes long under a sanitizer or an emulator";
    const std::int64_t keys = long_extent() / 4 + 1;
    Call<float> call = dq_call(1601, keys, 1.97f);
    expect_everywhere(call, DQ, static_cast<double>(keys) * 1.97f);
}

// ---- Over rows, heads and batches ----

// Of all keys the weight is 1 / keys.
TEST(SumsOverRows, of_dv) {
    for (const float dout : kConstants)
        for (const std::int64_t keys : {1, 10, 17}) {
            SCOPED_TRACE(std::to_string(dout) + ", " + std::to_string(keys) + " keys");
            Spec spec = one_feature(long_extent(), keys);
            spec.gradients = WITH_DV;
            Call<float> call = constant_call(spec, HONE_SOFTMAX, Direction::backward, {.dout = dout});
            expect_everywhere(call, DV, static_cast<double>(spec.queries) * dout / static_cast<double>(keys));
        }
}

TEST(SumsOverRows, of_dv_over_the_heads_of_a_group) {
    for (const float dout : kConstants)
        for (const std::int64_t heads : {7, 32}) {
            SCOPED_TRACE(std::to_string(dout) + ", " + std::to_string(heads) + " heads");
            Spec spec = one_feature(quick() ? 512 : 4096, 1);
            spec.query_heads = heads;
            spec.gradients = WITH_DV;
            Call<float> call = constant_call(spec, HONE_SOFTMAX, Direction::backward, {.dout = dout});
            expect_everywhere(call, DV, static_cast<double>(spec.queries * heads) * dout);
        }
}

TEST(SumsOverRows, of_dk_and_dv_over_what_they_are_broadcast_over) {
    for (const float c : kConstants)
        for (const Shared& axes :
             {Shared{.batch = true}, Shared{.heads = true}, Shared{.rows = true}, Shared{true, true, true}}) {
            Spec spec = one_feature(quick() ? 40 : 400, 269);
            spec.batch = 5, spec.query_heads = 14, spec.kv_heads = 7;
            spec.share_k = spec.share_v = axes;
            spec.weight = 1;
            const std::int64_t terms =
                spec.queries * 2 * (axes.batch ? 5 : 1) * (axes.heads ? 7 : 1) * (axes.rows ? spec.keys : 1);
            SCOPED_TRACE(std::to_string(c) + ", " + std::to_string(terms) + " terms");
            const double sum = static_cast<double>(terms) * c;
            Call<float> call =
                constant_call(spec, HONE_LINEAR, Direction::backward, {.q = 1.306f, .k = 0, .dout = c});
            expect_everywhere(call, DK, sum * 1.306f);
            expect_everywhere(call, DV, sum);
        }
}

TEST(SumsOverRows, of_dk) {
    for (const float c : kConstants) {
        SCOPED_TRACE(c);
        Spec spec = one_feature(long_extent(), 3);
        spec.weight = 1;
        spec.gradients = WITH_DK;
        Call<float> call = constant_call(spec, HONE_LINEAR, Direction::backward, {.q = c, .v = 1.306f});
        expect_everywhere(call, DK, static_cast<double>(spec.queries) * c * 1.306f);
    }
}

TEST(SumsOverRows, of_dq_over_what_it_is_broadcast_over) {
    for (const float c : kConstants)
        for (const Shared& axes : {Shared{.rows = true}, Shared{.heads = true, .rows = true},
                                   Shared{true, true, true}, Shared{.batch = true, .heads = true}}) {
            Spec spec = one_feature(quick() ? 700 : 7001, 5);
            spec.batch = 3, spec.query_heads = 14, spec.kv_heads = 2;
            spec.share_q = axes;
            spec.weight = 1;
            spec.gradients = WITH_DQ;
            const std::int64_t terms =
                spec.keys * (axes.batch ? 3 : 1) * (axes.heads ? 14 : 1) * (axes.rows ? spec.queries : 1);
            SCOPED_TRACE(std::to_string(c) + ", " + std::to_string(terms) + " terms");
            Call<float> call =
                constant_call(spec, HONE_LINEAR, Direction::backward, {.q = 1, .k = c, .v = 1.306f});
            expect_everywhere(call, DQ, static_cast<double>(terms) * c * 1.306f);
        }
}

// ---- The gradients of parameters ----

TEST(SumsOfParameters, of_the_shift) {
    for (const float c : kConstants)
        for (const std::int64_t keys : {1, 3}) {
            SCOPED_TRACE(std::to_string(c) + ", " + std::to_string(keys) + " keys");
            Spec spec = one_feature(long_extent(), keys);
            spec.weight = 1;
            spec.gradients = WITH_PARAMETERS;
            Call<float> call =
                constant_call(spec, HONE_LINEAR, Direction::backward, {.q = 1, .v = c, .dout = 1.306f});
            expect_everywhere(call, DSHIFT, static_cast<double>(spec.queries * keys) * c * 1.306f);
        }
}

// Two heads, of which the gradient of one is 0: delta is half of the other's dp.
TEST(SumsOfParameters, of_the_log_prior) {
    for (const float c : kConstants)
        for (const std::int64_t keys : {1, 1000}) {
            SCOPED_TRACE(std::to_string(c) + ", " + std::to_string(keys) + " keys");
            Spec spec = one_feature(long_extent() / keys, keys);
            spec.query_heads = 2;
            spec.gradients = WITH_PARAMETERS;
            Call<float> call = constant_call(spec, HONE_BAYES_SOFTMAX, Direction::backward, {.v = c});
            for (std::int64_t i = 0; i < spec.queries; ++i) *call[DOUT].row(0, 1, i) = 0;
            call[DLOG_PRIOR] = Tensor<float>({1, 1, 1, 2}, {});
            for (const std::string& isa : available_isas()) {
                Call<float> got = call;
                got.problem.isa = isa.c_str();
                complete(got);
                ASSERT_EQ(run(got), HONE_OK) << hone_last_error();
                const double expected = static_cast<double>(spec.queries) * c / 4;
                for (int h = 0; h < 2; ++h)
                    EXPECT_NEAR(got[DLOG_PRIOR].data()[h], h == 0 ? expected : -expected,
                                kTolerance * 3 * expected)
                        << isa << ", head " << h;
            }
        }
}

// A row without keys: the sink takes all the weight, and the gradient of the lse.
TEST(SumsOfParameters, of_the_sink) {
    for (const float c : kConstants) {
        SCOPED_TRACE(c);
        Spec spec = one_feature(long_extent(), 0);
        spec.sink = spec.dlse = true;
        Call<float> call = constant_call(spec, HONE_SOFTMAX, Direction::backward, {});
        call[SINK].fill([] { return 0.5f; });
        call[DLSE].fill([&] { return c; });
        expect_everywhere(call, DSINK, static_cast<double>(spec.queries) * c);
    }
}

// The sum of 1.0f that stops to grow: 2^24 + 1 is no float32. q and dout are one row, in memory, for all.
TEST(SumsOfParameters, beyond_two_to_the_24) {
    if (quick()) GTEST_SKIP() << "takes long under a sanitizer or an emulator";
    constexpr std::int64_t queries = 20000000;
    for (const std::string& isa : available_isas()) {
        if (!thorough() && isa != hone_isa_active()) continue;
        const Problem p = {.activation = HONE_LINEAR,
                           .queries = queries,
                           .keys = 1,
                           .key_dim = 1,
                           .value_dim = 1,
                           .scale = 1,
                           .weight = 1,
                           .threads = 2,
                           .isa = isa.c_str()};
        float one = 1, zero = 0, dv = 0, dshift[] = {0};
        Backward call;
        call.q = strided(&zero, 0, 0, 0);
        call.k = call.v = call.dout = strided(&one, 0, 0, 0);
        call.dv = strided(&dv, 0, 0, 0);
        call.dshift = dshift;
        backward(p, call);
        EXPECT_EQ(dv, queries) << isa;
        EXPECT_EQ(dshift[0], queries) << isa;
    }
}

}  // namespace
}  // namespace hone::test
