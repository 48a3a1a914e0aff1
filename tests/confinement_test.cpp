// confinement_test.cpp: a NaN or infinity reaches just what sees it: nothing that a mask hides it from.
#include <gtest/gtest.h>

#include <cmath>
#include <hone/hone.hpp>
#include <limits>
#include <string>

#include "tests/accuracy.hpp"
#include "tests/every.hpp"
#include "tests/shapes.hpp"

namespace hone::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Puts `value` into row i of a tensor, for all batches and heads: into one feature, or all.
template <class T>
void spoil(Tensor<T>& tensor, std::int64_t i, double value, bool all_features) {
    tensor.for_each_row([&](auto, auto, std::int64_t row, T* x) {
        for (std::int64_t d = 0; d < tensor.extents().features; ++d)
            if (row == i && (all_features || d == 1)) x[d] = static_cast<T>(value);
    });
}

// The call with `value` in a row of an input.
template <class T>
Call<T> spoilt(Call<T> call, Argument argument, std::int64_t row, double value, bool all_features) {
    spoil(call[argument], row, value, all_features);
    return call;
}

// Expects elements that are NaN or infinite in the truth to be so; and those that a NaN in the same place
// does not reach to be as accurate as others.
template <class T>
void expect_spread(Call<T>& got, Truth<T>& truth, Truth<T>& reach, const std::string& what) {
    for (const Argument argument : outputs(got.direction)) {
        std::int64_t leaks = 0, losses = 0, wrong = 0;
        Tensor<Wide<T>>& exact = truth.exact[argument];
        exact.for_each_row([&](std::int64_t b, std::int64_t h, std::int64_t i, const Wide<T>* want) {
            const T* x = got[argument].row(b, h, i);
            const Wide<T>* reached = reach.exact[argument].row(b, h, i);
            for (std::int64_t d = 0; d < exact.extents().features; ++d) {
                if (!std::isnan(reached[d]))
                    std::isnan(x[d])
                        ? ++leaks
                        : wrong += distance(x[d], want[d]) > truth.allowed[argument].at(b, h, i, d);
                else if (!std::isfinite(want[d]))
                    losses += std::isnan(want[d]) ? std::isfinite(x[d]) : distance(x[d], want[d]) > 0;
            }
        });
        EXPECT_EQ(leaks, 0) << what << ": elements of " << argument_names[argument]
                            << " that it should not reach";
        EXPECT_EQ(losses, 0) << what << ": elements of " << argument_names[argument]
                             << " that it should reach";
        EXPECT_EQ(wrong, 0) << what << ": elements of " << argument_names[argument] << " that it has changed";
    }
}

template <class T>
void expect_confined(const Call<T>& input) {
    const std::int64_t queries = input.problem.queries, keys = input.problem.keys;
    struct Spoilt {
        Argument argument;
        std::int64_t row;
    };
    for (const auto& [argument, row] :
         {Spoilt{K, keys - 1}, Spoilt{V, keys - 1}, Spoilt{K, keys / 2}, Spoilt{V, keys / 2}, Spoilt{Q, 0},
          Spoilt{Q, queries / 2}, Spoilt{DOUT, 0}, Spoilt{DOUT, queries / 2}})
        for (const bool all_features : {false, true}) {
            if (!Call<T>(input)[argument].present()) continue;
            Truth<T> reach(spoilt(input, argument, row, kNaN, all_features));
            for (const double value : {kNaN, kInfinity}) {
                Truth<T> truth =
                    std::isnan(value) ? reach : Truth<T>(spoilt(input, argument, row, value, all_features));
                Call<T> call = truth.input;
                ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
                expect_spread(call, truth, reach,
                              std::string(std::isnan(value) ? "NaN in " : "infinity in ") +
                                  argument_names[argument] + " row " + std::to_string(row) +
                                  (all_features ? ", all features" : ", one feature"));
            }
        }
}

// Square, with keys that no row sees, with rows that see no key; few rows; small, and of several blocks, and
// in splits.
const Spec kMasked[] = {
    {.name = "square", .queries = 21, .keys = 21, .mask = Mask::top_left},
    {.name = "wide", .query_heads = 2, .queries = 13, .keys = 37, .mask = Mask::top_left},
    {.name = "tall", .query_heads = 2, .queries = 37, .keys = 13, .mask = Mask::bottom_right},
    {.name = "few", .query_heads = 2, .queries = 5, .keys = 9, .mask = Mask::bottom_right},
    {.name = "unmasked", .queries = 11, .keys = 19}};
const Spec kMaskedBlocks = {
    .name = "blocks", .queries = 205, .keys = 311, .key_dim = 3, .value_dim = 3, .mask = Mask::top_left};
const Spec kMaskedSplits = {.name = "splits",
                            .query_heads = 2,
                            .queries = 3,
                            .keys = 1026,
                            .key_dim = 9,
                            .value_dim = 3,
                            .mask = Mask::bottom_right};

class Confinement : public KernelTest {
  protected:
    template <class T>
    Call<T> call_of(const Spec& spec, Direction direction) {
        Call<T> call = make_call<T>(spec, GetParam().activation, direction);
        call.problem.isa = GetParam().isa.c_str();
        return call;
    }

    // Large calls in float alone: the wide reference of a double takes long.
    template <class T>
    void expect_nothing_leaks(Direction direction) {
        for (const Spec& spec : kMasked) expect_confined(call_of<T>(spec, direction));
        if (!std::is_same_v<T, float> || quick()) return;
        for (const Spec& spec : {kMaskedBlocks, kMaskedSplits}) expect_confined(call_of<T>(spec, direction));
    }
};

INSTANTIATE_TEST_SUITE_P(Every, Confinement, testing::ValuesIn(every_kernel()), kernel_name);

TEST_P(Confinement, nan_and_infinity_reach_just_what_sees_them_forward) {
    with_scalar([&]<class T>(T) { expect_nothing_leaks<T>(Direction::forward); });
}

TEST_P(Confinement, nan_and_infinity_reach_just_what_sees_them_backward) {
    with_scalar([&]<class T>(T) { expect_nothing_leaks<T>(Direction::backward); });
}

}  // namespace
}  // namespace hone::test
