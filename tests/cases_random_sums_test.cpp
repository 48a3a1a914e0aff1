// cases_random_sums_test.cpp: sums of random numbers over the rows of many heads lose no more than a good
// summation does.
#include <gtest/gtest.h>

#include <cmath>
#include <hone/hone.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/accuracy.hpp"
#include "tests/effort.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

// Normal numbers, 32 heads on one kv head: PyTorch's dk and dv are off by 5e-7 of the largest value; sums of
// 96 rows each, added up exactly, by 4.9e-7.
class RandomSums {
  public:
    RandomSums() : call_(make_call<float>(kSpec, HONE_SOFTMAX, Direction::backward)) {
        std::mt19937_64 engine(16);
        std::normal_distribution<double> normal;
        for (const Argument argument : {Q, K, V, DOUT})
            call_[argument].fill([&] { return static_cast<float>(normal(engine)); });
        compute_o_and_lse(call_);
        compute_truth();
    }

    // The largest error of dk or dv as a share of the largest value.
    double error(const std::string& isa, Argument argument) {
        Call<float> got = call_;
        got.problem.isa = isa.c_str();
        EXPECT_EQ(run(got), HONE_OK) << hone_last_error();
        const std::vector<double>& exact = argument == DK ? dk_ : dv_;
        double most = 0, off = 0;
        for (std::int64_t n = 0; n < std::ssize(exact); ++n) {
            most = std::max(most, std::abs(exact[n]));
            off = std::max(off, std::abs(got[argument].row(0, 0, n / kFeatures)[n % kFeatures] - exact[n]));
        }
        return off / most;
    }

  private:
    static constexpr std::int64_t kFeatures = 16;
    inline static const Spec kSpec = {.name = "random_sums",
                                      .query_heads = 32,
                                      .queries = 2048,
                                      .keys = 512,
                                      .key_dim = kFeatures,
                                      .value_dim = kFeatures,
                                      .gradients = WITH_DK | WITH_DV};

    static double dot(const float* x, const float* y) {
        double sum = 0;
        for (int d = 0; d < kFeatures; ++d) sum += static_cast<double>(x[d]) * y[d];
        return sum;
    }

    // Of dk and dv, from the lse and the o that the call is given.
    void compute_truth() {
        for (auto* sums : {&dk_, &dv_}) sums->assign(kSpec.keys * kFeatures, 0.0);
        for (std::int64_t h = 0; h < kSpec.query_heads; ++h)
            for (std::int64_t i = 0; i < kSpec.queries; ++i) {
                const float *q = call_[Q].row(0, h, i), *dout = call_[DOUT].row(0, h, i);
                const double lse = call_[LSE].data()[h * kSpec.queries + i];
                const double delta = dot(dout, call_[O].row(0, h, i));
                for (std::int64_t j = 0; j < kSpec.keys; ++j) {
                    const double p = std::exp(dot(q, call_[K].row(0, 0, j)) / 4 - lse);
                    const double ds = p * (dot(dout, call_[V].row(0, 0, j)) - delta) / 4;
                    for (int d = 0; d < kFeatures; ++d) {
                        dk_[j * kFeatures + d] += ds * q[d];
                        dv_[j * kFeatures + d] += p * dout[d];
                    }
                }
            }
    }

    Call<float> call_;
    std::vector<double> dk_, dv_;
};

TEST(SumsOfRandomNumbers, over_the_rows_of_32_heads_are_as_good_as_pytorchs) {
    if (quick()) GTEST_SKIP() << "takes long under a sanitizer or an emulator";
    RandomSums sums;
    for (const std::string& isa : available_isas())
        for (const Argument argument : {DK, DV})
            EXPECT_LE(sums.error(isa, argument), 6e-7) << isa << ", " << argument_names[argument];
}

}  // namespace
}  // namespace hone::test
