// reference_closed_form_test.cpp proves that the reference computes what each activation is defined to be,
// by closed forms and by the identities between activations.
#include <cmath>

#include "tests/reference_example.hpp"

namespace hone::reference {
namespace {

const std::vector<double> some_scores = {0.3, -1.2, 2, 0};

TEST(ReferenceClosedForm, SoftmaxOfOneKeyReturnsItsValue) {
    Example<double> x(HONE_SOFTMAX, {.batch = 1, .query_heads = 1, .kv_heads = 1, .queries = 1, .keys = 1});
    x.sink.clear();
    x.forward();
    EXPECT_EQ(x.o.values, x.v.values);
}

TEST(ReferenceClosedForm, SoftmaxOfEqualScoresIsTheMean) {
    Scored x(HONE_SOFTMAX, {0.7, 0.7, 0.7, 0.7});
    x.forward();
    expect_near(x.o.values, {0.25, 0.25, 0.25, 0.25}, "p");
    expect_near(x.lse, {0.7 + std::log(4.0)}, "lse");
}

TEST(ReferenceClosedForm, ScoresAreScaledByTheRootOfTheKeyDimUnlessToldOtherwise) {
    const Shape shape = {.batch = 1, .query_heads = 1, .kv_heads = 1, .queries = 1, .keys = 1, .key_dim = 4};
    Example<double> x(HONE_SOFTMAX, shape);
    x.sink.clear();
    x.q.values = {1, 2, 3, 4};
    x.k.values = {1, 1, 1, 1};
    x.forward();
    expect_near(x.lse, {5}, "lse");
    x.problem.scale = 2;
    x.forward();
    expect_near(x.lse, {20}, "lse");
}

TEST(ReferenceClosedForm, SoftmaxOneOfOneKeyIsTheLogistic) {
    for (double s : {-3.0, 0.0, 0.4, 5.0}) {
        Scored x(HONE_SOFTMAX_1, {s});
        x.forward();
        expect_near(x.o.values, {std::exp(s) / (1 + std::exp(s))}, "p");
        expect_near(x.lse, {std::log(1 + std::exp(s))}, "lse");
    }
}

TEST(ReferenceClosedForm, SoftmaxOneIsSoftmaxWithASinkOfZero) {
    Example<double> one(HONE_SOFTMAX_1, {}), sink(HONE_SOFTMAX, {});
    one.problem.softmax_n = 1;
    std::ranges::fill(sink.sink, 0);
    sink.dout.values = one.dout.values;
    sink.dlse = one.dlse;
    one.run();
    sink.run();
    expect_same_outputs(one, sink);
}

TEST(ReferenceClosedForm, SoftmaxNOfNearlyNothingIsSoftmax) {
    Example<double> zero(HONE_SOFTMAX_1, {}), softmax(HONE_SOFTMAX, {});
    zero.problem.softmax_n = 1e-300;
    softmax.sink.clear();
    softmax.dout.values = zero.dout.values;
    softmax.dlse = zero.dlse;
    zero.run();
    softmax.run();
    expect_same_outputs(zero, softmax);
}

TEST(ReferenceClosedForm, SoftmaxNAddsNToTheNormaliser) {
    Scored x(HONE_SOFTMAX_1, {0.5, -1});
    x.problem.softmax_n = 3;
    x.forward();
    const double normaliser = 3 + std::exp(0.5) + std::exp(-1.0);
    expect_near(x.o.values, {std::exp(0.5) / normaliser, std::exp(-1.0) / normaliser}, "p");
    expect_near(x.lse, {std::log(normaliser)}, "lse");
}

TEST(ReferenceClosedForm, BayesSoftmaxOfGroupsOfOneHeadIsSoftmax) {
    Example<double> bayes(HONE_BAYES_SOFTMAX, {.group_heads = 1}), softmax(HONE_SOFTMAX, {});
    bayes.log_prior.clear();
    softmax.sink = bayes.sink;
    softmax.dout.values = bayes.dout.values;
    softmax.dlse = bayes.dlse;
    bayes.run();
    softmax.run();
    expect_same_outputs(bayes, softmax);
    expect_near(bayes.dsink, softmax.dsink, "dsink");
}

TEST(ReferenceClosedForm, BayesSoftmaxHalvesTheWeightOfTwoIdenticalHeads) {
    const Shape shape = {.query_heads = 2, .kv_heads = 1, .q = {.head = true}};
    Example<double> bayes(HONE_BAYES_SOFTMAX, shape), softmax(HONE_SOFTMAX, shape);
    for (auto* parameter : {&bayes.sink, &bayes.log_prior, &softmax.sink}) parameter->clear();
    bayes.problem.group_heads = 0;  // all heads
    bayes.forward();
    softmax.forward();
    for (double& x : softmax.o.values) x /= 2;
    expect_near(bayes.o.values, softmax.o.values, "o");
    const int64_t queries = shape.queries;
    for (int64_t b = 0; b < shape.batch; ++b)
        for (int64_t i = 0; i < queries; ++i)
            EXPECT_NEAR(bayes.lse[b * queries + i], softmax.lse[2 * b * queries + i] + std::log(2), 1e-14);
}

TEST(ReferenceClosedForm, BayesSoftmaxGroupsConsecutiveHeads) {
    Example<double> whole(HONE_BAYES_SOFTMAX, {.batch = 1, .query_heads = 4, .group_heads = 2});
    whole.forward();
    for (int64_t group : {0, 1}) {
        Example<double> part(HONE_BAYES_SOFTMAX,
                             {.batch = 1, .query_heads = 2, .kv_heads = 1, .group_heads = 2});
        std::copy_n(whole.q.row(0, 2 * group, 0), part.q.values.size(), part.q.values.begin());
        std::copy_n(whole.k.row(0, group, 0), part.k.values.size(), part.k.values.begin());
        std::copy_n(whole.v.row(0, group, 0), part.v.values.size(), part.v.values.begin());
        part.sink = {whole.sink[group]};
        part.log_prior = {whole.log_prior[2 * group], whole.log_prior[2 * group + 1]};
        part.forward();
        const double* o = whole.o.row(0, 2 * group, 0);
        expect_near(part.o.values, {o, o + part.o.values.size()}, "o");
        const double* lse = &whole.lse[group * whole.shape.queries];
        expect_near(part.lse, {lse, lse + part.lse.size()}, "lse");
    }
}

TEST(ReferenceClosedForm, ACommonLogPriorChangesNothingButTheLse) {
    Example<double> x(HONE_BAYES_SOFTMAX, {}), raised(HONE_BAYES_SOFTMAX, {});
    for (auto* example : {&x, &raised}) {
        example->sink.clear();
        example->dsink.clear();
    }
    for (double& b : raised.log_prior) b += 1.25;
    x.run();
    raised.run();
    for (double& lse : x.lse) lse += 1.25;
    expect_same_outputs(raised, x);
}

TEST(ReferenceClosedForm, SoftplusIsNormalisedByItsSum) {
    double sum = 0;
    for (double s : some_scores) sum += std::log(1 + std::exp(s));
    expect_weights(HONE_SOFTPLUS, some_scores, [&](double s) { return std::log(1 + std::exp(s)) / sum; });
    Scored x(HONE_SOFTPLUS, some_scores);
    x.forward();
    expect_near(x.lse, {std::log(sum)}, "lse");
}

TEST(ReferenceClosedForm, ElementWiseActivationsAreTheirFormulasWithTheirDefaults) {
    const double n = some_scores.size();
    expect_weights(HONE_SIGMOID, some_scores, [&](double s) { return 1 / (1 + n * std::exp(-s)); });
    expect_weights(HONE_RELU, some_scores, [&](double s) { return s > 0 ? s / n : 0; });
    expect_weights(HONE_RELU_SQUARED, some_scores, [&](double s) { return s > 0 ? s * s / n : 0; });
    expect_weights(HONE_LINEAR, some_scores, [&](double s) { return (s + 1) / n; });
    expect_weights(HONE_ERF, some_scores, [&](double s) { return (1 + std::erf(s)) / n; });
}

TEST(ReferenceClosedForm, ReluIsZeroUpToItsShiftAndLinearBeyond) {
    Scored x(HONE_RELU, {0.25, 1, 3});
    x.shift = {-1};
    x.problem.weight = 2;
    x.dout.values = {5, 7, 11};
    x.run();
    EXPECT_EQ(x.o.values, (std::vector<double>{0, 0, 4}));
    EXPECT_EQ(x.dk.values, (std::vector<double>{0, 0, 22}));  // at the kink itself the slope is 0
    EXPECT_EQ(x.dshift, std::vector<double>{22});

    Scored squared(HONE_RELU_SQUARED, {0.25, 1, 3});
    squared.shift = {-1};
    squared.problem.weight = 2;
    squared.dout.values = {5, 7, 11};
    squared.run();
    EXPECT_EQ(squared.o.values, (std::vector<double>{0, 0, 8}));
    EXPECT_EQ(squared.dk.values, (std::vector<double>{0, 0, 88}));
}

TEST(ReferenceClosedForm, ADefaultCountsTheKeysThatTheRowSees) {
    const Shape shape = {.batch = 1, .query_heads = 1, .kv_heads = 1, .mask = Mask::top_left};
    for (int activation : {HONE_SIGMOID, HONE_RELU, HONE_LINEAR}) {
        Example<double> x(activation, shape);
        x.shift.clear();
        std::ranges::fill(x.q.values, 1);
        std::ranges::fill(x.k.values, 1 / std::sqrt(3));  // every score is 1
        std::ranges::fill(x.v.values, 1);
        x.forward();
        for (int64_t i = 0; i < shape.queries; ++i) {
            const double n = i + 1;
            const double sum = activation == HONE_SIGMOID  ? n / (1 + n * std::exp(-1.0))
                               : activation == HONE_LINEAR ? 2
                                                           : 1;
            EXPECT_NEAR(x.o.row(0, 0, i)[0], sum, 1e-14) << activation_name(activation) << " row " << i;
        }
    }
}

TEST(ReferenceClosedForm, AShiftLeftToItsDefaultHasThatShiftsGradient) {
    for (int activation = 0; activation < activation_count; ++activation) {
        if (!describe(activation).takes_shift) continue;
        Example<double> by_default(activation, {}), by_hand(activation, {});
        by_default.shift.clear();
        visit(activation, [&]<class A>(A) {
            if constexpr (A::takes_shift) std::ranges::fill(by_hand.shift, A::default_shift(5.0));  // 5 keys
        });
        by_default.dout.values = by_hand.dout.values;
        by_default.run();
        by_hand.run();
        expect_same_outputs(by_default, by_hand);
        expect_near(by_default.dshift, by_hand.dshift, "dshift of " + activation_name(activation));
    }
}

}  // namespace
}  // namespace hone::reference
