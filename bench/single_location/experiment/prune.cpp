// prune.cpp: heads are taken away one by one, at each step the one whose loss costs least.
#include <algorithm>
#include <cmath>

#include "experiment/experiments.hpp"
#include "experiment/trained.hpp"

namespace single_location {
namespace {

Parameters without(const Parameters& all, int head) {
    const Eigen::Index heads = all.queries.rows();
    Parameters rest = {Matrix(heads - 1, all.queries.cols()), Vector(heads - 1)};
    for (Eigen::Index h = 0, to = 0; h < heads; ++h) {
        if (h == head) continue;
        rest.queries.row(to) = all.queries.row(h);
        rest.bias[to++] = all.bias[h];
    }
    return rest;
}

// The head is chosen on samples that are not those of the test. Heads are counted from 1; 0 is none.
std::vector<Row> measure(const Measured& m, nlohmann::json& summary) {
    const Settings& s = m.settings;
    Settings fewer = s;
    fewer.samples = std::max(256, s.samples / 4);
    const TestSet choice(fewer, m.tokens, choice_seed(s));
    Parameters kept = m.trained.parameters;
    std::vector<std::int64_t> names(kept.queries.rows());
    for (std::size_t h = 0; h < names.size(); ++h) names[h] = static_cast<std::int64_t>(h) + 1;
    std::vector<Row> rows;
    std::int64_t removed = 0;
    while (true) {
        const Estimate risk = m.test.risk(m.trained.attention, kept, m.poll);
        rows.push_back({static_cast<std::int64_t>(kept.queries.rows()), removed, risk.value, risk.error,
                        m.test.bayes().value, m.test.bayes().error});
        summary["pruned_risk"].push_back(risk.value);
        if (kept.queries.rows() == 1) return rows;
        int cheapest = 0;
        double least = INFINITY;
        for (int h = 0; h < kept.queries.rows(); ++h) {
            m.poll();
            const double loss = choice.risk(m.trained.attention, without(kept, h), m.poll).value;
            if (loss < least) least = loss, cheapest = h;
        }
        kept = without(kept, cheapest);
        removed = names[cheapest];
        names.erase(names.begin() + cheapest);
    }
}

}  // namespace

Sweep prune(const Settings& settings) {
    return trained_sweep(settings, {"kept", "removed", "risk", "risk_error", "bayes", "bayes_error"},
                         measure);
}

}  // namespace single_location
