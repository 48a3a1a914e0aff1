// options.cpp: the subcommands, their options, and what each takes where nothing is said.
#include "experiment/options.hpp"

#include <omp.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <system_error>

#include "sweep/ranks.hpp"

namespace single_location {
namespace {

constexpr const char* kPhysics =
    "Trains attention heads on the single-location model: one token of L, hidden among Gaussian noise, "
    "carries a signal along unknown directions and is to be found; the heads first move together, then "
    "specialise one direction after another, and how low their risk gets depends on the activation.";

constexpr const char* kOfDynamics =
    "Follows the heads' overlaps with the hidden directions: SGD at dimension D beside the closed "
    "equations of D -> infinity, and the stages in which heads part, beside those that the Hessian "
    "predicts.";
constexpr const char* kOfRisk =
    "Test risk of trained heads against the strength of the signal, for each activation, beside the Bayes"
    " risk: softmax stays on a floor, as each head must spend its weight somewhere.";
constexpr const char* kOfHeads =
    "Test risk against the number of heads: where there are as many as P_theta has points, more help no "
    "more.";
constexpr const char* kOfPrune =
    "Test risk against the number of heads kept, taking away at each step the head whose loss costs "
    "least: redundant heads go at little cost.";
constexpr const char* kOfNoise =
    "What heads add to the prediction of a token whose signal is another head's: their weight on noise, "
    "for each activation, against the strength of the signal.";

// What mpirun says of how many of its ranks share this machine.
int ranks_here() {
    for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"})
        if (const char* value = std::getenv(name)) return std::max(1, std::atoi(value));
    return launch() ? std::max(1, launch()->size) : 1;
}

// A rank's share of the machine, and no more than the processors that it is bound to.
int default_threads() {
    if (std::getenv("OMP_NUM_THREADS")) return omp_get_max_threads();
    const int machine = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    return std::max(1, std::min(omp_get_num_procs(), machine / ranks_here()));
}

const std::vector<std::string> kEveryActivation = {
    "softmax",   "softmax_1", "softmax_1:mean", "softmax_1+b", "bayes_softmax", "softplus",
    "sigmoid+b", "relu+b",    "relu_squared+b", "linear+b",    "erf+b"};
const std::vector<std::string> kFewActivations = {"softmax", "softmax_1", "softmax_1+b", "sigmoid+b",
                                                  "bayes_softmax"};

Settings defaults(const std::string& experiment) {
    Settings s;
    s.experiment = experiment;
    s.threads = default_threads();
    if (s.dynamics()) {
        s.tokens = 20, s.dim = 1000, s.heads = {8}, s.mu = 1.5, s.nu = {1.6, 1.3, 1.0};
        s.optimizer = "sgd", s.rate = 1, s.batch = 256, s.steps = 4000;
        s.initial_size = s.initial_overlap = 0.05;
        // When heads part along the last direction depends on where they start: between t = 500 and 3000.
        // With this seed it is in the middle.
        s.samples = 32768, s.seed = 4;
        return s;
    }
    s.activations = kFewActivations;
    if (experiment == "risk") s.activations = kEveryActivation, s.samples = 1 << 18;
    if (s.varies_strength()) s.strengths = {0.5, 1, 2, 3, 4, 6};
    if (experiment == "heads") s.nu = {2, 1.5}, s.heads = {1, 2, 3, 4, 5, 6, 8};
    if (experiment == "prune") s.nu = {2, 1.5}, s.heads = {8};
    if (experiment == "heads" || experiment == "prune") s.starts = 3;
    return s;
}

int parse_dim(const std::string& text) {
    if (text == "inf") return 0;
    const char* end = text.data() + text.size();
    int dim = 0;
    const auto [after, error] = std::from_chars(text.data(), end, dim);
    if (error != std::errc() || after != end || dim < 1)
        throw CLI::ValidationError("--dim", "is " + text + "; should be a whole number from 1 on, or inf");
    return dim;
}

void add_model(CLI::App& app, Settings& s) {
    app.add_option("--tokens", s.tokens, "L, the tokens of a sequence");
    app.add_option_function<std::string>(
           "--dim", [&s](const std::string& text) { s.dim = parse_dim(text); },
           "D, the dimension of a token, or inf: the limit in which the loss depends on overlaps alone")
        ->default_str(s.dim ? std::to_string(s.dim) : "inf");
    app.add_option("--heads", s.heads, s.experiment == "heads" ? "H, all that are tried" : "H")
        ->delimiter(',')
        ->expected(1, s.experiment == "heads" ? 64 : 1);
    CLI::Option* const mu =
        app.add_option("--mu", s.mu, "what the marked token carries of the first direction: the same always");
    CLI::Option* const nu =
        app.add_option("--nu", s.nu, "and of each other direction: its sign is fair")->delimiter(',');
    CLI::Option* const mean =
        app.add_option("--mean", s.mean, "of a Gaussian theta, instead of --mu and --nu: of each direction")
            ->delimiter(',');
    CLI::Option* const variance =
        app.add_option("--variance", s.variance, "and its variances")->delimiter(',');
    CLI::Option* const point = app.add_option(
        "--point", s.points, "WEIGHT:X,Y,...: a point of a discrete theta, instead; repeatable");
    for (CLI::Option* const spike : {mu, nu}) spike->excludes(mean)->excludes(variance)->excludes(point);
    point->excludes(mean)->excludes(variance);
    app.add_option(
        "--activation", s.activations,
        "NAME of the library's, +b for a trained bias or sink per head, :mean or :sum for how heads are "
        "combined; repeatable");
    if (s.varies_strength())
        app.add_option("--strengths", s.strengths, "what theta's distance from its mean is multiplied by")
            ->delimiter(',');
}

void add_training(CLI::App& app, Settings& s) {
    if (!s.dynamics()) app.add_option("--optimizer", s.optimizer, "sgd or adam");
    app.add_option("--rate", s.rate,
                   s.dynamics()
                       ? "the step size eta"
                       : "the step size, which falls to 0 as a cosine over the steps; adam takes as much "
                         "for each component, so that less is right where --dim is large");
    app.add_option("--batch", s.batch, "B, the fresh samples of a step");
    app.add_option("--steps", s.steps, "how many");
    app.add_option("--initial-size", s.initial_size, "of a query when training starts");
    if (s.dynamics())
        app.add_option("--initial-overlap", s.initial_overlap,
                       "with each hidden direction: a standard deviation over the heads");
    app.add_option("--starts", s.starts,
                   s.dynamics() ? "runs of SGD, from the same queries on other samples"
                                : "trainings from other queries on other samples; the best is taken");
}

void add_measurement(CLI::App& app, Command& c) {
    Settings& s = c.settings;
    app.add_option(
        "--samples", s.samples,
        s.dynamics() ? "quasi-random ones, of which the theory's expectations are taken" : "of the test");
    if (s.dynamics()) {
        app.add_option("--sets", s.sets, "independent sets of those: their spread is the theory's error");
        app.add_option("--tolerance", s.tolerance, "of the error of a step through time");
    }
    app.add_option("--seed", s.seed, "of all that is random");
    app.add_option("--threads", s.threads, "of this process; the results do not depend on it");
    app.add_option("--out", c.out, "the directory of NAME.csv and NAME.json")->capture_default_str();
    app.add_flag("--resume", c.resume, "go on with the run in that directory that was interrupted");
}

}  // namespace

std::optional<Command> parse_command(int argc, char** argv, bool quiet, int& status) {
    CLI::App app(kPhysics, "hone-single-location");
    app.require_subcommand(1);
    app.option_defaults()->always_capture_default();
    const std::pair<const char*, const char*> experiments[] = {{"dynamics", kOfDynamics},
                                                               {"risk", kOfRisk},
                                                               {"heads", kOfHeads},
                                                               {"prune", kOfPrune},
                                                               {"noise", kOfNoise}};
    std::vector<Command> commands(std::size(experiments));
    for (std::size_t i = 0; i < commands.size(); ++i) {
        commands[i].settings = defaults(experiments[i].first);
        CLI::App& sub = *app.add_subcommand(experiments[i].first, experiments[i].second);
        add_model(sub, commands[i].settings);
        add_training(sub, commands[i].settings);
        add_measurement(sub, commands[i]);
    }
    try {
        // CLI11 would only say that a subcommand is required.
        if (argc > 1 && argv[1][0] != '-' &&
            std::none_of(std::begin(experiments), std::end(experiments),
                         [&](const auto& e) { return e.first == std::string(argv[1]); }))
            throw std::invalid_argument(
                "'" + std::string(argv[1]) +
                "' is no experiment; should be dynamics, risk, heads, prune or noise");
        app.parse(argc, argv);
        for (std::size_t i = 0; i < commands.size(); ++i)
            if (app.got_subcommand(experiments[i].first)) {
                commands[i].settings.check();
                return commands[i];
            }
    } catch (const CLI::ParseError& error) {
        std::ostringstream out, err;
        const int code = app.exit(error, out, err);
        status = code == 0 ? 0 : 2;
        if (!quiet) std::cout << out.str(), std::cerr << err.str();
    } catch (const std::invalid_argument& error) {
        status = 2;
        if (!quiet) std::cerr << "hone-single-location: " << error.what() << '\n';
    }
    return {};
}

}  // namespace single_location
