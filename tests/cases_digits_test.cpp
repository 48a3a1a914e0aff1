// cases_digits_test.cpp: digits that are easily lost: in the tails of activations, where scores cancel, where
// they are some hundred, and in denormal values.
#include <gtest/gtest.h>

#include <cmath>
#include <hone/hone.hpp>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "tests/case_test.hpp"

namespace hone::test {
namespace {

class Digits : public CaseTest {};

INSTANTIATE_TEST_SUITE_P(Every, Digits, testing::ValuesIn(every_kernel()), kernel_name);

// n rows, each with one key: row i's argument is x[i], and its weight's slope is dq[i].
template <class T>
Call<T> tail_call(const Kernel& kernel, Direction direction, const std::vector<double>& x) {
    Spec spec = scored(std::ssize(x), 1);
    spec.shift = true;
    spec.weight = describe(kernel.activation).takes_weight ? 1 : 0;
    Call<T> call = make_call<T>(spec, kernel.activation, direction);
    call.problem.isa = kernel.isa.c_str();
    for (std::size_t i = 0; i < x.size(); ++i) *call[Q].row(0, 0, i) = static_cast<T>(x[i]);
    for (const Argument argument : {K, V, DOUT}) call[argument].fill([] { return T(1); });
    call[SHIFT].fill([] { return T(0); });
    return call;
}

std::vector<double> arguments(double least, double most, int count) {
    std::vector<double> x;
    for (int n = 0; n < count; ++n) x.push_back(least + (most - least) * n / (count - 1));
    return x;
}

// Expects what row i gives to be value(x) to `ulps(x)` units in the last place.
template <class T, class Value, class Ulps>
void expect_relative(Call<T>& call, Argument argument, Value value, Ulps ulps) {
    call[argument].for_each_row([&](auto, auto, std::int64_t i, const T* got) {
        const T x = *call[Q].row(0, 0, i);
        const long double expected = value(static_cast<long double>(x));
        const double allowed = ulps(static_cast<double>(x)) * kEpsilon<T> * static_cast<double>(expected) +
                               std::numeric_limits<T>::min();
        EXPECT_LE(distance(got[0], expected), allowed)
            << argument_names[argument] << " at " << x << " is " << got[0] << ", should be " << expected;
    });
}

// float32 has it to an absolute accuracy.
TEST_P(Digits, erf_keeps_its_tail_in_float64) {
    if (name != "erf" || GetParam().dtype != HONE_FLOAT64) return;
    // e^(-x^2): its exponent is rounded.
    const auto ulps = [](double x) { return 4 + x * x; };
    for (const int rows : {16, 261}) {
        std::vector<double> x = arguments(-26, 6, rows);
        x[1] = -4, x[2] = -5, x[3] = -9;
        Call<double> call = tail_call<double>(GetParam(), Direction::forward, x);
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        expect_relative(
            call, O, [](long double x) { return std::erfc(-x); }, ulps);
        Call<double> back = tail_call<double>(GetParam(), Direction::backward, x);
        ASSERT_EQ(run(back), HONE_OK) << hone_last_error();
        expect_relative(
            back, DQ,
            [](long double x) { return 2 * std::numbers::inv_sqrtpi_v<long double> * std::exp(-x * x); },
            ulps);
    }
    for (const double x : {-1.0, -4.0, -5.0, -9.0, -20.0}) {
        Call<double> call = tail_call<double>(GetParam(), Direction::backward, {x});
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        expect_relative(
            call, DV, [&](long double) { return std::erfc(static_cast<long double>(-x)); },
            [&](double) { return ulps(x); });
    }
}

TEST_P(Digits, sigmoid_and_its_slope_keep_both_tails) {
    if (name != "sigmoid") return;
    with_scalar([&]<class T>(T) {
        const double end = sizeof(T) == 4 ? 86 : 700;
        const auto ulps = [](double x) { return 4 + std::abs(x); };
        for (const int rows : {16, 261}) {
            std::vector<double> x = arguments(-end, end, rows);
            x[1] = 8, x[2] = 16, x[3] = 17, x[4] = 20, x[5] = -8;
            Call<T> call = tail_call<T>(GetParam(), Direction::forward, x);
            ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
            expect_relative(
                call, O, [](long double x) { return 1 / (1 + std::exp(-x)); }, ulps);
            Call<T> back = tail_call<T>(GetParam(), Direction::backward, x);
            ASSERT_EQ(run(back), HONE_OK) << hone_last_error();
            const auto slope = [](long double x) {
                return std::exp(-x) / ((1 + std::exp(-x)) * (1 + std::exp(-x)));
            };
            expect_relative(back, DQ, slope, ulps);
        }
    });
}

// Where q k cancels to exactly 0, in whatever order it is summed, the slope is that of 0.
TEST_P(Digits, relu_of_a_score_that_cancels_has_slope_zero) {
    if (!name.starts_with("relu")) return;
    with_scalar([&]<class T>(T) {
        for (const std::int64_t rows : kRows)
            for (const double scale : {0.0, 1.0, 0.3, 1.7})
                for (const std::int64_t features : {2, 8}) {
                    SCOPED_TRACE(std::to_string(rows) + " rows, scale " + std::to_string(scale));
                    Spec spec = {.name = "cancels", .queries = rows, .keys = 23, .key_dim = features};
                    spec.scale = scale;
                    Call<T> call = call_of<T>(spec, Direction::backward);
                    Random random("cancels");
                    // 3 a - a 3, and 5 a - a 5: exact products.
                    call[Q].for_each_row([&](auto, auto, auto, T* q) {
                        for (std::int64_t d = 0; d < features; d += 2)
                            q[d] = static_cast<T>(3 + d), q[d + 1] = 1;
                    });
                    call[K].for_each_row([&](auto, auto, auto, T* k) {
                        for (std::int64_t d = 0; d < features; d += 2) {
                            k[d] = static_cast<T>(random.integer(1, 1 << 20)) / (1 << 20);
                            k[d + 1] = -static_cast<T>(3 + d) * k[d];
                        }
                    });
                    ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
                    for (const Argument argument : outputs(Direction::backward))
                        expect_all(call, argument, T(0));
                }
    });
}

// dp is a normal number where dout is large enough: v may be slow, but is not lost.
TEST_P(Digits, a_denormal_v_gives_its_gradients) {
    with_scalar([&]<class T>(T) {
        for (const std::int64_t rows : {5, 19, 97}) {
            Spec spec = {.name = "denormal_v", .queries = rows, .keys = 37};
            Call<T> call = call_of<T>(spec, Direction::backward);
            Random random("denormal_v");
            constexpr T smallest = std::numeric_limits<T>::min();
            call[V].fill([&] { return static_cast<T>(random.symmetric()) * smallest; });
            call[DOUT].fill([&] { return static_cast<T>(random.symmetric() / 64) / smallest; });
            expect_truth(call);
        }
    });
}

// What float32 scores cost by themselves: q k summed feature by feature and e^(s - L) rounded, all else
// exact.
class LargeScores {
  public:
    static constexpr std::int64_t kKeys = 256, kRows = 193, kHeads = 32;

    // Scores to some +-150 for any number of features.
    explicit LargeScores(std::int64_t features)
        : features_(features), call_(make_call<float>(spec(features), HONE_SOFTMAX, Direction::backward)) {
        Random random("large_scores");
        const double size = 9 * std::pow(8.0 / static_cast<double>(features), 0.25);
        for (const Argument argument : {Q, K})
            call_[argument].fill([&] { return static_cast<float>(size * random.symmetric()); });
        compute_o_and_lse(call_);
        exact_ = weighted([&](const float* q, const float* k, float lse) {
            double s = 0;
            for (int d = 0; d < features_; ++d) s += static_cast<double>(q[d]) * k[d];
            return std::exp(s - lse);
        });
    }

    // The root of the mean square of the error of dv.
    double error(const std::string& isa) {
        Call<float> call = call_;
        call.problem.isa = isa.c_str();
        EXPECT_EQ(run(call), HONE_OK) << hone_last_error();
        std::vector<double> dv;
        call[DV].for_each_row(
            [&](auto, auto, auto, const float* x) { dv.insert(dv.end(), x, x + features_); });
        return error(dv);
    }
    double plain_error(bool fused) {
        return error(weighted([&](const float* q, const float* k, float lse) {
            float s = 0;
            for (int d = 0; d < features_; ++d) s = fused ? std::fma(q[d], k[d], s) : s + q[d] * k[d];
            return static_cast<double>(static_cast<float>(std::exp(static_cast<double>(s - lse))));
        }));
    }

  private:
    static Spec spec(std::int64_t features) {
        Spec spec = {.name = "large_scores",
                     .query_heads = kHeads,
                     .kv_heads = kHeads,
                     .queries = kRows,
                     .keys = kKeys,
                     .key_dim = features,
                     .value_dim = features,
                     .gradients = WITH_DV};
        spec.scale = 1;
        return spec;
    }

    // dv with these weights, otherwise exact.
    template <class Weight>
    std::vector<double> weighted(Weight weight) {
        std::vector<double> dv(kHeads * kKeys * features_, 0.0);
        for (std::int64_t h = 0; h < kHeads; ++h)
            for (std::int64_t i = 0; i < kRows; ++i)
                for (std::int64_t j = 0; j < kKeys; ++j) {
                    const double p = weight(call_[Q].row(0, h, i), call_[K].row(0, h, j),
                                            call_[LSE].data()[h * kRows + i]);
                    for (int d = 0; d < features_; ++d)
                        dv[(h * kKeys + j) * features_ + d] += p * call_[DOUT].row(0, h, i)[d];
                }
        return dv;
    }

    double error(const std::vector<double>& dv) {
        double squares = 0;
        for (std::size_t n = 0; n < dv.size(); ++n) squares += (dv[n] - exact_[n]) * (dv[n] - exact_[n]);
        return std::sqrt(squares / static_cast<double>(dv.size()));
    }

    const std::int64_t features_;
    Call<float> call_;
    std::vector<double> exact_;
};

// The scale and log2 e are not rounded into k, where they would be felt in every score.
TEST(LargeScoresOf, softmax_cost_what_float32_scores_cost) {
    for (const std::int64_t features : {1, 2, 8}) {
        LargeScores scores(features);
        for (const std::string& isa : available_isas())
            EXPECT_LE(scores.error(isa), 1.1 * scores.plain_error(isa != "sse2"))
                << isa << ", root mean square of the error of dv, " << features << " features";
    }
}

}  // namespace
}  // namespace hone::test
