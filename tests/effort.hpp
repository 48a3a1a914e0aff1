// effort.hpp: how much of the tests a run is asked to do, and what it cannot do.
#pragma once

#include <cstdlib>
#include <string>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HONE_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HONE_TEST_SANITIZED 1
#endif
#endif

namespace hone::test {

inline bool environment_says(const char* name) {
    const char* value = std::getenv(name);
    return value && *value && std::string(value) != "0";
}

// A reduced sweep, for sanitizers and emulators.
inline bool quick() {
    return environment_says("HONE_TEST_QUICK");
}

// Everything, however long it takes.
inline bool thorough() {
    return environment_says("HONE_TEST_LONG");
}

// Whether a sanitizer's own memory, threads and time hide the library's.
inline bool sanitized() {
#ifdef HONE_TEST_SANITIZED
    return true;
#else
    return false;
#endif
}

}  // namespace hone::test
