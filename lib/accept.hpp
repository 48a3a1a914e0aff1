// accept.hpp: the structs of callers that were compiled for any version, as this version's.
#pragma once

#include <cstddef>

#include "hone/hone.h"

namespace hone {

// Copies as much as the caller's struct has; what it lacks is 0. A dtype or an n of 0 becomes the default.
// Fails for NULL, for a size that no version had, and where a field that this version does not know is not 0.
hone_status accept(const hone_problem* given, hone_problem* taken);
hone_status accept(const hone_forward_args* given, hone_forward_args* taken);
hone_status accept(const hone_backward_args* given, hone_backward_args* taken);

// Copies as much as the caller's struct has room for, and 0 beyond.
hone_status give(const hone_activation_info& known, hone_activation_info* info);

}  // namespace hone
