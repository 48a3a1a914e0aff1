// trained.cpp: training that can be interrupted, and the list of what is trained.
#include "experiment/trained.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "experiment/saved.hpp"

namespace single_location {
namespace {

using nlohmann::json;

// Each start has a seed of its own, the same for all activations.
std::uint64_t training_seed(const Settings& settings, int start) {
    return settings.seed * 1000003 + static_cast<std::uint64_t>(start) + 1;
}

Tokens tokens_of(const Settings& s, const Signal& signal, int start) {
    const bool limit = s.dim == 0;
    return Tokens(signal, s.tokens, limit ? signal.features() : s.dim,
                  limit ? Tokens::Directions::axes : Tokens::Directions::random, training_seed(s, start));
}

Trained train(const Settings& settings, const Case& of, const Tokens& tokens, Progress& progress) {
    Trained trained = {of, parse_attention(of.activation, settings.tokens), {}, 0};
    Trainer trainer(tokens, trained.attention, of.heads, settings.dim ? Loss::finite : Loss::limit,
                    settings.training(), training_seed(settings, of.start));
    TrainingState& state = trainer.state();
    double loss = 0;
    if (const json& saved = progress.saved(); !saved.is_null()) {
        load(saved.at("state"), state);
        loss = saved.at("loss").get<double>();
    }
    const auto save = [&] { progress.save({{"state", to_json(state)}, {"loss", loss}}); };
    const std::int64_t last = std::max<std::int64_t>(1, settings.steps / 10);
    while (state.step < settings.steps) {
        progress.done(0.95 * static_cast<double>(state.step) / static_cast<double>(settings.steps));
        if (progress.save_due()) save();
        const double now = trainer.step();
        if (state.step > settings.steps - last) loss += now / static_cast<double>(last);
    }
    save();  // what is measured now can be interrupted
    trained.last_loss = loss;
    trained.parameters.queries = Eigen::Map<const Eigen::Matrix<float, -1, -1, Eigen::RowMajor>>(
                                     trainer.queries(), of.heads, tokens.dim())
                                     .cast<double>();
    trained.parameters.bias = Eigen::Map<const Eigen::VectorXf>(trainer.bias(), of.heads).cast<double>();
    return trained;
}

// The test sets of a process: the last one, as cases of the same strength and directions come together.
class TestSets {
  public:
    std::shared_ptr<const TestSet> get(const Settings& settings, const Case& of, const Tokens& tokens) {
        const int directions = settings.dim ? of.start : 0;
        if (!last_ || strength_ != of.strength || directions_ != directions) {
            last_.reset();
            last_ = std::make_shared<TestSet>(settings, tokens, test_seed(settings));
            strength_ = of.strength, directions_ = directions;
        }
        return last_;
    }

  private:
    std::shared_ptr<const TestSet> last_;
    double strength_ = 0;
    int directions_ = 0;
};

Result run_case(const Settings& settings, const Case& of, const Measure& measure, TestSets& tests,
                Progress& progress) {
    const Tokens tokens = tokens_of(settings, settings.signal(of.strength), of.start);
    const Trained trained = train(settings, of, tokens, progress);
    const TestSet::Poll poll = [&] { progress.done(0.95); };
    const auto set = tests.get(settings, of, tokens);
    const TestSet& test = *set;
    const Estimate risk = test.risk(trained.attention, trained.parameters, poll);
    Result result;
    result.summary = {{"activation", of.activation},
                      {"strength", of.strength},
                      {"heads", of.heads},
                      {"start", of.start},
                      {"risk", risk.value},
                      {"risk_error", risk.error},
                      {"bayes", test.bayes().value},
                      {"bayes_error", test.bayes().error},
                      {"last_loss", trained.last_loss}};
    for (Row& own : measure({settings, trained, tokens, test, poll}, result.summary)) {
        Row row = {of.activation, of.strength, std::int64_t{of.heads}, std::int64_t{of.start}};
        row.insert(row.end(), own.begin(), own.end());
        result.rows.push_back(std::move(row));
    }
    return result;
}

bool same_but_start(const json& a, const json& b) {
    return a.at("activation") == b.at("activation") && a.at("strength") == b.at("strength") &&
           a.at("heads") == b.at("heads");
}

// A loss that is no number is none.
bool better(double one, double other) {
    return one < other || (std::isfinite(one) && !std::isfinite(other));
}

// Of each activation, strength and number of heads, the start with the lowest loss in training.
json best_starts(const std::vector<Result>& results) {
    json best = json::array();
    for (const Result& result : results) {
        const json& one = result.summary;
        const auto seen =
            std::find_if(best.begin(), best.end(), [&](const json& b) { return same_but_start(b, one); });
        if (seen == best.end())
            best.push_back(one);
        else if (better(one.at("last_loss"), seen->at("last_loss")))
            *seen = one;
    }
    return {{"best", best}};
}

}  // namespace

std::uint64_t test_seed(const Settings& settings) {
    return settings.seed * 1000003 + 500001;
}

std::uint64_t choice_seed(const Settings& settings) {
    return settings.seed * 1000003 + 500002;
}

Sweep trained_sweep(const Settings& settings, std::vector<std::string> columns, Measure measure) {
    Sweep sweep;
    sweep.name = settings.experiment;
    sweep.columns = {"activation", "strength", "heads", "start"};
    sweep.columns.insert(sweep.columns.end(), columns.begin(), columns.end());
    sweep.settings = settings.to_json();
    sweep.summarise = best_starts;
    const auto tests = std::make_shared<TestSets>();
    for (const double strength : settings.strengths)
        for (const std::string& activation : settings.activations)
            for (const int heads : settings.heads)
                for (int start = 0; start < settings.starts; ++start) {
                    const Case of = {activation, strength, heads, start};
                    const std::string name = activation + ", strength " + json(strength).dump() + ", " +
                                             std::to_string(heads) + " heads, start " + std::to_string(start);
                    sweep.jobs.push_back({name, 2.0 + heads, [=](Progress& progress) {
                                              return run_case(settings, of, measure, *tests, progress);
                                          }});
                }
    return sweep;
}

}  // namespace single_location
