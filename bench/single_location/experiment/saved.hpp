// saved.hpp: a training's state as JSON and back, nothing lost.
#pragma once

#include <nlohmann/json.hpp>

#include "model/trainer.hpp"

namespace single_location {

nlohmann::json to_json(const TrainingState& state);

// Throws where the JSON is of none.
void load(const nlohmann::json& saved, TrainingState& state);

}  // namespace single_location
