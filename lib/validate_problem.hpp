// validate_problem.hpp: refuses what cannot be computed, whatever the tensors are.
#pragma once

#include "hone/hone.h"

namespace hone {

// Sizes and options.
hone_status check_problem(const hone_problem& p);
// The values of lengths and offsets, as far as they are there.
hone_status check_entries(const hone_problem& p);
// That those are there which the flags announce.
hone_status check_integers_present(const hone_problem& p);

}  // namespace hone
