// expect.hpp: what the tests expect of every call.
#pragma once

#include <gtest/gtest.h>

#include "tests/accuracy.hpp"

namespace hone::test {

// The results of a call are as near to the truth as they must be.
template <class T>
void expect_accurate(Call<T>& got, Truth<T>& truth) {
    for (const Argument argument : outputs(got.direction)) {
        if (!got[argument].present()) continue;
        const Worst worst = worst_of(got, truth, argument);
        EXPECT_LE(worst.share, 1) << worst;
    }
}

// A call has written its results and nothing else.
template <class T>
void expect_only_outputs_written(Call<T>& got, Call<T>& before) {
    EXPECT_EQ(wrongly_written(got, before), "") << "is written where it should not be";
}

}  // namespace hone::test
