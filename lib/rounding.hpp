// rounding.hpp: how the processor rounds within a call; a mode of each thread.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hone {

// To nearest, whatever the caller has set, so that all threads give the same bits; with results below the
// smallest normal number flushed to 0, as they take a hundred cycles each, while denormal inputs are read as
// they are. No exception traps. What was set before is restored. (64-bit ARM computes with denormals at full
// speed, and could only flush inputs along with results: there the caller's mode stays.)
class Rounding {
  public:
#if defined(__x86_64__)
    Rounding() : before_(_mm_getcsr()) {
        _mm_setcsr(_MM_MASK_MASK | _MM_FLUSH_ZERO_ON);
    }
    ~Rounding() {
        _mm_setcsr(before_);
    }
    Rounding(const Rounding&) = delete;
    Rounding& operator=(const Rounding&) = delete;

  private:
    unsigned before_;
#else
    Rounding() {}
    ~Rounding() {}
#endif
};

}  // namespace hone
