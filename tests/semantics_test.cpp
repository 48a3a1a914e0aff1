// semantics_test.cpp: what hone promises where others disagree: rows without keys, extremes, joint
// normalisation, and the defaults that count visible keys.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <hone/hone.hpp>
#include <limits>
#include <string>

#include "tests/every.hpp"
#include "tests/expect.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Semantics : public KernelTest {
  protected:
    template <class T>
    Call<T> call_of(const Spec& spec, Direction direction) {
        Call<T> call = make_call<T>(spec, GetParam().activation, direction);
        call.problem.isa = GetParam().isa.c_str();
        return call;
    }

    template <class T>
    Call<T> forward(const Spec& spec) {
        Call<T> call = call_of<T>(spec, Direction::forward);
        EXPECT_EQ(run(call), HONE_OK) << hone_last_error();
        return call;
    }

    // Runs the call and compares it with the truth.
    template <class T>
    void expect_truth(const Call<T>& input) {
        Truth<T> truth(input);
        Call<T> call = truth.input;
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        expect_accurate(call, truth);
    }
};

INSTANTIATE_TEST_SUITE_P(Every, Semantics, testing::ValuesIn(every_kernel()), kernel_name);

// Queries 0 to 3 see no key, queries 4 to 6 see 1 to 3 keys.
const Spec kTall = {.name = "tall",
                    .batch = 2,
                    .query_heads = 4,
                    .kv_heads = 2,
                    .queries = 7,
                    .keys = 3,
                    .mask = Mask::bottom_right};
constexpr std::int64_t kBlind = 4;

TEST_P(Semantics, row_without_keys_gives_zero_and_the_log_of_what_else_takes_weight) {
    with_scalar([&]<class T>(T) {
        for (const double n : {1.0, 0.25, 3.0})
            for (const bool sink : {false, true}) {
                Spec spec = kTall;
                spec.softmax_n = n;
                spec.sink = sink;
                if (!applies(spec, info)) continue;
                Call<T> call = forward<T>(spec);
                call[O].for_each_row([&](auto, auto, std::int64_t i, const T* o) {
                    for (std::int64_t d = 0; d < spec.value_dim && i < kBlind; ++d) EXPECT_EQ(o[d], 0);
                });
                if (!info.normalised) continue;
                const std::int64_t groups = info.joint ? 1 : spec.query_heads;
                const T nothing =
                    info.takes_softmax_n ? std::log(static_cast<T>(n)) : static_cast<T>(-kInfinity);
                for (std::int64_t row = 0; row < spec.batch * groups * spec.queries; ++row) {
                    if (row % spec.queries >= kBlind) continue;
                    const T expected = sink ? call[SINK].data()[row / spec.queries % groups] : nothing;
                    EXPECT_LE(distance(call[LSE].data()[row], expected), std::numeric_limits<T>::epsilon());
                }
            }
    });
}

TEST_P(Semantics, row_without_keys_has_zero_gradients) {
    with_scalar([&]<class T>(T) {
        Call<T> call = call_of<T>(kTall, Direction::backward);
        compute_o_and_lse(call);
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        call[DQ].for_each_row([&](auto, auto, std::int64_t i, const T* dq) {
            for (std::int64_t d = 0; d < kTall.key_dim && i < kBlind; ++d) EXPECT_EQ(dq[d], 0);
        });
        for (const Argument argument : outputs(Direction::backward))
            call[argument].for_each_row([&](auto, auto, auto, const T* x) {
                for (std::int64_t d = 0; d < call[argument].extents().features; ++d)
                    EXPECT_TRUE(std::isfinite(x[d]));
            });
    });
}

TEST_P(Semantics, no_key_at_all_gives_zero_outputs_and_gradients) {
    with_scalar([&]<class T>(T) {
        const Spec spec = {.name = "none", .batch = 2, .query_heads = 2, .queries = 3, .keys = 0};
        Call<T> call = forward<T>(spec);
        EXPECT_EQ(largest(call[O]), 0);
        EXPECT_FALSE(std::isnan(call[O].data()[0]));
        Call<T> back = call_of<T>(spec, Direction::backward);
        compute_o_and_lse(back);
        ASSERT_EQ(run(back), HONE_OK) << hone_last_error();
        for (const Argument argument : {DQ, DLOG_PRIOR, DSHIFT})
            back[argument].for_each_row([&](auto, auto, auto, const T* x) {
                for (std::int64_t d = 0; d < back[argument].extents().features; ++d) EXPECT_EQ(x[d], 0);
            });
    });
}

// q and k all of one size, their signs at random: scores of +-size^2.
template <class T>
void fill_signs(Call<T>& call, double size) {
    Random random("signs");
    for (const Argument argument : {Q, K})
        call[argument].fill([&] { return static_cast<T>(random.integer(0, 1) ? size : -size); });
}

TEST_P(Semantics, scores_of_ten_thousand_are_as_accurate_as_others) {
    with_scalar([&]<class T>(T) {
        for (const Direction direction : {Direction::forward, Direction::backward}) {
            Spec spec = {.name = "extreme", .queries = 9, .keys = 33, .key_dim = 1};
            spec.scale = 1;
            Call<T> call = call_of<T>(spec, direction);
            fill_signs(call, 100);
            expect_truth(call);
        }
    });
}

// Weights of e^-60, whose sums must keep their relative accuracy.
TEST_P(Semantics, scores_far_below_zero_are_as_accurate_as_others) {
    with_scalar([&]<class T>(T) {
        for (const Direction direction : {Direction::forward, Direction::backward}) {
            Spec spec = {.name = "low", .queries = 9, .keys = 33, .key_dim = 2};
            spec.scale = 1;
            Call<T> call = call_of<T>(spec, direction);
            Random random("low");
            call[Q].fill([&] { return static_cast<T>(5 + random.symmetric() / 4); });
            call[K].fill([&] { return static_cast<T>(-6 + random.symmetric() / 4); });
            expect_truth(call);
        }
    });
}

TEST_P(Semantics, equal_scores_share_the_weight_equally) {
    with_scalar([&]<class T>(T) {
        const Spec spec = {.name = "equal", .queries = 3, .keys = 100, .value_dim = 5};
        for (const Direction direction : {Direction::forward, Direction::backward}) {
            Call<T> call = call_of<T>(spec, direction);
            const std::vector<T> first(call[K].data(), call[K].data() + spec.key_dim);
            call[K].for_each_row([&](auto, auto, auto, T* k) { std::copy(first.begin(), first.end(), k); });
            expect_truth(call);
            call[V].for_each_row([&](auto, auto, auto, T* v) { std::fill_n(v, spec.value_dim, T(1)); });
            if (direction == Direction::backward || !info.normalised || info.takes_softmax_n) continue;
            Truth<T> truth(call);
            ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
            EXPECT_NEAR(call[O].data()[0], 1, truth.allowed[O].at(0, 0, 0, 0));
        }
    });
}

// Each denormal meets a factor that makes a normal number of it: what a processor that takes denormal inputs
// for 0 would lose. (Denormal results may be flushed.)
TEST_P(Semantics, denormal_inputs_are_as_accurate_as_others) {
    struct Case {
        Argument denormal, large;
    };
    constexpr Case cases[] = {{Q, K}, {K, Q}, {V, DOUT}, {DOUT, V}};
    with_scalar([&]<class T>(T) {
        constexpr T smallest = std::numeric_limits<T>::min();
        for (const std::int64_t queries : {5, 19})
            for (const Direction direction : {Direction::forward, Direction::backward})
                for (const auto& [denormal, large] : cases) {
                    SCOPED_TRACE(argument_names[denormal]);
                    Call<T> call = call_of<T>({.name = "denormal", .queries = queries, .keys = 9}, direction);
                    if (!call[denormal].present() || !call[large].present()) continue;
                    Random random("denormal");
                    call[denormal].fill([&] { return static_cast<T>(random.symmetric()) * smallest; });
                    call[large].fill([&] { return static_cast<T>(random.symmetric() / 8) / smallest; });
                    expect_truth(call);
                }
    });
}

TEST_P(Semantics, calls_whose_inputs_are_all_denormal_are_as_accurate_as_others) {
    with_scalar([&]<class T>(T) {
        for (const Direction direction : {Direction::forward, Direction::backward}) {
            Call<T> call = call_of<T>({.name = "denormal", .queries = 5, .keys = 9}, direction);
            for (const Argument argument : {Q, K, V, DOUT}) {
                Random random(argument_names[argument]);
                call[argument].fill([&] {
                    return static_cast<T>(random.integer(1, 1000)) * std::numeric_limits<T>::denorm_min();
                });
            }
            expect_truth(call);
        }
    });
}

TEST_P(Semantics, weights_and_values_near_overflow_stay_finite) {
    with_scalar([&]<class T>(T) {
        if (!info.normalised) return;
        Call<T> call = call_of<T>({.name = "large_values", .queries = 5, .keys = 9}, Direction::forward);
        const T large = std::numeric_limits<T>::max() / 16;
        call[V].fill([&] { return large; });
        expect_truth(call);
    });
}

// Heads x keys weights and the sink's sum to one: with v = 1, o is the sum of a head's.
TEST_P(Semantics, joint_normalisation_sums_to_one_over_heads_and_keys) {
    if (!info.joint) return;
    with_scalar([&]<class T>(T) {
        for (const std::int64_t group : {0, 1, 2, 3})
            for (const bool sink : {false, true}) {
                const Spec spec = {.name = "joint",
                                   .batch = 2,
                                   .query_heads = 6,
                                   .kv_heads = 2,
                                   .queries = 5,
                                   .keys = 23,
                                   .value_dim = 3,
                                   .sink = sink,
                                   .log_prior = true,
                                   .group_heads = group};
                Call<T> call = call_of<T>(spec, Direction::forward);
                call[V].fill([] { return T(1); });
                Truth<T> truth(call);
                ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
                const std::int64_t heads = group ? group : 6, groups = 6 / heads;
                for (std::int64_t b = 0; b < 2; ++b)
                    for (std::int64_t g = 0; g < groups; ++g)
                        for (std::int64_t i = 0; i < 5; ++i) {
                            double sum = 0;
                            for (std::int64_t h = 0; h < heads; ++h)
                                sum += call[O].row(b, g * heads + h, i)[2];
                            const double lse = call[LSE].data()[(b * groups + g) * 5 + i];
                            const double taken = sink ? std::exp(call[SINK].data()[g] - lse) : 0;
                            // e^(sink - L) has the error of L.
                            EXPECT_NEAR(sum, 1 - taken,
                                        static_cast<double>(heads) * truth.allowed[O].largest() +
                                            taken * truth.allowed[LSE].largest());
                        }
            }
    });
}

TEST_P(Semantics, joint_head_that_matches_nothing_gets_no_weight) {
    if (!info.joint) return;
    with_scalar([&]<class T>(T) {
        Call<T> call =
            call_of<T>({.name = "unmatched", .query_heads = 2, .queries = 1, .keys = 9, .log_prior = true},
                       Direction::forward);
        call[LOG_PRIOR].data()[0] = 0;
        call[LOG_PRIOR].data()[1] = -1000;
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        for (std::int64_t d = 0; d < 8; ++d) EXPECT_EQ(call[O].row(0, 1, 0)[d], 0);
        EXPECT_GT(std::abs(call[O].row(0, 0, 0)[0]), 0);
    });
}

// In one split of the keys and in several.
TEST_P(Semantics, sink_of_infinity_takes_all_weight) {
    if (!info.takes_sink || info.joint) return;
    with_scalar([&]<class T>(T) {
        for (const std::int64_t keys : {9, 1100, 2100}) {
            Call<T> call = call_of<T>({.name = "infinite_sink", .queries = 2, .keys = keys, .sink = true},
                                      Direction::forward);
            call[SINK].fill([] { return std::numeric_limits<T>::infinity(); });
            ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
            call[O].for_each_row(
                [&](auto, auto, auto, const T* o) { EXPECT_EQ(o[0], 0) << keys << " keys"; });
        }
    });
}

// With q = 0 all scores are 0, and with v = 1, o is the sum of n equal weights, known in closed form.
TEST_P(Semantics, default_shift_and_weight_count_visible_keys) {
    if (!info.takes_shift) return;
    const std::string name = info.name;
    std::function<double(double)> expected;
    double shift = 0;
    if (name == "sigmoid") expected = [](double n) { return n / (1 + n); };
    if (name == "linear" || name == "erf") expected = [](double) { return 1; };
    if (name == "relu") expected = [](double) { return 3; };
    if (name == "relu_squared") expected = [](double) { return 9; };
    if (!expected) GTEST_SKIP() << "no closed form is known here for " << name;
    if (name.starts_with("relu")) shift = 3;
    with_scalar([&]<class T>(T) {
        for (const Mask mask : {Mask::none, Mask::top_left, Mask::bottom_right}) {
            const Spec spec = {.name = "defaults",
                               .queries = 9,
                               .keys = 21,
                               .value_dim = 1,
                               .mask = mask,
                               .shift = shift != 0};
            Call<T> call = call_of<T>(spec, Direction::forward);
            call[Q].fill([] { return T(0); });
            call[V].fill([] { return T(1); });
            call[SHIFT].fill([&] { return static_cast<T>(shift); });
            Truth<T> truth(call);
            ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
            for (std::int64_t i = 0; i < 9; ++i)
                EXPECT_NEAR(*call[O].row(0, 0, i), expected(static_cast<double>(visible_keys(call, 0, 0, i))),
                            truth.allowed[O].at(0, 0, i, 0))
                    << "query " << i;
        }
    });
}

}  // namespace
}  // namespace hone::test
