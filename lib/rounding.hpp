// rounding.hpp: how the processor rounds within a call; a mode of each thread.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdint>

namespace hone {

// To nearest, whatever the caller has set, so that all threads give the same bits; no exception traps. On x86
// results below the smallest normal number are flushed to 0, as they take a hundred cycles each, while
// denormal inputs are read as they are. 64-bit ARM computes with denormals at full speed, and could only
// flush inputs along with results: nothing is flushed there. What was set before is restored.
class Rounding {
  public:
    Rounding() : before_(mode()) { set(kMode); }
    ~Rounding() { set(before_); }
    Rounding(const Rounding&) = delete;
    Rounding& operator=(const Rounding&) = delete;

  private:
#if defined(__x86_64__)
    using Mode = unsigned;
    static constexpr Mode kMode = _MM_MASK_MASK | _MM_FLUSH_ZERO_ON;
    static Mode mode() {
        return _mm_getcsr();
    }
    static void set(Mode mode) {
        _mm_setcsr(mode);
    }
#elif defined(__aarch64__)
    using Mode = std::uint64_t;
    static constexpr Mode kMode = 0;  // of the register FPCR
    static Mode mode() {
        Mode mode;
        asm volatile("mrs %0, fpcr" : "=r"(mode));
        return mode;
    }
    static void set(Mode mode) {
        asm volatile("msr fpcr, %0" : : "r"(mode) : "memory");
    }
#endif
    const Mode before_;
};

}  // namespace hone
