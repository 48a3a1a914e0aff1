// case_test.hpp: what the tests of single cases share: a fixture for every kernel, and calls whose scores are
// given.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <hone/hone.hpp>
#include <limits>
#include <string>

#include "tests/every.hpp"
#include "tests/expect.hpp"
#include "tests/spec.hpp"

namespace hone::test {

template <class T>
inline constexpr T kInfinity = std::numeric_limits<T>::infinity();
template <class T>
inline constexpr T kLargest = std::numeric_limits<T>::max();
template <class T>
inline constexpr double kEpsilon = std::numeric_limits<T>::epsilon();

// Few rows are read in place; more are packed, in one block or several.
inline constexpr std::int64_t kRows[] = {1, 16, 17, 97, 201};

class CaseTest : public KernelTest {
  protected:
    std::string name = info.name;
    bool exponential = name == "softmax" || name == "softmax_1" || name == "bayes_softmax";

    template <class T>
    Call<T> call_of(const Spec& spec, Direction direction) {
        Call<T> call = make_call<T>(spec, GetParam().activation, direction);
        call.problem.isa = GetParam().isa.c_str();
        return call;
    }

    // Forward by the library, for a backward call.
    template <class T>
    static void complete(Call<T>& call) {
        if (!call[LSE].present()) return;
        call.direction = Direction::forward;
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        call.direction = Direction::backward;
    }

    template <class T>
    void expect_truth(const Call<T>& input) {
        Truth<T> truth(input);
        Call<T> call = truth.input;
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        expect_accurate(call, truth);
        expect_only_outputs_written(call, truth.input);
    }

    template <class T>
    static void expect_all(Call<T>& call, Argument argument, T expected) {
        std::int64_t others = 0;
        T other = 0;
        call[argument].for_each_row([&](auto, auto, auto, const T* x) {
            for (std::int64_t d = 0; d < call[argument].extents().features; ++d)
                if (x[d] != expected) ++others, other = x[d];
        });
        EXPECT_EQ(others, 0) << argument_names[argument] << " should be " << expected << ", but is also "
                             << other;
    }
};

// One feature, and scores that are what k is.
inline Spec scored(std::int64_t queries, std::int64_t keys) {
    Spec spec = {.name = "scored", .queries = queries, .keys = keys, .key_dim = 1, .value_dim = 1};
    spec.scale = 1;
    return spec;
}

}  // namespace hone::test
