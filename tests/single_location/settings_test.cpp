// settings_test.cpp: the command line, and the sentences for what is wrong in it.
#include <gtest/gtest.h>

#include <sstream>

#include "experiment/options.hpp"

namespace single_location {
namespace {

struct Parsed {
    std::optional<Command> command;
    int status = 0;
    std::string said;
};

Parsed parse(std::vector<std::string> words) {
    words.insert(words.begin(), "hone-single-location");
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    Parsed parsed;
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    parsed.command =
        parse_command(static_cast<int>(arguments.size()), arguments.data(), false, parsed.status);
    parsed.said = testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
    return parsed;
}

TEST(Options, each_experiment_has_defaults_that_are_right) {
    for (const char* experiment : {"dynamics", "risk", "heads", "prune", "noise"}) {
        const Parsed parsed = parse({experiment});
        ASSERT_TRUE(parsed.command) << parsed.said;
        EXPECT_EQ(parsed.command->settings.experiment, experiment);
    }
}

TEST(Options, are_what_was_asked_for) {
    const Parsed parsed = parse(
        {"risk", "--tokens",  "20",      "--dim",        "1000",    "--heads",      "4",           "--mu",
         "1.5",  "--nu",      "1.6,1.3", "--activation", "softmax", "--activation", "erf+b:mean",  "--seed",
         "7",    "--threads", "3",       "--out",        "here",    "--resume",     "--strengths", "1,2"});
    ASSERT_TRUE(parsed.command) << parsed.said;
    const Settings& s = parsed.command->settings;
    EXPECT_EQ(s.tokens, 20);
    EXPECT_EQ(s.dim, 1000);
    EXPECT_EQ(s.heads, std::vector<int>{4});
    EXPECT_EQ(s.signal().features(), 3);
    EXPECT_EQ(s.activations, (std::vector<std::string>{"softmax", "erf+b:mean"}));
    EXPECT_EQ(s.seed, 7u);
    EXPECT_EQ(s.threads, 3);
    EXPECT_EQ(s.strengths, (std::vector<double>{1, 2}));
    EXPECT_EQ(parsed.command->out, "here");
    EXPECT_TRUE(parsed.command->resume);
}

TEST(Options, what_is_wrong_is_named_with_what_it_should_be) {
    const std::pair<std::vector<std::string>, const char*> cases[] = {
        {{}, "subcommand is required"},
        {{"risky"}, "risky"},
        {{"risk", "--tokens", "1"}, "--tokens: is 1; should be from 2"},
        {{"risk", "--tokens", "many"}, "--tokens"},
        {{"risk", "--dim", "0"}, "--dim: is 0; should be a whole number from 1 on, or inf"},
        {{"risk", "--dim", "1"}, "--dim: is 1; should be from 2"},
        {{"risk", "--dim", "10x"}, "--dim: is 10x"},
        {{"dynamics", "--heads", "1"}, "--heads: is 1; should be 2 at least"},
        {{"risk", "--heads", "0"}, "--heads: is 0"},
        {{"dynamics", "--heads=-4"}, "--heads: is -4"},
        {{"risk", "--activation", "tanh"}, "'tanh' should be NAME"},
        {{"risk", "--point", "1;2"}, "--point: is '1;2'; should be WEIGHT:X,Y"},
        {{"risk", "--point", "1:2,3", "--point", "1:2"}, "--point should have the same number"},
        {{"risk", "--mean", "1,2", "--variance", "1"}, "--mean and --variance"},
        {{"risk", "--strengths", "-1"}, "--strengths: is -1"},
        {{"risk", "--nu", "nan"}, "--nu should be finite"},
        {{"risk", "--optimizer", "lbfgs"}, "--optimizer: is lbfgs; should be sgd or adam"},
        {{"risk", "--rate", "0"}, "--rate: is 0; should be above 0"},
        {{"risk", "--threads", "0"}, "--threads: is 0"},
        {{"prune", "--strengths", "1"}, "--strengths"},
        {{"dynamics", "--optimizer", "adam"}, "--optimizer"},
        {{"risk", "--point", "1:1,2,"}, "--point: is '1:1,2,'"},
        {{"risk", "--point", "1:1,2e"}, "--point: is '1:1,2e'"},
        {{"risk", "--point", "1:1,2", "--mean", "3", "--variance", "1"}, " excludes --"},
        {{"risk", "--nu", "2", "--mean", "3", "--variance", "1"}, "--nu excludes --"},
        {{"risk", "--activation", "softmax", "--activation", "softmax"}, "should be given once"},
        {{"risk", "--strengths", "1e300"}, "finite"},
        {{"dynamics", "--tokens", "1000"}, "--tokens: is 1000; should be from 2 to 305"},
    };
    for (const auto& [words, sentence] : cases) {
        const Parsed parsed = parse(words);
        EXPECT_FALSE(parsed.command) << sentence;
        EXPECT_EQ(parsed.status, 2) << sentence;
        EXPECT_NE(parsed.said.find(sentence), std::string::npos) << sentence << " in: " << parsed.said;
    }
}

TEST(Options, help_explains_the_physics) {
    const Parsed parsed = parse({"--help"});
    EXPECT_FALSE(parsed.command);
    EXPECT_EQ(parsed.status, 0);
    EXPECT_NE(parsed.said.find("specialise one direction after another"), std::string::npos);
    EXPECT_NE(parse({"risk", "--help"}).said.find("Bayes risk"), std::string::npos);
}

TEST(Settings, points_are_read_with_their_weights) {
    Settings s;
    s.points = {"1:1,-2.5", "3:0,4"};
    const Signal signal = s.signal(2);
    EXPECT_EQ(signal.weights(), (std::vector<double>{0.25, 0.75}));
    // Twice as far from the mean, (0.25, 2.375).
    EXPECT_NEAR(signal.points()[0][0], 0.25 + 2 * 0.75, 1e-12);
    EXPECT_NEAR(signal.points()[1][1], 2.375 + 2 * (4 - 2.375), 1e-12);
}

TEST(Settings, strength_multiplies_the_distance_from_the_mean) {
    const Signal gaussian = Signal::gaussian({1, 2}, {3, 4}).scaled(2);
    EXPECT_EQ(gaussian.mean(), (std::vector<double>{1, 2}));
    EXPECT_EQ(gaussian.variance(), (std::vector<double>{12, 16}));
}

}  // namespace
}  // namespace single_location
