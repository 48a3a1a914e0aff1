// test_set_test.cpp: the risk on samples that training has not seen, and the weights of heads, in the limit
// and at finite D; what an experiment says of a training that diverges.
#include "experiment/test_set.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "experiment/experiments.hpp"

namespace single_location {
namespace {

Settings settings(int dim) {
    Settings s;
    s.experiment = "noise";
    s.dim = dim, s.tokens = 8, s.samples = 4096, s.threads = 2;
    return s;
}

Tokens tokens(const Settings& s) {
    const bool limit = s.dim == 0;
    return Tokens(s.signal(), s.tokens, limit ? 2 : s.dim,
                  limit ? Tokens::Directions::axes : Tokens::Directions::random, 3);
}

// Two heads, along (1, 2) and (1, -2) of the hidden directions.
Parameters heads(const Tokens& of) {
    Parameters p = {Matrix::Zero(2, of.dim()), Vector::Zero(2)};
    for (int h = 0; h < 2; ++h)
        for (int d = 0; d < of.dim(); ++d)
            p.queries(h, d) = of.directions()[d] + (h ? -2 : 2) * of.directions()[of.dim() + d];
    return p;
}

TEST(TestSet, overlaps_are_those_of_the_queries) {
    for (const int dim : {0, 300}) {
        const Settings s = settings(dim);
        const Tokens of = tokens(s);
        const Matrix m = TestSet(s, of, 5).overlaps(heads(of));
        EXPECT_NEAR(m(0, 0), 1, 1e-5);
        EXPECT_NEAR(m(0, 1), 2, 1e-5);
        EXPECT_NEAR(m(1, 1), -2, 1e-5);
    }
}

// Where the values are unit vectors the loss is that of the weights.
TEST(TestSet, the_risk_of_the_limit_is_that_of_the_weights) {
    const Settings s = settings(0);
    const Tokens of = tokens(s);
    const TestSet test(s, of, 5);
    for (const char* name : {"softmax", "bayes_softmax", "softmax_1+b"}) {
        const Attention attention = parse_attention(name, s.tokens);
        double risk = 0;
        int seen = 0;
        test.weigh(attention, heads(of), [&](const TestSet::Weighed& w) {
            double sum = 0;
            for (int l = 0; l < 8; ++l) {
                const double a = w.weight[l] + w.weight[8 + l];
                risk += std::pow((l == w.epsilon) - a, 2) / 4096, sum += a;
            }
            ASSERT_LT(sum, 2 + 1e-9);
            if (attention.bias != Bias::sink) {
                ASSERT_NEAR(sum, 1, 1e-9);
            }
            ASSERT_EQ(std::abs(w.theta[1]), 1);
            ++seen;
        });
        EXPECT_EQ(seen, 4096);
        EXPECT_NEAR(risk, test.risk(attention, heads(of)).value, 1e-12) << name;
    }
}

// |y - prediction|^2 / D comes to the limit's as 1 / sqrt(D).
TEST(TestSet, the_risk_at_large_dimension_is_that_of_the_limit) {
    const Settings limit = settings(0), finite = settings(2000);
    const Tokens of_limit = tokens(limit), of_finite = tokens(finite);
    const Attention attention = parse_attention("bayes_softmax", 8);
    const Estimate far = TestSet(limit, of_limit, 5).risk(attention, heads(of_limit));
    const Estimate near = TestSet(finite, of_finite, 5).risk(attention, heads(of_finite));
    EXPECT_NEAR(near.value, far.value, 4 * (far.error + near.error));
    EXPECT_LT(near.error, 0.02 * near.value);
}

TEST(TestSet, is_the_same_for_any_number_of_threads_and_not_that_of_training) {
    Settings s = settings(100);
    const Tokens of = tokens(s);
    const Attention attention = parse_attention("softmax", 8);
    const double two = TestSet(s, of, 5).risk(attention, heads(of)).value;
    for (const int threads : {1, 3}) {
        s.threads = threads;
        EXPECT_EQ(TestSet(s, of, 5).risk(attention, heads(of)).value, two);
    }
    EXPECT_NE(TestSet(s, of, 6).risk(attention, heads(of)).value, two);
}

// A start that has diverged is not the best one, wherever it stands.
TEST(Best, a_loss_that_is_no_number_is_no_loss) {
    const Sweep sweep = risk(settings(0));
    const auto start = [](int n, double loss) {
        return Result{
            {}, {{"activation", "a"}, {"strength", 1.0}, {"heads", 2}, {"start", n}, {"last_loss", loss}}};
    };
    const auto best = [&](double a, double b, double c) {
        return sweep.summarise({start(0, a), start(1, b), start(2, c)})
            .at("best")
            .at(0)
            .at("start")
            .get<int>();
    };
    EXPECT_EQ(best(NAN, 0.5, 0.7), 1);
    EXPECT_EQ(best(0.7, NAN, 0.5), 2);
    EXPECT_EQ(best(0.5, 0.7, NAN), 0);
    EXPECT_EQ(best(INFINITY, NAN, 0.7), 2);
}

}  // namespace
}  // namespace single_location
