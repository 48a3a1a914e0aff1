// settings.cpp: which settings make sense, and how they are written down.
#include "experiment/settings.hpp"

#include <cmath>
#include <sstream>
#include <stdexcept>

#include "model/attention.hpp"
#include "theory/draws.hpp"

namespace single_location {
namespace {

template <class T>
void require(const char* option, T value, bool right, const char* what) {
    if (right) return;
    std::ostringstream sentence;
    sentence << option << ": is " << value << "; should be " << what;
    throw std::invalid_argument(sentence.str());
}

template <class T>
void require_in(const char* option, T value, T least, T most) {
    std::ostringstream what;
    what << "from " << least << " to " << most;
    require(option, value, value >= least && value <= most, what.str().c_str());
}

// A number that is all of the text.
bool parse_number(const std::string& text, double& number) {
    std::size_t used = 0;
    try {
        number = std::stod(text, &used);
    } catch (const std::exception&) {
        return false;
    }
    return used == text.size();
}

// "0.5:1,-2"
void parse_point(const std::string& text, std::vector<double>& point, double& weight) {
    const std::size_t colon = text.find(':');
    bool good = colon != std::string::npos && parse_number(text.substr(0, colon), weight);
    std::istringstream in(good ? text.substr(colon + 1) + ',' : "");
    for (std::string word; std::getline(in, word, ',');) {
        point.push_back(0);
        good = good && parse_number(word, point.back());
    }
    if (!good)
        throw std::invalid_argument("--point: is '" + text + "'; should be WEIGHT:X,Y,... as in 0.5:1,-2");
}

// Each job of a sweep is of its own.
template <class T>
void require_distinct(const char* option, const std::vector<T>& values) {
    for (std::size_t i = 0; i < values.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) require(option, values[i], values[i] != values[j], "given once");
}

}  // namespace

Settings::Family Settings::family() const {
    if (!mean.empty() || !variance.empty()) return Family::gaussian;
    return points.empty() ? Family::flipped_spike : Family::discrete;
}

Signal Settings::signal(double strength) const {
    if (family() == Family::gaussian) return Signal::gaussian(mean, variance).scaled(strength);
    if (family() == Family::flipped_spike) return Signal::flipped_spike(mu, nu).scaled(strength);
    std::vector<std::vector<double>> all(points.size());
    std::vector<double> weights(points.size());
    for (std::size_t i = 0; i < points.size(); ++i) parse_point(points[i], all[i], weights[i]);
    return Signal::discrete(all, weights).scaled(strength);
}

void Settings::check() const {
    for (const int h : heads) require_in("--heads", h, 1, 1024);
    if (dynamics()) require("--heads", heads[0], heads[0] >= 2, "2 at least: one head cannot part");
    require_in("--tokens", tokens, 2, Draws::most_tokens(signal(), dynamics() ? heads[0] : 0));
    for (const double s : strengths) {
        require("--strengths", s, std::isfinite(s) && s >= 0, "0 or more");
        const Signal scaled = signal(s);
        for (const double variance : scaled.variance())
            require("--strengths", s, std::isfinite(variance), "less: the square of theta should be finite");
    }
    require_distinct("--heads", heads);
    require_distinct("--strengths", strengths);
    require_distinct("--activation", activations);
    const int features = signal().features();
    if (dim != 0) require_in("--dim", dim, features, 1 << 20);
    for (const std::string& name : activations) parse_attention(name, tokens);
    require("--optimizer", optimizer, optimizer == "sgd" || optimizer == "adam", "sgd or adam");
    require("--rate", rate, std::isfinite(rate) && rate > 0, "above 0");
    require_in("--batch", batch, 1, 1 << 20);
    require_in<std::int64_t>("--steps", steps, 1, std::int64_t{1} << 40);
    require("--initial-size", initial_size, std::isfinite(initial_size) && initial_size >= 0, "0 or more");
    require("--initial-overlap", initial_overlap, std::isfinite(initial_overlap) && initial_overlap >= 0,
            "0 or more");
    require_in("--starts", starts, 1, 10000);
    require_in("--samples", samples, 256, 1 << 24);
    require_in("--sets", sets, 1, 100);
    require("--tolerance", tolerance, tolerance >= 1e-12 && tolerance < 1, "from 1e-12 to 1");
    require_in("--threads", threads, 1, 1024);
}

nlohmann::json Settings::to_json() const {
    nlohmann::json all = {
        {"tokens", tokens},   {"heads", heads}, {"activations", activations}, {"rate", rate},
        {"batch", batch},     {"steps", steps}, {"starts", starts},           {"initial_size", initial_size},
        {"samples", samples}, {"seed", seed}};
    all["dim"] = dim ? nlohmann::json(dim) : nlohmann::json("inf");
    switch (family()) {
        case Family::discrete:
            all["points"] = points;
            break;
        case Family::gaussian:
            all["mean"] = mean, all["variance"] = variance;
            break;
        case Family::flipped_spike:
            all["mu"] = mu, all["nu"] = nu;
    }
    if (dynamics())
        all["initial_overlap"] = initial_overlap, all["sets"] = sets, all["tolerance"] = tolerance;
    else
        all["optimizer"] = optimizer;
    if (varies_strength()) all["strengths"] = strengths;
    return all;
}

TrainingOptions Settings::training() const {
    TrainingOptions options;
    options.optimizer = optimizer == "adam" ? Optimizer::adam : Optimizer::sgd;
    options.batch = batch;
    options.rate = rate;
    options.decay = dynamics() ? 0 : steps;
    options.initial_size = initial_size;
    options.initial_overlap = initial_overlap;
    options.threads = threads;
    return options;
}

}  // namespace single_location
