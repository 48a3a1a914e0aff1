// wait.hpp: how one thread of a call waits for another: it looks for a while, then sleeps until it is woken.
#pragma once

#include <atomic>
#include <cstdint>

namespace hone {

// Counts what has been done. Each has a cache line of its own, so that those who wait for one do not slow
// down those who advance another.
struct alignas(64) Counter {
    std::int32_t value = 0;
};

inline void pause_briefly() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits until the counter has reached `value`. A turn comes within microseconds where every thread has a core
// of its own. Where it does not, the thread that would bring it may need this core: hence the sleep, after
// some 20 to 60 microseconds.
inline void wait_for(Counter& counter, std::int64_t value) {
    constexpr int looks = 1000;
    std::atomic_ref<std::int32_t> at(counter.value);
    for (int i = 0; i < looks; ++i) {
        if (at.load(std::memory_order_acquire) >= value) return;
        pause_briefly();
    }
    for (std::int32_t now; (now = at.load(std::memory_order_acquire)) < value;)
        at.wait(now, std::memory_order_acquire);
}

inline void advance(Counter& counter) {
    std::atomic_ref<std::int32_t> at(counter.value);
    at.fetch_add(1, std::memory_order_release);
    at.notify_all();
}

}  // namespace hone
