// stages.hpp: when heads move together, when they part along each direction, and when one changes sides.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "model/signal.hpp"
#include "theory/draws.hpp"

namespace single_location {

// M [H, F] over time.
struct Trajectory {
    std::vector<double> times;
    std::vector<Matrix> m;
};

struct Stage {
    enum class Kind { together, part, changes_side };
    Kind kind;
    int feature;  // along which; of `together` that of the largest mean
    int head;     // that changes sides, else -1
    double time;
};

// In the order of time.
//   together:      the mean head last passes E[theta] / 2 along E[theta]; none where that is 0
//   part:          the spread of the heads along a direction (standard deviation over the heads) last passes
//                  half of its final value; none where that is less than 5 times the first, or than 0.1
//   changes_side:  a head ends on the other side of the mean than it once was, by half of the final spread
//                  each time
std::vector<Stage> find_stages(const Trajectory& trajectory, const Signal& signal);

// "heads part along direction 2"; directions are counted from 1.
std::string describe(const Stage& stage);

nlohmann::json to_json(const std::vector<Stage>& stages);

}  // namespace single_location
