// theory_test.cpp: expectations and their derivatives, the flow, the Bayes risk and the Hessian, against
// closed forms, finite differences and plain loops.
#include <gtest/gtest.h>

#include <cmath>

#include "theory/bayes.hpp"
#include "theory/flow.hpp"
#include "theory/hessian.hpp"

namespace single_location {
namespace {

const Signal kSpike = Signal::flipped_spike(1.5, {1.6, 1.0});
constexpr int kTokens = 8;

Matrix some_queries(int heads, int coordinates) {
    Matrix q(heads, coordinates);
    for (int h = 0; h < heads; ++h)
        for (int c = 0; c < coordinates; ++c) q(h, c) = 0.5 * std::sin(3.0 * h + 1.7 * c + 1);
    return q;
}

double loss_at(const Draws& draws, const Attention& attention, const Matrix& q, const Vector& bias) {
    return expect(draws, attention, q, bias, Wanted::loss, 1).loss.value;
}

TEST(Population, gradients_are_the_differences_of_the_population_loss) {
    const Draws draws(kSpike, {kTokens, 2, 256, 2}, 1);
    for (const char* name :
         {"softmax", "softmax_1+b", "bayes_softmax+b", "sigmoid+b", "erf+b", "relu_squared+b"}) {
        const Attention attention = parse_attention(name, kTokens);
        Matrix q = some_queries(3, 5);
        Vector bias = Vector::Constant(3, attention.first_bias) + 0.1 * Vector::Unit(3, 1);
        const Population p = expect(draws, attention, q, bias, Wanted::gradient_and_noise, 2);
        EXPECT_EQ(p.loss.value, loss_at(draws, attention, q, bias));
        const auto slope = [&](double& parameter) {
            constexpr double step = 1e-5;
            parameter += step;
            const double above = loss_at(draws, attention, q, bias);
            parameter -= 2 * step;
            const double below = loss_at(draws, attention, q, bias);
            parameter += step;
            return (above - below) / (2 * step);
        };
        for (int i = 0; i < q.size(); ++i)
            EXPECT_NEAR(p.gradient.data()[i], slope(q.data()[i]), 1e-8) << name;
        for (int h = 0; h < 3 && attention.trained; ++h)
            EXPECT_NEAR(p.bias_gradient[h], slope(bias[h]), 1e-8) << name;
    }
}

TEST(Population, is_the_same_for_any_number_of_threads) {
    const Draws draws(kSpike, {kTokens, 2, 500, 4}, 1);
    const Attention attention = parse_attention("softmax", kTokens);
    const Matrix q = some_queries(2, 5);
    const Vector bias = Vector::Zero(2);
    const Population one = expect(draws, attention, q, bias, Wanted::gradient_and_noise, 1);
    for (int threads : {2, 3, 5}) {
        const Population other = expect(draws, attention, q, bias, Wanted::gradient_and_noise, threads);
        EXPECT_EQ(other.loss.value, one.loss.value);
        EXPECT_EQ(other.gradient, one.gradient);
        EXPECT_EQ(other.noise, one.noise);
    }
}

// a_l = sum_h (chi_hl + b_h) / L: a Gaussian in chi, so that the loss, its gradient, and the covariance of g
// are polynomials in M and Q. With S = sum_h q_h: r = (S . x + B) / L - delta, g_hl = 2 r_l / L for each
// head.
TEST(Population, of_the_linear_activation_is_the_closed_form) {
    const Draws draws(kSpike, {kTokens, 2, 1 << 15, 16}, 1);
    const Attention attention = parse_attention("linear+b", kTokens);
    const Matrix q = 0.5 * some_queries(2, 5);
    const Vector bias = Vector::Constant(2, 0.7);
    const Population p = expect(draws, attention, q, bias, Wanted::gradient_and_noise, 1);
    const double l = kTokens, b = bias.sum() / l;
    const Vector s = q.colwise().sum().transpose() / l, m = s.head(3);
    const Vector mean = Eigen::Map<const Vector>(kSpike.mean().data(), 3);
    const Vector variance = Eigen::Map<const Vector>(kSpike.variance().data(), 3);
    const double shift = m.dot(mean), spread = m.cwiseAbs2().dot(variance);
    const double marked = std::pow(shift + b - 1, 2) + spread + s.squaredNorm();  // E r^2
    const double other = b * b + s.squaredNorm();
    const double loss = marked + (l - 1) * other;
    EXPECT_NEAR(p.loss.value, loss, 5 * p.loss.error + 1e-6);
    EXPECT_LT(p.loss.error, 2e-3 * loss);
    Vector gradient = 2 * s * l;  // of the loss in S / L
    gradient.head(3) += 2 * ((shift + b - 1) * mean + variance.cwiseProduct(m));
    for (int h = 0; h < 2; ++h)
        for (int c = 0; c < 5; ++c) EXPECT_NEAR(p.gradient(h, c), gradient[c] / l, 2e-3) << h << " " << c;
    for (int i = 0; i < 4; ++i) EXPECT_NEAR(p.noise.data()[i], 4 * loss / (l * l), 2e-3 * loss) << i;
}

// To first order in the queries softmax moves all heads alike, by 2 (1 - 1/L) E theta / (H L).
TEST(Population, of_softmax_without_queries_pulls_all_heads_along_the_mean_signal) {
    const Draws draws(kSpike, {kTokens, 1, 1 << 14, 8}, 1);
    const Population p = expect(draws, parse_attention("softmax", kTokens), Matrix::Zero(3, 4),
                                Vector::Zero(3), Wanted::gradient, 1);
    EXPECT_NEAR(p.loss.value, 1 - 1.0 / kTokens, 1e-12);
    const double pull = 2 * (1 - 1.0 / kTokens) / (3 * kTokens);
    for (int h = 0; h < 3; ++h) {
        EXPECT_NEAR(p.gradient(h, 0), -pull * 1.5, 1e-4);
        for (int c = 1; c < 4; ++c) EXPECT_NEAR(p.gradient(h, c), 0, 1e-4);
    }
}

// The gradients with respect to the scores, from softmax by hand.
TEST(Population, noise_is_the_covariance_of_the_score_gradients) {
    const Draws draws(kSpike, {kTokens, 2, 64, 1}, 1);
    const Matrix q = some_queries(2, 5);
    Matrix noise = Matrix::Zero(2, 2);
    for (int i = 0; i < 64; ++i) {
        const Eigen::Map<const Matrix> x(draws.tokens(i), kTokens, 5);
        Matrix p = (x * q.transpose()).array().exp();  // [L, H]
        for (int h = 0; h < 2; ++h) p.col(h) /= p.col(h).sum();
        const Vector residual = (p.rowwise().sum() / 2 - Vector::Unit(kTokens, 0)).eval();
        Matrix g(kTokens, 2);
        for (int h = 0; h < 2; ++h)
            g.col(h) = p.col(h).cwiseProduct(residual - Vector::Constant(kTokens, p.col(h).dot(residual)));
        noise += g.transpose() * g / 64;
    }
    const Population p =
        expect(draws, parse_attention("softmax", kTokens), q, Vector::Zero(2), Wanted::gradient_and_noise, 1);
    EXPECT_LT((p.noise - noise).norm(), 1e-12 + 1e-10 * noise.norm());
}

TEST(Flow, reduced_queries_have_the_overlaps) {
    const Matrix q = some_queries(4, 30);
    const Overlaps overlaps = {q.leftCols(3), q * q.transpose(), Vector::Zero(4)};
    const Matrix reduced = reduced_queries(overlaps);
    EXPECT_LT((reduced.leftCols(3) - overlaps.m).norm(), 1e-12);
    EXPECT_LT((reduced * reduced.transpose() - overlaps.q).norm(), 1e-10);
}

// In the space of the reduced coordinates: small steps down the gradient are the flow.
TEST(Flow, is_gradient_descent_with_small_steps) {
    const Draws draws(kSpike, {kTokens, 2, 256, 2}, 1);
    const Attention attention = parse_attention("softmax_1+b", kTokens);
    Matrix q = some_queries(2, 5);
    Vector bias = Vector::Zero(2);
    const Overlaps start = {q.leftCols(3), q * q.transpose(), bias};
    FlowOptions options;
    options.tolerance = 1e-7;
    const std::vector<Moment> moments = integrate(draws, attention, start, {0, 3}, options);
    // The same samples in the space in which reduced_queries puts them.
    Matrix x = reduced_queries(start);
    constexpr int steps = 3000;
    for (int i = 0; i < steps; ++i) {
        const Population p = expect(draws, attention, x, bias, Wanted::gradient, 1);
        x -= 3.0 / steps * p.gradient, bias -= 3.0 / steps * p.bias_gradient;
    }
    const Overlaps& end = moments.back().overlaps;
    EXPECT_GT((end.m - start.m).norm(), 0.1);
    // The samples stand still while the root of Q - M M^T may turn: equal up to their sampling error.
    EXPECT_LT((end.m - x.leftCols(3)).norm(), 0.02 * (end.m - start.m).norm());
    EXPECT_LT((end.q - x * x.transpose()).norm(), 0.03 * (end.q - start.q).norm());
    EXPECT_LT((end.bias - bias).norm(), 0.02 * bias.norm() + 1e-4);
}

TEST(Flow, noise_feeds_the_norms_alone) {
    const Draws draws(kSpike, {kTokens, 2, 256, 2}, 1);
    const Attention attention = parse_attention("softmax", kTokens);
    const Matrix q = some_queries(2, 5);
    const Overlaps at = {q.leftCols(3), q * q.transpose(), Vector::Zero(2)};
    FlowOptions quiet, noisy;
    noisy.noise = 2;
    const Overlaps without = rates(draws, attention, at, quiet), with = rates(draws, attention, at, noisy);
    const Population p =
        expect(draws, attention, reduced_queries(at), at.bias, Wanted::gradient_and_noise, 1);
    EXPECT_LT((with.m - without.m).norm(), 1e-12);
    EXPECT_LT((with.q - without.q - 2 * p.noise).norm(), 1e-12);
    EXPECT_GT(p.noise.trace(), 0.01);
}

TEST(Bayes, bayes_softmax_with_the_points_as_queries_is_the_posterior) {
    const Signal signal = Signal::discrete({{1, 2}, {-1.5, 0.5}, {0.3, -2}}, {1, 2, 5});
    const Draws draws(signal, {kTokens, 0, 4096, 8}, 3);
    Matrix q(3, 2);
    Vector prior(3);
    for (int h = 0; h < 3; ++h) {
        for (int f = 0; f < 2; ++f) q(h, f) = signal.points()[h][f];
        prior[h] = std::log(signal.weights()[h]) - q.row(h).squaredNorm() / 2;
    }
    const Estimate bayes = bayes_risk(signal, draws);
    EXPECT_NEAR(loss_at(draws, parse_attention("bayes_softmax", kTokens), q, prior), bayes.value, 1e-12);
    EXPECT_GT(bayes.value, 0.1);
    for (double scale : {0.7, 1.4})  // it is the best
        EXPECT_GT(loss_at(draws, parse_attention("bayes_softmax", kTokens), scale * q, prior), bayes.value);
}

TEST(Bayes, without_signal_the_risk_is_that_of_guessing) {
    const Signal nothing = Signal::discrete({{0.0}}, {1});
    EXPECT_NEAR(bayes_risk(nothing, Draws(nothing, {5, 0, 64, 2}, 1)).value, 1 - 1.0 / 5, 1e-12);
}

// E_theta exp(theta z - theta^2 / 2) by a fine sum over theta.
TEST(Bayes, the_evidence_of_a_gaussian_is_its_integral) {
    const double mean = 0.8, variance = 1.7;
    const Signal signal = Signal::gaussian({mean}, {variance});
    for (double z : {-3.0, -0.4, 0.0, 1.3, 5.0}) {
        double sum = 0;
        constexpr double step = 1e-3;
        for (double t = mean - 16; t < mean + 16; t += step)
            sum += step * std::exp(t * z - t * t / 2 - std::pow(t - mean, 2) / (2 * variance));
        EXPECT_NEAR(log_evidence(signal, &z), std::log(sum / std::sqrt(2 * M_PI * variance)), 1e-9);
    }
}

TEST(Bayes, a_gaussian_of_no_variance_is_its_mean) {
    const double z[2] = {0.3, -1.1};
    EXPECT_NEAR(log_evidence(Signal::gaussian({1, -2}, {0, 0}), z),
                log_evidence(Signal::discrete({{1, -2}}, {1}), z), 1e-14);
}

// Along (e_f, -e_f) for two heads the loss's second difference is twice the eigenvalue.
TEST(Hessian, its_eigenvalues_are_the_second_differences_of_the_loss) {
    const DrawsShape shape = {kTokens, 1, 2048, 4};
    const Attention attention = parse_attention("softmax", kTokens);
    const Unspecialised point = unspecialised(kSpike, attention, 2, shape, 5, 2, 1);
    const Draws draws(kSpike, shape, 5);
    const Matrix shared = point.query.transpose().replicate(2, 1);
    const Population p = expect(draws, attention, shared, Vector::Zero(2), Wanted::gradient, 1);
    EXPECT_LT(p.gradient.norm(), 1e-8);
    for (const Mode& mode : point.modes) {
        constexpr double step = 3e-3;
        const auto at = [&](double size) {
            Matrix q = shared;
            q.row(0) += size * mode.direction.transpose(), q.row(1) -= size * mode.direction.transpose();
            return loss_at(draws, attention, q, Vector::Zero(2));
        };
        EXPECT_NEAR(mode.eigenvalue.value, (at(step) - 2 * at(0) + at(-step)) / (2 * step * step), 1e-5);
    }
}

TEST(Hessian, the_heads_part_along_the_features_in_the_order_of_their_variances) {
    const Signal signal = Signal::flipped_spike(1.5, {1.0, 1.6, 1.3});
    for (const char* name : {"softmax", "bayes_softmax", "softmax_1+b"}) {
        const Unspecialised point =
            unspecialised(signal, parse_attention(name, 10), 3, {10, 0, 1024, 4}, 1, 2, 2);
        EXPECT_EQ(point.modes[0].feature, 2) << name;
        EXPECT_EQ(point.modes[1].feature, 3) << name;
        EXPECT_EQ(point.modes[2].feature, 1) << name;
        for (int m = 0; m < 3; ++m)
            EXPECT_LT(point.modes[m].eigenvalue.value, -5 * point.modes[m].eigenvalue.error)
                << name << " " << m;
    }
}

}  // namespace
}  // namespace single_location
