// physics_test.cpp: what is known of the model is found: SGD on the theory's curves, the Bayes risk,
// softmax's floor, the order of the stages, redundant heads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "experiment/experiments.hpp"
#include "experiment/stages.hpp"
#include "theory/flow.hpp"

namespace single_location {
namespace {

using nlohmann::json;

// A job's surroundings where nothing interrupts it.
class Undisturbed final : public Progress {
  public:
    void done(double) override {}
    bool save_due() override { return false; }
    void save(const json&) override {}
    const json& saved() const override { return nothing_; }

  private:
    json nothing_;
};

std::vector<Result> run_all(const Sweep& sweep) {
    Undisturbed progress;
    std::vector<Result> results;
    for (const Job& job : sweep.jobs) results.push_back(job.run(progress));
    return results;
}

Settings settings(const char* experiment) {
    Settings s;
    s.experiment = experiment;
    s.threads = 2;
    s.samples = 1 << 15;
    return s;
}

// The best starts of each case, in the order of the cases.
std::vector<json> best(const Sweep& sweep) {
    const json all = sweep.summarise(run_all(sweep)).at("best");
    return {all.begin(), all.end()};
}

// By source ("sgd", "theory"): M in the order of rows, for each run.
std::map<std::string, std::vector<std::vector<double>>> overlaps_of(const std::vector<Result>& results) {
    std::map<std::string, std::vector<std::vector<double>>> runs;
    for (const Result& result : results) {
        std::vector<double> m;
        for (const Row& row : result.rows)
            if (std::get<std::string>(row[4]) == "M") m.push_back(std::get<double>(row[7]));
        runs[result.summary.at("source")].push_back(m);
    }
    return runs;
}

// Six runs of SGD from the same queries on other samples; the theory lies within the spread of single runs,
// everywhere on the way from equal heads to parted ones. (Gradient flow, without the noise of minibatches,
// leaves it.)
TEST(Dynamics, sgd_at_dimension_1000_is_within_its_fluctuations_of_the_theory) {
    Settings s = settings("dynamics");
    s.tokens = 10, s.dim = 1000, s.heads = {2}, s.mu = 1.5, s.nu = {1.6};
    s.optimizer = "sgd", s.rate = 0.5, s.batch = 128, s.steps = 300, s.starts = 6, s.sets = 2;
    s.initial_size = s.initial_overlap = 0.2, s.samples = 4096;
    auto runs = overlaps_of(run_all(dynamics(s)));
    ASSERT_EQ(runs["sgd"].size(), 6u);
    ASSERT_EQ(runs["theory"].size(), 2u);
    const std::vector<double>& theory = runs["theory"][0];
    double largest_band = 0, moved = 0;
    for (std::size_t i = 0; i < theory.size(); ++i) {
        std::vector<double> at;
        for (const auto& run : runs["sgd"]) at.push_back(run.at(i));
        const Estimate sgd = over_replicates(at);
        const double band = 2 * sgd.error * std::sqrt(6.0);
        const double of_theory = std::abs(theory[i] - runs["theory"][1][i]);
        EXPECT_NEAR(theory[i], sgd.value, band + of_theory + 0.01) << i;
        largest_band = std::max(largest_band, band);
        moved = std::max(moved, std::abs(theory[i] - theory[i % 4]));
    }
    EXPECT_GT(moved, 10 * largest_band);
    double flow_is_off = 0;
    for (std::size_t i = 0; i < theory.size(); ++i) {
        std::vector<double> at;
        for (const auto& run : runs["sgd"]) at.push_back(run.at(i));
        const double off = std::abs(runs["flow"][0][i] - over_replicates(at).value);
        flow_is_off = std::max(flow_is_off, off - 2 * over_replicates(at).error * std::sqrt(6.0));
    }
    EXPECT_GT(flow_is_off, 0.02);
}

TEST(Risk, trained_bayes_softmax_is_on_the_bayes_risk) {
    Settings few = settings("risk"), more = settings("risk"), unequal = settings("risk");
    few.activations = {"bayes_softmax"}, few.strengths = {1, 3};
    more.activations = {"bayes_softmax"}, more.tokens = 20, more.nu = {2, 1.5}, more.heads = {4};
    unequal.activations = {"bayes_softmax+b"}, unequal.heads = {3};
    unequal.points = {"0.6:1,2", "0.3:-2,0.5", "0.1:0.3,-3"};
    for (const Settings& s : {few, more, unequal})
        for (const json& one : best(risk(s))) {
            const double bayes = one.at("bayes"), error = one.at("risk_error");
            EXPECT_NEAR(one.at("risk"), bayes, 2 * error + 0.01 * bayes) << one;
            EXPECT_LT(error, 0.01 * bayes) << one;
        }
}

// Two opposite spikes: where one head finds the token, the other is at a loss, and their mean is off by a
// half.
TEST(Risk, softmax_stays_above_a_quarter_for_opposite_spikes_and_falls_towards_it) {
    Settings s = settings("risk");
    s.mu = 0, s.strengths = {1, 4, 16}, s.starts = 3;
    double before = 1;
    for (const json& one : best(risk(s))) {
        const double now = one.at("risk");
        EXPECT_GT(now, 0.25) << one;
        EXPECT_LT(now, before) << one;
        before = now;
    }
    EXPECT_LT(before, 0.29);
}

// Of independent code: L 10, mu 1, F 2, H 2; by nu, the Bayes risk and those of the activations below.
const std::map<double, std::vector<double>> kPrototype = {{1, {0.750, 0.750, 0.769, 0.843, 0.761, 0.773}},
                                                          {3, {0.173, 0.173, 0.466, 0.435, 0.247, 0.280}},
                                                          {6, {0.0002, 0.0005, 0.325, 0.185, 0.007, 0.011}}};
const std::vector<std::string> kOfPrototype = {"bayes_softmax", "softmax", "softmax_1", "softmax_1+b",
                                               "sigmoid+b"};

// At nu = 6 the prototype had not trained to the end where a head has a bias, or where all is nearly perfect:
// there a lower risk, down to the Bayes risk, is no failure to reproduce it.
void expect_prototype(const json& one) {
    const double nu = one.at("strength"), risk = one.at("risk"), bayes = one.at("bayes");
    const std::string activation = one.at("activation");
    const std::vector<double>& row = kPrototype.at(nu);
    const auto column =
        std::find(kOfPrototype.begin(), kOfPrototype.end(), activation) - kOfPrototype.begin();
    const double expected = row.at(1 + column), rounding = nu == 6 ? 5e-5 : 5e-4;
    const bool untrained = nu == 6 && activation != "softmax" && activation != "softmax_1";
    EXPECT_LT(risk, 1.03 * expected + rounding) << one;
    EXPECT_GT(risk, untrained ? bayes - 1e-6 : 0.97 * expected - rounding) << one;
    const double error = one.at("bayes_error");
    EXPECT_NEAR(bayes, row[0], 0.03 * row[0] + 2 * error + rounding) << one;
}

TEST(Risk, the_prototypes_table_is_reproduced) {
    Settings s = settings("risk");
    s.activations = kOfPrototype, s.strengths = {1, 3}, s.starts = 1;
    for (const json& one : best(risk(s))) expect_prototype(one);
    s.strengths = {6}, s.samples = 1 << 17;
    s.activations = {"bayes_softmax", "softmax_1", "softmax_1+b", "sigmoid+b"};
    for (const json& one : best(risk(s))) expect_prototype(one);
    s.activations = {"softmax"}, s.starts = 4;  // of which some get stuck at 0.6
    for (const json& one : best(risk(s))) expect_prototype(one);
}

// Of gradient flow from queries of size 0.05.
TEST(Stages, heads_part_along_the_features_in_the_order_of_their_variances_for_five_seeds) {
    const Signal signal = Signal::flipped_spike(1.5, {1.1, 1.6});
    const Attention attention = parse_attention("softmax", 20);
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const Draws draws(signal, {20, 4, 4096, 4}, 100 + seed);
        const Tokens tokens(signal, 20, 3, Tokens::Directions::axes, seed);
        TrainingOptions options;
        options.initial_size = 0, options.initial_overlap = 0.05;
        Trainer trainer(tokens, attention, 4, Loss::limit, options, seed);
        Matrix m(4, 3);
        std::copy(trainer.queries(), trainer.queries() + 12, m.data());
        std::vector<double> times;
        for (int i = 0; i <= 100; ++i) times.push_back(0.4 * i * i);
        Trajectory path;
        FlowOptions flow;
        flow.threads = 2;
        for (const Moment& at :
             integrate(draws, attention, {m, m * m.transpose(), Vector::Zero(4)}, times, flow)) {
            path.times.push_back(at.time);
            path.m.push_back(at.overlaps.m);
        }
        std::vector<int> order;
        for (const Stage& stage : find_stages(path, signal))
            if (stage.kind != Stage::Kind::changes_side) order.push_back(stage.feature);
        EXPECT_EQ(order, (std::vector<int>{0, 2, 1})) << "seed " << seed;
    }
}

Trajectory a_trajectory(const std::vector<std::vector<double>>& m) {
    Trajectory t;
    for (std::size_t i = 0; i < m.size(); ++i) {
        t.times.push_back(10.0 * static_cast<double>(i));
        t.m.push_back(Eigen::Map<const Matrix>(m[i].data(), 2, 2));
    }
    return t;
}

TEST(Stages, are_found_where_curves_pass_half_of_their_end) {
    const Signal signal = Signal::flipped_spike(2, {1});
    const std::vector<Stage> stages = find_stages(
        a_trajectory({{0, 0.01, 0, -0.01}, {0.8, 0.01, 0.8, -0.01}, {1.6, 0.02, 1.6, -0.02}, {2, 2, 2, -2}}),
        signal);
    ASSERT_EQ(stages.size(), 2u);
    EXPECT_EQ(describe(stages[0]), "heads move together along the mean signal");
    EXPECT_NEAR(stages[0].time, 12.5, 1e-9);
    EXPECT_EQ(describe(stages[1]), "heads part along direction 2");
    EXPECT_NEAR(stages[1].time, 20 + 10 * 0.98 / 1.98, 1e-9);
}

TEST(Stages, a_head_that_ends_on_the_other_side_is_named) {
    const Signal signal = Signal::flipped_spike(2, {1});
    const std::vector<Stage> stages = find_stages(
        a_trajectory({{0, 0.01, 0, -0.01}, {2, 2, 2, -2}, {2, 1, 2, -1}, {2, -1, 2, 1}, {2, -2, 2, 2}}),
        signal);
    ASSERT_EQ(stages.size(), 4u);
    EXPECT_EQ(describe(stages[2]), "head 1 changes sides along direction 2");
    EXPECT_EQ(stages[2].time, 30);
}

// Eight heads for four points: four can go. What is then left are heads that are needed.
TEST(Prune, redundant_heads_go_at_little_cost_and_risk_never_falls) {
    Settings s = settings("prune");
    s.nu = {2, 1.5}, s.heads = {8}, s.activations = {"bayes_softmax+b", "softmax_1+b"};
    for (const json& one : best(prune(s))) {
        const std::vector<double> risk = one.at("pruned_risk");  // 8, 7, ..., 1 heads
        const double error = one.at("risk_error"), bayes = one.at("bayes");
        for (int kept = 7; kept >= 1; --kept)
            EXPECT_GT(risk[8 - kept], risk[8 - kept - 1] - 2 * error) << one;
        EXPECT_LT(risk[4] - risk[0], 0.05 * bayes) << one;  // 4 heads kept
        EXPECT_GT(risk[5] - risk[4], 0.05 * bayes) << one;  // 3
    }
}

// With a signal that is easily seen, a trained sink silences the heads of other points; softmax's cannot be
// silent.
TEST(Noise, irrelevant_heads_are_silent_with_a_sink_and_not_without) {
    Settings s = settings("noise");
    s.strengths = {4}, s.activations = {"softmax", "softmax_1+b", "bayes_softmax"};
    std::map<std::string, double> noise;
    for (const json& one : best(single_location::noise(s)))
        noise[one.at("activation")] = one.at("irrelevant_noise");
    EXPECT_GT(noise.at("softmax"), 0.05);
    EXPECT_LT(noise.at("softmax_1+b"), 0.5 * noise.at("softmax"));
    EXPECT_LT(noise.at("bayes_softmax"), 0.5 * noise.at("softmax_1+b"));
}

}  // namespace
}  // namespace single_location
