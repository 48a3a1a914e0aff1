// validate.hpp: refuses a call that cannot be computed, before anything is written.
#pragma once

#include <cstddef>

#include "hone/hone.h"

namespace hone {

// HONE_OK, or the status of a sentence that names the first argument that is wrong and what it should be.
hone_status validate(const hone_problem* problem, const hone_forward_args* args);
hone_status validate(const hone_problem* problem, const hone_backward_args* args);

// Whether the caller's workspace, where there is one, is large enough.
hone_status validate_workspace(const void* workspace, std::size_t given, std::size_t needed);

}  // namespace hone
