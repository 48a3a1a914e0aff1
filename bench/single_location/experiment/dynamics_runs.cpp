// dynamics_runs.cpp: overlaps are recorded at the same times by all.
#include "experiment/dynamics_runs.hpp"

#include <algorithm>
#include <cmath>

#include "experiment/saved.hpp"
#include "experiment/stages.hpp"
#include "theory/flow.hpp"
#include "theory/hessian.hpp"

namespace single_location {
namespace {

using nlohmann::json;

constexpr int kRecords = 100;

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
    Recorder(const DynamicsModel& model, const std::string& source, int run)
        : model_(model), source_(source), run_(run) {}

    void add(double time, const Overlaps& at, const Estimate& loss) {
        row(time, "loss", 0, 0, loss.value);
        row(time, "loss_error", 0, 0, loss.error);
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

    const DynamicsModel& model_;
    std::string source_;
    int run_;
    std::vector<Row> rows_;
    Trajectory trajectory_;
};

}  // namespace

const std::vector<std::string> kDynamicsColumns = {"activation", "source", "run", "time",
                                                   "quantity",   "i",      "j",   "value"};

namespace {

// Overlaps at a moment of a run of SGD, and the losses of the batches from there to the next record.
struct SgdRecord {
    Overlaps overlaps;
    double losses = 0, squares = 0;
    std::int64_t count = 0;

    void add(double loss) { losses += loss, squares += loss * loss, ++count; }
    Estimate loss() const {
        const double n = static_cast<double>(count), mean = losses / n;
        return {mean, count > 1 ? std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1)) : 0};
    }
};

json to_json(const SgdRecord& r) {
    const Overlaps& o = r.overlaps;
    return {std::vector<double>(o.m.data(), o.m.data() + o.m.size()),
            std::vector<double>(o.q.data(), o.q.data() + o.q.size()),
            std::vector<double>(o.bias.begin(), o.bias.end()),
            r.losses,
            r.squares,
            r.count};
}

SgdRecord record_from(const json& saved, Eigen::Index heads) {
    const auto m = saved.at(0).get<std::vector<double>>(), q = saved.at(1).get<std::vector<double>>();
    const auto bias = saved.at(2).get<std::vector<double>>();
    const auto features = static_cast<Eigen::Index>(m.size()) / heads;
    return {{Eigen::Map<const Matrix>(m.data(), heads, features),
             Eigen::Map<const Matrix>(q.data(), heads, heads), Eigen::Map<const Vector>(bias.data(), heads)},
            saved.at(3).get<double>(),
            saved.at(4).get<double>(),
            saved.at(5).get<std::int64_t>()};
}

}  // namespace

Result run_sgd(const DynamicsModel& model, int run, Progress& progress) {
    const Settings& s = model.settings;
    const Tokens tokens = model.tokens.with_seed(s.seed + 7919 * static_cast<std::uint64_t>(run));
    Trainer trainer = model.trainer(tokens);
    TrainingState& state = trainer.state();
    std::vector<SgdRecord> records;
    if (const json& saved = progress.saved(); !saved.is_null()) {
        load(saved.at("state"), state);
        for (const json& r : saved.at("records")) records.push_back(record_from(r, s.heads[0]));
    }
    const std::vector<std::int64_t> steps = record_steps(s);
    // The loss at the last record is a mean over as many batches as that before.
    const std::int64_t end = 2 * steps.back() - steps[steps.size() - 2];
    while (state.step < end) {
        if (records.size() < steps.size() && state.step == steps[records.size()])
            records.push_back({overlaps_of(trainer)});
        progress.done(static_cast<double>(state.step) / static_cast<double>(end));
        records.back().add(trainer.step());
        if (!progress.save_due()) continue;
        json all = json::array();
        for (const SgdRecord& r : records) all.push_back(to_json(r));
        progress.save({{"state", to_json(state)}, {"records", all}});
    }
    Recorder recorder(model, "sgd", run);
    for (std::size_t i = 0; i < records.size(); ++i)
        recorder.add(s.rate * static_cast<double>(steps[i]), records[i].overlaps, records[i].loss());
    return recorder.result();
}

Result run_theory(const DynamicsModel& model, const std::string& source, int set, Progress& progress) {
    const Settings& s = model.settings;
    Trainer trainer = model.trainer(model.tokens);
    const Draws draws(model.tokens.signal(), {s.tokens, s.heads[0], s.samples, 8},
                      s.seed + 104729 * (set + 1));
    FlowOptions options;
    options.threads = s.threads;
    options.tolerance = s.tolerance;
    double share = 0;
    options.poll = [&] { progress.done(share); };
    if (source == "theory" && s.dim) options.noise = s.rate * s.dim / s.batch;
    std::vector<double> times;
    for (const std::int64_t step : record_steps(s)) times.push_back(s.rate * static_cast<double>(step));
    Recorder recorder(model, source, set);
    integrate(draws, model.attention, overlaps_of(trainer), times, options, [&](const Moment& at) {
        recorder.add(at.time, at.overlaps, at.loss);
        share = at.time / times.back();
    });
    return recorder.result();
}

Result run_hessian(const DynamicsModel& model, Progress& progress) {
    const Settings& s = model.settings;
    const int features = model.tokens.signal().features();
    const Unspecialised point = unspecialised(model.tokens.signal(), model.attention, s.heads[0],
                                              {s.tokens, 1, std::max(256, s.samples / 4), 4}, s.seed,
                                              s.threads, 4, [&] { progress.done(0.5); });
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

}  // namespace single_location
