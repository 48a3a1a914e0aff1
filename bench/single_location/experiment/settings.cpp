// settings.cpp: which settings make sense, and how they are written down.
#include "experiment/settings.hpp"

#include <cmath>
#include <sstream>
#include <stdexcept>

#include "model/attention.hpp"

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

// "0.5:1,-2"
void parse_point(const std::string& text, std::vector<double>& point, double& weight) {
    std::istringstream in(text);
    char separator = 0;
    in >> weight >> separator;
    bool good = !in.fail() && separator == ':';
    for (double x = 0; good && in >> x;) {
        point.push_back(x);
        if (!(in >> separator)) break;
        good = separator == ',';
    }
    if (!good || point.empty() || !in.eof())
        throw std::invalid_argument("--point: is '" + text + "'; should be WEIGHT:X,Y,... as in 0.5:1,-2");
}

}  // namespace

Signal Settings::signal(double strength) const {
    if (!mean.empty() || !variance.empty()) return Signal::gaussian(mean, variance).scaled(strength);
    if (points.empty()) return Signal::flipped_spike(mu, nu).scaled(strength);
    std::vector<std::vector<double>> all(points.size());
    std::vector<double> weights(points.size());
    for (std::size_t i = 0; i < points.size(); ++i) parse_point(points[i], all[i], weights[i]);
    return Signal::discrete(all, weights).scaled(strength);
}

void Settings::check() const {
    require_in("--tokens", tokens, 2, 4096);
    for (const int h : heads) require_in("--heads", h, 1, 1024);
    for (const double s : strengths) require("--strengths", s, std::isfinite(s) && s >= 0, "0 or more");
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
    require_in("--sets", test_sets, 1, 100);
    require("--tolerance", tolerance, tolerance > 0 && tolerance < 1, "between 0 and 1");
    require_in("--threads", threads, 1, 1024);
    if (experiment == "dynamics")
        require("--heads", heads[0], heads[0] >= 2, "2 at least: one head cannot part");
}

nlohmann::json Settings::to_json() const {
    nlohmann::json all = {{"tokens", tokens},       {"heads", heads},   {"activations", activations},
                          {"optimizer", optimizer}, {"rate", rate},     {"batch", batch},
                          {"steps", steps},         {"starts", starts}, {"initial_size", initial_size},
                          {"samples", samples},     {"seed", seed}};
    all["dim"] = dim ? nlohmann::json(dim) : nlohmann::json("inf");
    if (!points.empty())
        all["points"] = points;
    else if (!mean.empty())
        all["mean"] = mean, all["variance"] = variance;
    else
        all["mu"] = mu, all["nu"] = nu;
    if (dynamics())
        all["initial_overlap"] = initial_overlap, all["sets"] = test_sets, all["tolerance"] = tolerance;
    else
        all["strengths"] = strengths;
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
