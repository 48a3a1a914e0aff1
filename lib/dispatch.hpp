// dispatch.hpp: which ISA's tile functions run.
#pragma once

#include "tiles.hpp"

namespace hone {

// The unit called `isa`, or (null) HONE_ISA's, or the best that this machine runs; *unit is set on HONE_OK.
hone_status choose_unit(const char* isa, const Unit** unit);

// What is known of an activation, the same in every unit; null where there is none of that number.
const hone_activation_info* activation_info(int activation);

}  // namespace hone
