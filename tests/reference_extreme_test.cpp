// reference_extreme_test.cpp proves what the reference does where scores are huge or infinite, where a row
// sees no key, and where a NaN lies in what is seen or hidden.
#include <cmath>

#include "tests/reference_example.hpp"

namespace hone::reference {
namespace {

TEST(ReferenceExtreme, HugeScoresNeitherOverflowNorVanish) {
    Scored softmax(HONE_SOFTMAX, {-1e4, 1e4, 1e4});
    softmax.forward();
    expect_near(softmax.o.values, {0, 0.5, 0.5}, "p");
    expect_near(softmax.lse, {1e4 + std::log(2.0)}, "lse");

    Scored one(HONE_SOFTMAX_1, {-1e4, -1e4});
    one.forward();
    EXPECT_EQ(one.o.values, (std::vector<double>{0, 0}));
    EXPECT_EQ(one.lse, std::vector<double>{0});

    Scored softplus(HONE_SOFTPLUS, {1e4, 3e4});
    softplus.run();
    expect_near(softplus.o.values, {0.25, 0.75}, "p");
    for (double x : softplus.dk.values) EXPECT_TRUE(std::isfinite(x));

    expect_weights(HONE_SIGMOID, {1e4, -1e4}, [](double s) { return s > 0 ? 1 : 0; });
    Scored sigmoid(HONE_SIGMOID, {1e4, -1e4});
    sigmoid.run();
    EXPECT_EQ(sigmoid.dk.values, (std::vector<double>{0, 0}));
}

TEST(ReferenceExtreme, ASinkAboveEveryScoreTakesTheWeight) {
    Scored x(HONE_SOFTMAX, {1, 2});
    x.sink = {1e4};
    x.forward();
    EXPECT_EQ(x.o.values, (std::vector<double>{0, 0}));
    EXPECT_EQ(x.lse, std::vector<double>{1e4});
}

void expect_all_zero(const std::vector<double>& values, const std::string& what) {
    for (double x : values) EXPECT_EQ(x, 0) << what;
}

TEST(ReferenceExtreme, ASinkOfInfinityTakesAllTheWeightAndTheGradientOfTheLse) {
    for (int activation : {HONE_SOFTMAX, HONE_BAYES_SOFTMAX}) {
        const std::string name = activation_name(activation);
        Example<double> x(activation, {});
        std::ranges::fill(x.sink, inf);
        x.run();
        for (const auto* zero : {&x.o.values, &x.dq.values, &x.dk.values, &x.dv.values, &x.dlog_prior})
            expect_all_zero(*zero, name);
        EXPECT_EQ(x.lse, std::vector<double>(x.lse.size(), inf)) << name;
        std::vector<double> sums(x.sink.size(), 0.0);
        for (size_t n = 0; n < x.dlse.size(); ++n) sums[n / x.shape.queries % sums.size()] += x.dlse[n];
        EXPECT_EQ(x.dsink, sums) << name;
    }
}

TEST(ReferenceExtreme, ASinkNearTheLargestFloatTakesAllTheWeight) {
    for (int activation : {HONE_SOFTMAX, HONE_BAYES_SOFTMAX}) {
        Example<float> x(activation, {.batch = 1, .queries = 1});
        std::ranges::fill(x.sink, 3e38f);
        x.run();
        EXPECT_EQ(x.o.values, std::vector<float>(x.o.values.size(), 0)) << activation_name(activation);
        EXPECT_EQ(x.lse, x.sink) << activation_name(activation);
        EXPECT_EQ(x.dsink, x.dlse) << activation_name(activation);
    }
}

TEST(ReferenceExtreme, AHeadOfLogPriorMinusInfinityIsAsIfItWereNotThere) {
    const Shape two_heads = {.query_heads = 2, .kv_heads = 2}, one_head = {.query_heads = 1, .kv_heads = 1};
    Example<double> both(HONE_BAYES_SOFTMAX, two_heads), left(HONE_SOFTMAX, one_head);
    both.log_prior = {0, -inf};
    left.sink = both.sink;
    left.dlse = both.dlse;
    for (int64_t b = 0; b < two_heads.batch; ++b) {
        const auto copy = [&](Tensor<double>& from, Tensor<double>& to) {
            std::copy_n(from.row(b, 0, 0), from.view.head_stride, to.row(b, 0, 0));
        };
        copy(both.q, left.q), copy(both.k, left.k), copy(both.v, left.v), copy(both.dout, left.dout);
    }
    both.run();
    left.run();
    expect_near(both.lse, left.lse, "lse");
    expect_near(both.dsink, left.dsink, "dsink");
    const auto compare = [&](Tensor<double>& got, Tensor<double>& expected, const char* name) {
        for (int64_t b = 0; b < two_heads.batch; ++b) {
            const int64_t n = got.view.head_stride;
            const double *first = got.row(b, 0, 0), *second = got.row(b, 1, 0), *want = expected.row(b, 0, 0);
            expect_near(std::vector(first, first + n), std::vector(want, want + n), name);
            expect_all_zero(std::vector(second, second + n), name);
        }
    };
    compare(both.o, left.o, "o");
    compare(both.dq, left.dq, "dq"), compare(both.dk, left.dk, "dk"), compare(both.dv, left.dv, "dv");
    EXPECT_EQ(both.dlog_prior[1], 0);
}

TEST(ReferenceExtreme, HeadsThatAreAllOfLogPriorMinusInfinityLeaveNothing) {
    Example<double> x(HONE_BAYES_SOFTMAX, {});
    x.sink.clear();
    std::ranges::fill(x.log_prior, -inf);
    x.run();
    for (const auto* zero : {&x.o.values, &x.dq.values, &x.dk.values, &x.dv.values, &x.dlog_prior})
        expect_all_zero(*zero, "no weight");
    EXPECT_EQ(x.lse, std::vector<double>(x.lse.size(), -inf));
}

// Log-priors and a sink that are infinite, or so large that scores are lost beside them, are as if the
// largest were 0.
TEST(ReferenceExtreme, HugeAndInfiniteLogPriorsAndSinksCountFromTheLargest) {
    const double big = 1e30;
    struct Case {
        double sink;
        std::vector<double> prior;
        double as_sink;
        std::vector<double> as_prior;
    };
    for (const auto& [sink, prior, as_sink, as_prior] :
         {Case{0.5, {inf, 1, inf}, -inf, {0, -inf, 0}}, Case{inf, {inf, 1, -inf}, 0, {0, -inf, -inf}},
          Case{inf, {big, 1, 2}, 0, {-inf, -inf, -inf}}, Case{big, {big, 1, big}, 0, {0, -inf, 0}},
          Case{-inf, {-big, -big, -2 * big}, -inf, {0, 0, -inf}},
          Case{2049, {2050, 2048, 2047}, -1, {0, -2, -3}}}) {
        SCOPED_TRACE("sink " + std::to_string(sink) + ", log-priors " + std::to_string(prior[0]) + ", ...");
        const Shape heads = {.query_heads = 3, .kv_heads = 3, .group_heads = 3};
        Example<double> x(HONE_BAYES_SOFTMAX, heads), as(HONE_BAYES_SOFTMAX, heads);
        x.log_prior = prior, as.log_prior = as_prior;
        std::ranges::fill(x.sink, sink), std::ranges::fill(as.sink, as_sink);
        x.run(), as.run();
        const double largest = std::max(sink, *std::ranges::max_element(prior));
        for (double& lse : as.lse) lse += largest;
        EXPECT_EQ(x.lse, as.lse);
        expect_near(x.o.values, as.o.values, "o");
        expect_near(x.dq.values, as.dq.values, "dq"), expect_near(x.dk.values, as.dk.values, "dk");
        expect_near(x.dv.values, as.dv.values, "dv"), expect_near(x.dsink, as.dsink, "dsink");
        expect_near(x.dlog_prior, as.dlog_prior, "dlog_prior");
    }
}

// Neither an infinite log-prior of a head without a key nor one of a head without a finite score counts.
TEST(ReferenceExtreme, AnInfiniteLogPriorOfNothingDoesNotCount) {
    Example<double> none(HONE_BAYES_SOFTMAX, {.batch = 1, .queries = 1, .keys = 0});
    std::ranges::fill(none.log_prior, inf);
    none.run();
    EXPECT_EQ(none.lse, none.sink);
    EXPECT_EQ(none.dsink, none.dlse);

    Scored x(HONE_BAYES_SOFTMAX, {-inf, -inf});
    x.log_prior = {inf};
    x.sink = {0.5};
    x.forward();
    EXPECT_EQ(x.lse, std::vector<double>{0.5});
    EXPECT_EQ(x.o.values, (std::vector<double>{0, 0}));
}

TEST(ReferenceExtreme, WithoutBatchHeadsOrQueriesThereIsNothingToDoButZeros) {
    for (int activation = 0; activation < activation_count; ++activation)
        for (const Shape& shape :
             {Shape{.batch = 0}, Shape{.query_heads = 0, .group_heads = 1},
              Shape{.query_heads = 0, .kv_heads = 0, .group_heads = 1}, Shape{.queries = 0}}) {
            Example<double> x(activation, shape);
            if (shape.query_heads == 0) x.problem.group_heads = 0;
            x.run();
            for (const auto* zero :
                 {&x.dk.values, &x.dv.values, &x.dsink, &x.dlog_prior, &x.dshift, &x.dq.values})
                expect_all_zero(*zero, activation_name(activation));
        }
}

TEST(ReferenceExtreme, ARowWithoutWeightGivesZeroAndNoGradient) {
    for (int activation : {HONE_SOFTMAX, HONE_BAYES_SOFTMAX, HONE_SOFTPLUS}) {
        Scored x(activation, {-inf, -inf});
        x.run();
        EXPECT_EQ(x.o.values, (std::vector<double>{0, 0})) << activation_name(activation);
        EXPECT_EQ(x.lse, std::vector<double>{-inf}) << activation_name(activation);
        EXPECT_EQ(x.dq.values, std::vector<double>{0}) << activation_name(activation);
        EXPECT_EQ(x.dk.values, (std::vector<double>{0, 0})) << activation_name(activation);
        EXPECT_EQ(x.dv.values, (std::vector<double>(4, 0))) << activation_name(activation);
    }
    Scored x(HONE_SOFTMAX, {-inf, -inf});
    x.sink = {0.5};
    x.forward();
    EXPECT_EQ(x.o.values, (std::vector<double>{0, 0}));
    EXPECT_EQ(x.lse, std::vector<double>{0.5});
}

TEST(ReferenceExtreme, ARowThatSeesNoKeyGivesZeroAndNoGradient) {
    for (int activation = 0; activation < activation_count; ++activation)
        for (int64_t keys : {0, 2}) {
            const int64_t hidden = 6 - keys;  // the first queries see no key
            Example<double> x(activation,
                              {.batch = 1, .queries = 6, .keys = keys, .mask = Mask::bottom_right});
            x.sink.clear();
            std::ranges::fill(x.shift, 5);  // so that no ReLU is 0
            x.run();
            const double none = activation == HONE_SOFTMAX_1 ? std::log(1.5) : -inf;
            for (int64_t h = 0; h < x.shape.query_heads; ++h)
                for (int64_t i = 0; i < x.shape.queries; ++i) {
                    const bool zero = i < hidden;
                    EXPECT_EQ(x.o.row(0, h, i)[0] == 0, zero) << activation_name(activation) << " row " << i;
                    EXPECT_EQ(x.dq.row(0, h, i)[0] == 0, zero) << activation_name(activation) << " row " << i;
                }
            for (size_t n = 0; n < x.lse.size(); ++n)
                EXPECT_EQ(x.lse[n] == none, int64_t(n) % 6 < hidden) << activation_name(activation) << n;
            for (const auto* gradient : {&x.dq.values, &x.dk.values, &x.dv.values, &x.dlog_prior, &x.dshift})
                for (double value : *gradient)
                    EXPECT_TRUE(std::isfinite(value)) << activation_name(activation);
        }
}

TEST(ReferenceExtreme, ARowThatSeesOnlyItsSinkGivesTheSinkTheGradientOfTheLse) {
    for (int activation : {HONE_SOFTMAX, HONE_BAYES_SOFTMAX}) {
        Example<double> x(activation, {.batch = 1, .queries = 1, .keys = 0});
        std::ranges::fill(x.dout.values, nan);  // o is a constant: its gradient goes nowhere
        x.run();
        EXPECT_EQ(x.lse, x.sink) << activation_name(activation);
        EXPECT_EQ(x.dsink, x.dlse) << activation_name(activation);
    }
}

TEST(ReferenceExtreme, NanBehindTheMaskDoesNotLeak) {
    for (int activation = 0; activation < activation_count; ++activation) {
        const Shape shape = {.queries = 3, .keys = 5, .mask = Mask::top_left};
        Example<double> clean(activation, shape), dirty(activation, shape);
        for (int64_t b = 0; b < shape.batch; ++b)
            for (int64_t h = 0; h < shape.kv_heads; ++h)
                for (int64_t j = 3; j < 5; ++j) {
                    std::fill_n(dirty.k.row(b, h, j), shape.key_dim, nan);
                    std::fill_n(dirty.v.row(b, h, j), shape.value_dim, nan);
                }
        clean.run();
        dirty.run();
        for (double x : clean.dk.values) ASSERT_TRUE(std::isfinite(x)) << activation_name(activation);
        EXPECT_EQ(dirty.o.values, clean.o.values) << activation_name(activation);
        EXPECT_EQ(dirty.dq.values, clean.dq.values) << activation_name(activation);
        EXPECT_EQ(dirty.dk.values, clean.dk.values) << activation_name(activation);
        EXPECT_EQ(dirty.dv.values, clean.dv.values) << activation_name(activation);
        for (int64_t d = 0; d < shape.key_dim; ++d) EXPECT_EQ(dirty.dk.row(1, 1, 4)[d], 0);
    }
}

TEST(ReferenceExtreme, NanReachesEveryRowThatSeesItAndNoOther) {
    for (int activation = 0; activation < activation_count; ++activation)
        for (bool in_values : {false, true}) {
            Example<double> x(
                activation,
                {.batch = 1, .query_heads = 2, .kv_heads = 1, .queries = 5, .mask = Mask::top_left});
            (in_values ? x.v : x.k).row(0, 0, 3)[0] = nan;
            x.run();
            for (int64_t h = 0; h < 2; ++h)
                for (int64_t i = 0; i < 5; ++i) {
                    EXPECT_EQ(std::isnan(x.o.row(0, h, i)[0]), i >= 3) << activation_name(activation);
                    EXPECT_EQ(std::isnan(x.dq.row(0, h, i)[0]), i >= 3) << activation_name(activation);
                }
        }
}

}  // namespace
}  // namespace hone::reference
