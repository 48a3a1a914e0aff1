// dynamics.cpp: overlaps over time, by SGD at dimension D and by the closed equations from the same start.
#include <algorithm>
#include <cmath>

#include "experiment/experiments.hpp"
#include "experiment/stages.hpp"
#include "theory/flow.hpp"
#include "theory/hessian.hpp"

namespace single_location {
namespace {

using nlohmann::json;

constexpr int kRecords = 100;

// What all units of an activation have in common.
struct Model {
    Model(const Settings& s, const std::string& activation)
        : settings(s),
          attention(parse_attention(activation, s.tokens)),
          tokens(s.signal(), s.tokens, s.dim ? s.dim : s.signal().features(),
                 s.dim ? Tokens::Directions::random : Tokens::Directions::axes, s.seed) {}

    Trainer trainer(const Tokens& of) const {
        const auto loss = settings.dim ? Trainer::Loss::finite : Trainer::Loss::limit;
        return Trainer(of, attention, settings.heads[0], loss, settings.training(), settings.seed);
    }

    Settings settings;
    Attention attention;
    Tokens tokens;
};

Overlaps overlaps_of(Trainer& trainer) {
    const Tokens& tokens = trainer.tokens();
    using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Matrix q =
        Eigen::Map<const Floats>(trainer.queries(), trainer.heads(), tokens.dim()).cast<double>();
    const Matrix k =
        Eigen::Map<const Floats>(tokens.directions().data(), tokens.signal().features(), tokens.dim())
            .cast<double>();
    const Vector bias = Eigen::Map<const Eigen::VectorXf>(trainer.bias(), trainer.heads()).cast<double>();
    return {q * k.transpose(), q * q.transpose(), bias};
}

// The steps at which is recorded: the more densely the earlier, as what comes late is slow.
std::vector<std::int64_t> record_steps(const Settings& s) {
    std::vector<std::int64_t> steps;
    for (int i = 0; i <= kRecords; ++i) {
        const double share = static_cast<double>(i) / kRecords;
        const auto step =
            static_cast<std::int64_t>(std::llround(share * share * static_cast<double>(s.steps)));
        if (steps.empty() || step > steps.back()) steps.push_back(step);
    }
    return steps;
}

// Rows, and the trajectory from which stages are found.
class Recorder {
  public:
    Recorder(const Model& model, const std::string& source, int run)
        : model_(model), source_(source), run_(run) {}

    void add(double time, const Overlaps& at, double loss, double loss_error) {
        row(time, "loss", 0, 0, loss);
        row(time, "loss_error", 0, 0, loss_error);
        for (int h = 0; h < at.m.rows(); ++h) {
            for (int f = 0; f < at.m.cols(); ++f) row(time, "M", h + 1, f + 1, at.m(h, f));
            for (int g = 0; g <= h; ++g) row(time, "Q", h + 1, g + 1, at.q(h, g));
            if (model_.attention.trained) row(time, "bias", h + 1, 0, at.bias[h]);
        }
        trajectory_.times.push_back(time);
        trajectory_.m.push_back(at.m);
    }

    Result result() {
        return {std::move(rows_),
                {{"activation", model_.attention.name},
                 {"source", source_},
                 {"run", run_},
                 {"stages", to_json(find_stages(trajectory_, model_.tokens.signal()))}}};
    }

  private:
    void row(double time, const char* quantity, std::int64_t i, std::int64_t j, double value) {
        rows_.push_back(
            {model_.attention.name, source_, std::int64_t{run_}, time, std::string(quantity), i, j, value});
    }

    const Model& model_;
    std::string source_;
    int run_;
    std::vector<Row> rows_;
    Trajectory trajectory_;
};

// What is saved of a run of SGD: the parameters at each record, and the loss between.
struct SgdRecord {
    std::vector<float> parameters;
    double loss, loss_error;
};

Result run_sgd(const Model& model, int run, Progress& progress) {
    const Settings& s = model.settings;
    const Tokens tokens = model.tokens.with_seed(s.seed + 7919 * static_cast<std::uint64_t>(run));
    Trainer trainer = model.trainer(tokens);
    TrainingState& state = trainer.state();
    std::vector<SgdRecord> records;
    if (const json& saved = progress.saved(); !saved.is_null()) {
        state.step = saved.at("step").get<std::int64_t>();
        state.parameters = saved.at("parameters").get<std::vector<float>>();
        state.first = saved.at("first").get<std::vector<float>>();
        state.second = saved.at("second").get<std::vector<float>>();
        for (const json& r : saved.at("records"))
            records.push_back(
                {r.at(0).get<std::vector<float>>(), r.at(1).get<double>(), r.at(2).get<double>()});
    }
    const auto save = [&] {
        json all = json::array();
        for (const SgdRecord& r : records) all.push_back({r.parameters, r.loss, r.loss_error});
        progress.save({{"step", state.step},
                       {"parameters", state.parameters},
                       {"first", state.first},
                       {"second", state.second},
                       {"records", all}});
    };
    const std::vector<std::int64_t> steps = record_steps(s);
    while (records.size() < steps.size()) {
        // The loss at a record: the mean over the steps up to the next one, whose batches are independent.
        const std::int64_t here = steps[records.size()];
        const std::int64_t until = records.size() + 1 < steps.size() ? steps[records.size() + 1] : here + 1;
        const std::vector<float> parameters = state.parameters;
        double sum = 0, squares = 0;
        for (; state.step < until;) {
            progress.done(static_cast<double>(state.step) / static_cast<double>(s.steps));
            const double loss = trainer.step();
            sum += loss, squares += loss * loss;
        }
        const double n = static_cast<double>(until - here), mean = sum / n;
        records.push_back(
            {parameters, mean, n > 1 ? std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1)) : 0});
        if (progress.save_due()) save();
    }
    Recorder recorder(model, "sgd", run);
    for (std::size_t i = 0; i < records.size(); ++i) {
        state.parameters = records[i].parameters;
        recorder.add(s.rate * static_cast<double>(steps[i]), overlaps_of(trainer), records[i].loss,
                     records[i].loss_error);
    }
    return recorder.result();
}

// source: "theory" with the noise of minibatches, "flow" without.
Result run_theory(const Model& model, const std::string& source, int set, Progress& progress) {
    const Settings& s = model.settings;
    Trainer trainer = model.trainer(model.tokens);
    const Draws draws(model.tokens.signal(), {s.tokens, s.heads[0], s.samples, 8},
                      s.seed + 104729 * (set + 1));
    FlowOptions options;
    options.threads = s.threads;
    options.tolerance = s.tolerance;
    if (source == "theory" && s.dim) options.noise = s.rate * s.dim / s.batch;
    std::vector<double> times;
    for (const std::int64_t step : record_steps(s)) times.push_back(s.rate * static_cast<double>(step));
    Recorder recorder(model, source, set);
    integrate(draws, model.attention, overlaps_of(trainer), times, options, [&](const Moment& at) {
        recorder.add(at.time, at.overlaps, at.loss.value, at.loss.error);
        progress.done(at.time / times.back());
    });
    return recorder.result();
}

Result run_hessian(const Model& model) {
    const Settings& s = model.settings;
    const int features = model.tokens.signal().features();
    const Unspecialised point =
        unspecialised(model.tokens.signal(), model.attention, s.heads[0],
                      {s.tokens, 1, std::max(256, s.samples / 4), 4}, s.seed, s.threads);
    Result result;
    json modes = json::array();
    for (const Mode& mode : point.modes) {
        const std::string along = mode.feature < features    ? "direction " + std::to_string(mode.feature + 1)
                                  : mode.feature == features ? "elsewhere"
                                                             : "the bias";
        modes.push_back({{"along", along},
                         {"direction", mode.feature + 1},
                         {"rate", -mode.eigenvalue.value},
                         {"rate_error", mode.eigenvalue.error}});
        result.rows.push_back({model.attention.name, "hessian", std::int64_t{0}, 0.0, "rate",
                               std::int64_t{mode.feature + 1}, std::int64_t{0}, -mode.eigenvalue.value});
    }
    result.summary = {{"activation", model.attention.name},
                      {"source", "hessian"},
                      {"run", 0},
                      {"query", std::vector<double>(point.query.begin(), point.query.end())},
                      {"bias", point.bias},
                      {"loss", point.loss.value},
                      {"loss_error", point.loss.error},
                      {"modes", modes}};
    return result;
}

// Rows of M in the order in which they were recorded.
std::vector<double> overlaps_in(const Result& result) {
    std::vector<double> m;
    for (const Row& row : result.rows)
        if (std::get<std::string>(row[4]) == "M") m.push_back(std::get<double>(row[7]));
    return m;
}

// Root mean squares over times, heads and directions: of how far the mean run of SGD is from the mean theory,
// of the spread of single runs, and of the spread of the theory's sets of draws.
json agreement(const std::vector<std::vector<double>>& sgd, const std::vector<std::vector<double>>& theory) {
    const auto moments = [](const std::vector<std::vector<double>>& runs, std::size_t i) {
        std::vector<double> at;
        for (const auto& run : runs) at.push_back(run[i]);
        return over_replicates(at);
    };
    double distance = 0, sgd_spread = 0, theory_error = 0;
    const double n = static_cast<double>(theory[0].size());
    for (std::size_t i = 0; i < theory[0].size(); ++i) {
        const Estimate s = moments(sgd, i), t = moments(theory, i);
        distance += std::pow(s.value - t.value, 2) / n;
        sgd_spread += s.error * s.error * static_cast<double>(sgd.size()) / n;
        theory_error += t.error * t.error / n;
    }
    return {{"sgd_from_theory", std::sqrt(distance)},
            {"spread_of_sgd_runs", std::sqrt(sgd_spread)},
            {"error_of_theory", std::sqrt(theory_error)}};
}

json summarise(const Settings& settings, const std::vector<Result>& results) {
    json all = json::array();
    for (const std::string& activation : settings.activations) {
        std::vector<std::vector<double>> sgd, theory;
        json one = {{"activation", activation}};
        for (const Result& result : results) {
            if (result.summary.at("activation") != activation) continue;
            const std::string source = result.summary.at("source");
            if (source == "sgd") sgd.push_back(overlaps_in(result));
            if (source == "theory") theory.push_back(overlaps_in(result));
            one[source].push_back(result.summary);
        }
        one["agreement"] = agreement(sgd, theory);
        all.push_back(one);
    }
    return all;
}

}  // namespace

Sweep dynamics(const Settings& settings) {
    Sweep sweep;
    sweep.name = settings.experiment;
    sweep.columns = {"activation", "source", "run", "time", "quantity", "i", "j", "value"};
    sweep.settings = settings.to_json();
    sweep.summarise = [settings](const std::vector<Result>& results) { return summarise(settings, results); };
    for (const std::string& activation : settings.activations) {
        const auto add = [&](const std::string& name, double cost,
                             std::function<Result(const Model&, Progress&)> run) {
            sweep.units.push_back(
                {activation + ", " + name, cost, [settings, activation, run](Progress& progress) {
                     return run(Model(settings, activation), progress);
                 }});
        };
        add("Hessian", 4, [](const Model& model, Progress&) { return run_hessian(model); });
        for (int set = 0; set < settings.test_sets; ++set)
            add("theory, draws " + std::to_string(set), 10, [set](const Model& model, Progress& progress) {
                return run_theory(model, "theory", set, progress);
            });
        add("gradient flow", 8,
            [](const Model& model, Progress& progress) { return run_theory(model, "flow", 0, progress); });
        for (int run = 0; run < settings.starts; ++run)
            add("SGD, run " + std::to_string(run), 10,
                [run](const Model& model, Progress& progress) { return run_sgd(model, run, progress); });
    }
    return sweep;
}

}  // namespace single_location
