// saved.cpp: the fields of a training's state.
#include "experiment/saved.hpp"

namespace single_location {

nlohmann::json to_json(const TrainingState& state) {
    return {{"step", state.step},
            {"parameters", state.parameters},
            {"first", state.first},
            {"second", state.second}};
}

void load(const nlohmann::json& saved, TrainingState& state) {
    saved.at("step").get_to(state.step);
    saved.at("parameters").get_to(state.parameters);
    saved.at("first").get_to(state.first);
    saved.at("second").get_to(state.second);
}

}  // namespace single_location
