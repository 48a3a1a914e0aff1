// format.hpp: printf into a string.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>

namespace hone::bench {

// At most 255 characters.
__attribute__((format(printf, 1, 2))) inline std::string format(const char* pattern, ...) {
    char text[256];
    va_list values;
    va_start(values, pattern);
    std::vsnprintf(text, sizeof text, pattern, values);
    va_end(values);
    return text;
}

}  // namespace hone::bench
