// dispatch.hpp: which ISA's tile functions run.
#pragma once

#include "tiles.hpp"

namespace hone {

// The ISA of that name, or (null) HONE_ISA's, or the best that this machine runs; *isa is set on HONE_OK.
hone_status choose_isa(const char* name, const Isa** isa);

// What is known of an activation, the same for every ISA; null where there is none of that number.
const hone_activation_info* activation_info(int activation);
// The status and the sentence for that.
hone_status no_activation(int activation);

}  // namespace hone
