// model_test.cpp: samples are what the model says, gradients are those of the loss, and training is the same
// however many threads share it.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <stdexcept>

#include "model/trainer.hpp"
#include "random/random.hpp"

namespace single_location {
namespace {

// Every activation of the library, as it comes and with its trained bias where it has one.
std::vector<std::string> all_attentions() {
    std::vector<std::string> names;
    for (int i = 0; i < hone_activation_count(); ++i) {
        const std::string name = hone::describe(static_cast<hone_activation>(i)).name;
        for (const std::string& text : {name, name + "+b", name + ":mean", name + ":sum"}) try {
                parse_attention(text, 10);
                names.push_back(text);
            } catch (const std::invalid_argument&) {
            }
    }
    return names;
}

void expect_refused(const std::string& text, const std::string& words) {
    try {
        parse_attention(text, 10);
        FAIL() << text << " is taken";
    } catch (const std::invalid_argument& error) {
        EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
}

TEST(Attention, wrong_names_are_refused_with_the_right_ones) {
    expect_refused("softmux", "softmax, softmax_1, bayes_softmax");
    expect_refused("softmax+b", "softmax_1+b");
    expect_refused("softplus+b", "asks for a bias");
    expect_refused("softmax:both", "NAME:mean or NAME:sum");
}

TEST(Attention, heads_whose_weights_sum_to_1_are_averaged_and_others_summed) {
    EXPECT_EQ(parse_attention("softmax", 10).combine, Combine::mean);
    EXPECT_EQ(parse_attention("softmax:sum", 10).combine, Combine::sum);
    EXPECT_EQ(parse_attention("softmax_1", 10).combine, Combine::sum);
    EXPECT_EQ(parse_attention("softmax_1+b:mean", 10).combine, Combine::mean);
    EXPECT_EQ(parse_attention("bayes_softmax", 10).combine, Combine::sum);
}

TEST(Signal, mean_and_variance_are_those_of_its_draws) {
    const Signal signals[] = {Signal::flipped_spike(1.5, {1.6, 1.3}), Signal::gaussian({1, -0.5}, {0.5, 2}),
                              Signal::discrete({{1, 2}, {-3, 0}, {0, 1}}, {1, 2, 5})};
    constexpr int count = 20000;
    for (const Signal& signal : signals) {
        const int features = signal.features();
        std::vector<double> uniform(signal.uniforms()), theta(features), sum(features), squares(features);
        for (int i = 0; i < count; ++i) {
            for (int u = 0; u < signal.uniforms(); ++u)
                uniform[u] = (random_words(1, 0, i, 0)[u] + 0.5) * 0x1p-32;
            signal.draw(uniform, theta);
            for (int f = 0; f < features; ++f) sum[f] += theta[f], squares[f] += theta[f] * theta[f];
        }
        for (int f = 0; f < features; ++f) {
            const double mean = sum[f] / count, variance = squares[f] / count - mean * mean;
            EXPECT_NEAR(mean, signal.mean()[f], 4 * std::sqrt((signal.variance()[f] + 1e-9) / count));
            EXPECT_NEAR(variance, signal.variance()[f], 0.05 * signal.variance()[f] + 1e-9);
        }
    }
}

TEST(Signal, bad_parameters_are_named) {
    EXPECT_THROW(Signal::flipped_spike(NAN, {1}), std::invalid_argument);
    EXPECT_THROW(Signal::flipped_spike(1, std::vector<double>(11, 1.0)), std::invalid_argument);
    EXPECT_THROW(Signal::gaussian({0}, {-1}), std::invalid_argument);
    EXPECT_THROW(Signal::gaussian({0, 1}, {1}), std::invalid_argument);
    EXPECT_THROW(Signal::discrete({{1, 2}, {1}}, {1, 1}), std::invalid_argument);
    EXPECT_THROW(Signal::discrete({{1}}, {0}), std::invalid_argument);
}

TEST(Tokens, directions_are_orthonormal) {
    const Tokens tokens(Signal::flipped_spike(1, {1, 2, 3}), 5, 100, Tokens::Directions::random, 3);
    const std::vector<float>& k = tokens.directions();
    for (int f = 0; f < 4; ++f)
        for (int g = 0; g < 4; ++g)
            EXPECT_NEAR(std::inner_product(&k[f * 100], &k[f * 100] + 100, &k[g * 100], 0.0), f == g, 1e-6);
}

// All else of a sample is the noise of its number; the marked tokens are uniform, and their signal is one of
// the points.
TEST(Tokens, the_signal_is_added_to_the_marked_token_alone) {
    constexpr int count = 2000, tokens = 7, dim = 40, size = tokens * dim;
    const Signal signal = Signal::flipped_spike(1.5, {2});
    const Tokens made(signal, tokens, dim, Tokens::Directions::random, 9);
    std::vector<float> x(count * size), noise(count * size);
    std::vector<int> epsilon(count), at(tokens), plus(2);
    made.make(50, count, x.data(), epsilon.data());
    fill_normals(9, kNoise, 50, count, size, noise.data());
    for (int i = 0; i < count; ++i) {
        for (int j = 0; j < size; ++j)
            if (j / dim != epsilon[i]) {
                ASSERT_EQ(x[i * size + j], noise[i * size + j]);
            }
        double theta[2] = {};
        for (int f = 0; f < 2; ++f)
            for (int d = 0; d < dim; ++d) {
                const int j = i * size + epsilon[i] * dim + d;
                theta[f] += (x[j] - noise[j]) * made.directions()[f * dim + d];
            }
        ASSERT_NEAR(theta[0], 1.5, 1e-5);
        ASSERT_NEAR(std::abs(theta[1]), 2, 1e-5);
        ++at[epsilon[i]], ++plus[theta[1] > 0];
    }
    for (int n : at) EXPECT_NEAR(n, count / 7.0, 4 * std::sqrt(count / 7.0));
    EXPECT_NEAR(plus[0], count / 2, 2 * std::sqrt(count));
}

TEST(Tokens, a_sample_is_the_same_however_the_samples_are_cut) {
    const Tokens made(Signal::gaussian({1, 0}, {1, 2}), 6, 33, Tokens::Directions::axes, 4);
    std::vector<float> whole(10 * 6 * 33), part(3 * 6 * 33);
    std::vector<int> epsilon(10), of_part(3);
    made.make(20, 10, whole.data(), epsilon.data());
    made.make(24, 3, part.data(), of_part.data());
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 4 * 6 * 33));
    EXPECT_TRUE(std::equal(of_part.begin(), of_part.end(), epsilon.begin() + 4));
    EXPECT_THROW(Tokens(Signal::gaussian({1, 0}, {1, 2}), 6, 1, Tokens::Directions::axes, 4),
                 std::invalid_argument);
}

// Some samples in double precision.
struct Block {
    Block(int count, int tokens, int dim) : n(count), x(count * tokens * dim) {
        std::vector<float> normals(x.size());
        fill_normals(5, 9, 0, 1, static_cast<std::int64_t>(normals.size()), normals.data());
        std::copy(normals.begin(), normals.end(), x.begin());
        for (int i = 0; i < count; ++i)
            marked.push_back(i % tokens), x[(i * tokens + marked[i]) * dim] += 1.5;
        samples = {count, x.data(), marked.data()};
    }
    int n;
    std::vector<double> x;
    std::vector<int> marked;
    Samples<double> samples;
};

class EveryAttention : public testing::TestWithParam<std::tuple<std::string, bool>> {};
INSTANTIATE_TEST_SUITE_P(Heads, EveryAttention,
                         testing::Combine(testing::ValuesIn(all_attentions()), testing::Bool()));

TEST_P(EveryAttention, gradients_are_those_of_the_loss) {
    const auto& [name, limit] = GetParam();
    constexpr int heads = 3, tokens = 6, dim = 11;
    const Attention attention = parse_attention(name, tokens);
    const Block block(5, tokens, dim);
    Heads<double> model(attention, {heads, tokens, dim}, limit ? Loss::limit : Loss::finite, block.n);
    std::vector<double> q(heads * dim), bias(heads), dq(q.size()), dbias(heads), dk(block.x.size());
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = 0.3 * std::sin(1.0 + static_cast<double>(i * i));
    for (int h = 0; h < heads; ++h) bias[h] = attention.first_bias + 0.1 * h;
    model.backward(block.samples, q.data(), bias.data(),
                   {dq.data(), attention.trained ? dbias.data() : nullptr, dk.data()});
    const auto slope = [&](double& parameter) {
        constexpr double step = 1e-5;
        const double before = parameter;
        parameter = before + step;
        const double above = model.forward(block.samples, q.data(), bias.data());
        parameter = before - step;
        const double below = model.forward(block.samples, q.data(), bias.data());
        parameter = before;
        return (above - below) / (2 * step);
    };
    for (std::size_t i = 0; i < q.size(); i += 3)
        EXPECT_NEAR(dq[i], slope(q[i]), 1e-7 + 1e-6 * std::abs(dq[i]));
    for (int h = 0; h < heads && attention.trained; ++h)
        EXPECT_NEAR(dbias[h], slope(bias[h]), 1e-7 + 1e-6 * std::abs(dbias[h]));
}

// With queries of 0 each head of softmax has weights 1/L, so the loss of the limit is 1 - 1/L.
TEST(Heads, without_queries_softmax_predicts_the_mean) {
    const Block block(4, 8, 3);
    Heads<double> model(parse_attention("softmax", 8), {2, 8, 3}, Loss::limit, block.n);
    const std::vector<double> q(6, 0.0);
    EXPECT_NEAR(model.forward(block.samples, q.data(), nullptr), 4 * (1 - 1.0 / 8), 1e-12);
    for (double loss : model.losses()) EXPECT_NEAR(loss, 1 - 1.0 / 8, 1e-12);
    for (int i = 0; i < 4 * 2 * 8; ++i) EXPECT_NEAR(model.weights()[i], 1.0 / 8, 1e-12);
}

// By plain loops: the prediction is the heads' weighted sum of tokens.
TEST(Heads, the_loss_is_how_far_the_prediction_is_from_the_marked_token) {
    constexpr int heads = 3, tokens = 5, dim = 17;
    const Block block(4, tokens, dim);
    std::vector<double> q(heads * dim);
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = 0.3 * std::sin(1.0 + static_cast<double>(i * i));
    Heads<double> model(parse_attention("softmax", tokens), {heads, tokens, dim}, Loss::finite, block.n);
    model.forward(block.samples, q.data(), nullptr);
    for (int i = 0; i < block.n; ++i) {
        const double* x = &block.x[i * tokens * dim];
        std::vector<double> off(x + block.marked[i] * dim, x + (block.marked[i] + 1) * dim);
        for (int h = 0; h < heads; ++h) {
            double weight[tokens], sum = 0;
            for (int l = 0; l < tokens; ++l)
                sum += weight[l] =
                    std::exp(std::inner_product(&q[h * dim], &q[h * dim] + dim, x + l * dim, 0.0));
            for (int l = 0; l < tokens; ++l)
                for (int d = 0; d < dim; ++d) off[d] -= weight[l] / sum / heads * x[l * dim + d];
        }
        EXPECT_NEAR(model.losses()[i], std::inner_product(off.begin(), off.end(), off.begin(), 0.0) / dim,
                    1e-12);
    }
}

TrainingOptions options(Optimizer optimizer, int threads) {
    TrainingOptions o;
    o.optimizer = optimizer, o.threads = threads, o.batch = 100, o.rate = 0.05, o.decay = 50;
    return o;
}

// A batch is several chunks.
TEST(Trainer, steps_are_bitwise_the_same_for_any_number_of_threads) {
    const Tokens tokens(Signal::flipped_spike(1.5, {1}), 12, 333, Tokens::Directions::random, 1);
    for (const Optimizer optimizer : {Optimizer::sgd, Optimizer::adam}) {
        std::vector<float> first;
        for (const int threads : {1, 2, 3, 5}) {
            Trainer trainer(tokens, parse_attention("bayes_softmax+b", 12), 5, Loss::finite,
                            options(optimizer, threads), 7);
            for (int i = 0; i < 4; ++i) trainer.step();
            if (first.empty()) first = trainer.state().parameters;
            EXPECT_EQ(trainer.state().parameters, first) << threads << " threads";
        }
    }
}

TEST(Trainer, goes_on_from_a_state_as_if_it_had_never_stopped) {
    const Tokens tokens(Signal::flipped_spike(1.5, {1}), 12, 2, Tokens::Directions::axes, 1);
    const auto make = [&] {
        return std::make_unique<Trainer>(tokens, parse_attention("softmax_1+b", 12), 3, Loss::limit,
                                         options(Optimizer::adam, 2), 7);
    };
    const auto straight = make(), before = make(), after = make();
    for (int i = 0; i < 6; ++i) straight->step();
    for (int i = 0; i < 3; ++i) before->step();
    after->state() = before->state();
    for (int i = 0; i < 3; ++i) after->step();
    EXPECT_EQ(after->state().parameters, straight->state().parameters);
}

// By the formula, from the samples themselves.
TEST(Trainer, a_step_of_sgd_goes_down_the_mean_gradient) {
    constexpr int heads = 2, length = 6, dim = 50;
    const Tokens tokens(Signal::flipped_spike(1.5, {1}), length, dim, Tokens::Directions::random, 1);
    TrainingOptions o = options(Optimizer::sgd, 1);
    o.decay = 0, o.batch = 64, o.initial_size = 1;
    const Attention attention = parse_attention("sigmoid+b", length);
    Trainer trainer(tokens, attention, heads, Loss::finite, o, 7);
    const std::vector<float> before = trainer.state().parameters;
    std::vector<float> x(64 * length * dim), gradient(heads * dim + heads);
    std::vector<int> epsilon(64);
    for (int step = 0; step < 2; ++step) trainer.step();
    std::vector<float> expected = before;
    Heads<float> model(attention, {heads, length, dim}, Loss::finite, 64);
    for (int step = 0; step < 2; ++step) {
        tokens.make(64 * step, 64, x.data(), epsilon.data());
        model.backward({64, x.data(), epsilon.data()}, expected.data(), expected.data() + heads * dim,
                       {gradient.data(), gradient.data() + heads * dim});
        for (std::size_t i = 0; i < gradient.size(); ++i) expected[i] -= 0.05f * gradient[i] / 64;
    }
    for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_NEAR(trainer.state().parameters[i], expected[i], 1e-6) << i;
}

// Its first step is the rate in the direction of the gradient's sign; at the end of its decay it stands
// still.
TEST(Trainer, adam_moves_by_its_rate_which_falls_as_a_cosine) {
    const Tokens tokens(Signal::flipped_spike(1.5, {1}), 8, 2, Tokens::Directions::axes, 1);
    TrainingOptions o = options(Optimizer::adam, 1);
    o.decay = 4, o.initial_size = 1;
    Trainer trainer(tokens, parse_attention("softmax", 8), 3, Loss::limit, o, 7);
    std::vector<float> before = trainer.state().parameters;
    trainer.step();
    for (int i = 0; i < 6; ++i)
        EXPECT_NEAR(std::abs(trainer.state().parameters[i] - before[i]), o.rate, 1e-3 * o.rate) << i;
    for (int step = 1; step < 4; ++step) {
        before = trainer.state().parameters;
        trainer.step();
        const double n = step + 1, most = o.rate * 0.5 * (1 + std::cos(M_PI * step / 4));
        for (int i = 0; i < 6; ++i) {
            const TrainingState& s = trainer.state();
            const double first = s.first[i] / (1 - std::pow(0.9, n)),
                         second = s.second[i] / (1 - std::pow(0.999, n));
            EXPECT_NEAR(before[i] - s.parameters[i], most * first / std::sqrt(second), 1e-5)
                << step << " " << i;
        }
    }
    before = trainer.state().parameters;
    trainer.step();
    EXPECT_EQ(trainer.state().parameters, before);
}

}  // namespace
}  // namespace single_location
