// validate.hpp: refuses a call that cannot be computed, before anything is written.
//
// Each check gives HONE_OK, or the status of a sentence that names the first argument that is wrong and what
// it should be.
#pragma once

#include <cstddef>

#include "hone/hone.h"

namespace hone {

// All but where the data lies: sizes, options, lengths and offsets as far as they are there, strides, and
// which parameters there are.
hone_status validate_shapes(const hone_problem& problem, const hone_forward_args& args);
hone_status validate_shapes(const hone_problem& problem, const hone_backward_args& args);
// That all lengths and offsets are there: a workspace can be asked for without them.
hone_status validate_extents(const hone_problem& problem);

// Where the data lies: what is there, what is apart, and whether the caller's workspace, if any, holds the
// `needed` bytes.
hone_status validate_memory(const hone_problem& problem, const hone_forward_args& args, std::size_t needed);
hone_status validate_memory(const hone_problem& problem, const hone_backward_args& args, std::size_t needed);

}  // namespace hone
