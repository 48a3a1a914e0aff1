// crowding_test.cpp: when short calls do without threads, and for how long.
#include "crowding.hpp"

#include <gtest/gtest.h>

namespace hone::test {
namespace {

using std::chrono::milliseconds;

// A call of 1 ms on one thread that took 20 ms on two.
void called_in_vain(Crowding& crowding, Crowding::Clock::time_point now) {
    crowding.called(now, milliseconds(20), milliseconds(1));
}

TEST(Crowding, is_not_seen_before_a_call_has_waited_in_vain) {
    Crowding crowding;
    const auto now = Crowding::Clock::now();
    EXPECT_FALSE(crowding.crowded(now));
    // Half the time, all of it, and a little more, as noise has it.
    for (const double time : {0.5e-3, 1e-3, 1.4e-3}) {
        crowding.called(now, Crowding::Seconds(time), milliseconds(1));
        EXPECT_FALSE(crowding.crowded(now)) << time;
    }
    // A start of threads that sleep counts for nothing.
    crowding.called(now, Crowding::Seconds(150e-6), Crowding::Seconds(10e-6));
    EXPECT_FALSE(crowding.crowded(now));
}

TEST(Crowding, ends_after_a_pause_that_doubles_up_to_a_third_of_a_second) {
    Crowding crowding;
    auto now = Crowding::Clock::now();
    for (const int pause : {5, 10, 20, 40, 80, 160, 320, 320, 320}) {
        called_in_vain(crowding, now);
        EXPECT_TRUE(crowding.crowded(now + milliseconds(pause) - std::chrono::microseconds(1))) << pause;
        EXPECT_FALSE(crowding.crowded(now + milliseconds(pause))) << pause;
        now += milliseconds(pause);
    }
}

TEST(Crowding, is_forgotten_after_a_call_that_gained) {
    Crowding crowding;
    auto now = Crowding::Clock::now();
    for (int i = 0; i < 4; ++i) called_in_vain(crowding, now);
    now += std::chrono::seconds(1);
    crowding.called(now, milliseconds(1), milliseconds(2));
    EXPECT_FALSE(crowding.crowded(now));
    called_in_vain(crowding, now);
    EXPECT_FALSE(crowding.crowded(now + milliseconds(5)));
}

}  // namespace
}  // namespace hone::test
