// hidden_test.cpp: a NaN in a key or a value reaches the rows that see it, and no other.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <hone/hone.hpp>
#include <limits>
#include <string>
#include <vector>

#include "tests/accuracy.hpp"
#include "tests/every.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

// Few rows are read in place, more are packed. Each is seen by some rows and hidden from others: key 3 is.
std::vector<Spec> specs() {
    std::vector<Spec> list;
    for (const std::int64_t queries : {5, 33}) {
        const Spec base = {
            .name = "", .batch = 2, .query_heads = 4, .kv_heads = 2, .queries = queries, .keys = 41};
        const auto add = [&](const char* name, auto change) {
            list.push_back(base);
            list.back().name = name + std::to_string(queries);
            change(list.back());
        };
        add("causal_", [](Spec& s) { s.mask = Mask::top_left; });
        add("window_", [](Spec& s) { s.window = {1, 1}; });
        add("lengths_", [](Spec& s) { s.key_lengths = {3, 41}; });
        add("mask_", [](Spec& s) { s.bool_mask.shows = Shows::some_keys; });
        add("mask_for_all_heads_", [](Spec& s) {
            s.bool_mask.shows = Shows::some_keys;
            s.bool_mask.one_head = true;
        });
        add("mask_of_rows_", [](Spec& s) { s.bool_mask.shows = Shows::some_rows; });
        add("causal_mask_", [](Spec& s) {
            s.mask = Mask::bottom_right;
            s.bool_mask.shows = Shows::some_keys;
            s.bool_mask.order = 23;
        });
    }
    // The first block of keys holds the NaN and is packed; v of the second, which all see, is read where it
    // lies.
    list.push_back({.name = "second_block", .queries = 33, .keys = 300, .value_dim = 32});
    list.back().window = {1, -1};
    return list;
}

class Hidden : public KernelTest {
  protected:
    static constexpr std::int64_t kKey = 3, kFeature = 5;

    // Whether the row of a query, or that of a head of its group, sees the key.
    template <class T>
    bool sees_it(const Call<T>& call, std::int64_t b, std::int64_t h, std::int64_t i) const {
        if (!info.joint) return sees(call, b, h, i, kKey);
        bool any = false;
        for (std::int64_t head = 0; head < call.problem.query_heads; ++head)
            any |= sees(call, b, head, i, kKey);
        return any;
    }

    template <class T>
    static void set_nan(Call<T>& call, Argument argument) {
        call[argument].for_each_row([](auto, auto, std::int64_t j, T* x) {
            if (j == kKey) x[kFeature] = std::numeric_limits<T>::quiet_NaN();
        });
    }

    // Rows of o or dq that do not see the NaN are as near to the truth without it as ever. Others have one if
    // it is in v; of a score that is NaN an activation may make anything.
    template <class T>
    void expect_confined(Call<T>& got, Truth<T>& clean, Argument argument, Argument nan_in) {
        std::int64_t wrong = 0;
        clean.exact[argument].for_each_row([&](auto b, auto h, auto i, const Wide<T>* want) {
            const T* const x = got[argument].row(b, h, i);
            bool nan = false, near = true;
            for (std::int64_t d = 0; d < got[argument].extents().features; ++d) {
                nan |= std::isnan(x[d]);
                near &= distance(x[d], want[d]) <= clean.allowed[argument].at(b, h, i, d);
            }
            const bool seen = sees_it(got, b, h, i), own = sees(got, b, h, i, kKey);
            wrong += seen ? nan_in == V && own && !nan : !near;
        });
        EXPECT_EQ(wrong, 0) << "rows of " << argument_names[argument];
    }

    template <class T>
    void expect_confined(const Spec& spec, Direction direction, Argument nan) {
        Call<T> call = make_call<T>(spec, GetParam().activation, direction);
        call.problem.isa = GetParam().isa.c_str();
        Truth<T> clean(call);
        call = clean.input;
        set_nan(call, nan);
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        expect_confined(call, clean, direction == Direction::forward ? O : DQ, nan);
    }
};

INSTANTIATE_TEST_SUITE_P(Every, Hidden, testing::ValuesIn(every_kernel()), kernel_name);

TEST_P(Hidden, nan_reaches_the_rows_that_see_it_alone) {
    with_scalar([&]<class T>(T) {
        for (const Spec& spec : specs())
            for (const Direction direction : {Direction::forward, Direction::backward})
                for (const Argument nan : {K, V}) {
                    SCOPED_TRACE(spec.name + (direction == Direction::forward ? " forward " : " backward ") +
                                 argument_names[nan]);
                    expect_confined<T>(spec, direction, nan);
                }
    });
}

}  // namespace
}  // namespace hone::test
