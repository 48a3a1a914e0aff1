// crowding.hpp: whether a short call gains from threads at this moment.
#pragma once

#include <algorithm>
#include <chrono>

namespace hone {

// Where other programs hold the cores, a thread that is called starts when it is given a time slice,
// some milliseconds later, and the parallel region ends no sooner. After a call that took longer than it
// would have on one thread, short calls run on one for a while. Their bits are the same. (Two processes with
// 2 threads each on the 2 cores of an AMD Zen 4, decoding 16384 keys of 8 heads, D 64: 5.5 times the time of
// one process without this, 3.0 times with it.)
class Crowding {
  public:
    using Clock = std::chrono::steady_clock;
    using Seconds = std::chrono::duration<double>;

    // Some 10 to 30 ms on one thread.
    static constexpr double kShortCost = 1e9;

    bool crowded(Clock::time_point now) const { return now < until_; }

    // A call that ends now took this time, and one thread would have taken that.
    void called(Clock::time_point now, Seconds time, Seconds on_one_thread) {
        if (time < 1.25 * on_one_thread + Seconds(200e-6)) {
            pause_ = kFirstPause;
            return;
        }
        until_ = now + pause_;
        pause_ = std::min(2 * pause_, kLastPause);
    }

  private:
    static constexpr Clock::duration kFirstPause = std::chrono::milliseconds(5);
    static constexpr Clock::duration kLastPause = std::chrono::milliseconds(320);
    Clock::time_point until_ = Clock::time_point::min();
    Clock::duration pause_ = kFirstPause;
};

}  // namespace hone
