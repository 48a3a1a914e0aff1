// error.hpp: the status of a call and the sentence behind it.
#pragma once

#include "hone/hone.h"

namespace hone {

// Keeps the sentence as this thread's last error and returns the status.
[[gnu::format(printf, 2, 3)]] hone_status fail(hone_status status, const char* format, ...);

}  // namespace hone
