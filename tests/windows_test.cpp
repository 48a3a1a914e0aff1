// windows_test.cpp: any window of keys, in the core.
#include <cstdint>
#include <string>
#include <vector>

#include "tests/core.hpp"
#include "tests/effort.hpp"

namespace hone::test {
namespace {

template <class T>
void search_windows(std::int64_t first, std::int64_t last) {
    for (std::int64_t n = first; n < last; ++n) {
        const SearchProblem problem = tame(n);
        Random random("window_" + std::to_string(n));
        const Setting<T> setting = {{draw_window(problem.spec, random)}, {}, random.one_in(2)};
        SCOPED_TRACE("problem " + std::to_string(n));
        expect_right(problem, setting, draw_poison(random));
    }
}

TEST(Windows, any_is_seen) {
    const std::int64_t many = thorough() ? 3000 : quick() ? 60 : 300;
    search_windows<double>(0, many);
    search_windows<float>(many, 2 * many);
}

// Query i sees so many keys before key i, and so many from it on, counted from the bottom right.
struct Window {
    std::int64_t before, beyond;
};

// What the tests below are to meet.
struct Meets {
    bool splits = false;
    bool small_blocks = false;
};

template <class T>
void expect_window_of(Spec spec, hone_activation activation, const Window& window, const Meets& meets) {
    if (!applies(spec, describe(activation))) spec.sink = false;
    const std::int64_t diagonal = spec.keys - spec.queries;
    const Visibility v = {spec.queries, spec.keys, window.before - diagonal, window.beyond + diagonal};
    const Setting<T> setting = {{v}, {}, meets.small_blocks};
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        Call<T> call = make_call<T>(spec, activation, direction);
        call.problem.threads = 7;
        SCOPED_TRACE(spec.name + ", " + line_of(direction, v));
        with_plan(call, tuning_for(tiles_of<T>(available_isas().back()), setting), v,
                  [&]<class Plan>(const Plan& plan, const auto&) {
                      EXPECT_FALSE(empty(plan.keys));
                      EXPECT_GT(plan.threads, 1);
                      if constexpr (std::is_same_v<Plan, ForwardPlan>) {
                          EXPECT_EQ(plan.splits > 1, meets.splits);
                      }
                  });
        EXPECT_EQ(faults_of(call, setting), "");
    }
}

void expect_windows_of(const Spec& spec, const std::vector<Window>& windows, const Meets& meets = {}) {
    for (const hone_activation activation : {HONE_SOFTMAX, HONE_SIGMOID})
        for (const Window& window : windows) {
            expect_window_of<double>(spec, activation, window, meets);
            expect_window_of<float>(spec, activation, window, meets);
        }
}

// More work than the search has: several blocks of rows, whose size depends on the number of threads.
TEST(Windows, have_the_same_bits_on_any_number_of_threads) {
    if (quick()) GTEST_SKIP() << "takes long under a sanitizer or an emulator";
    expect_windows_of({.name = "long", .query_heads = 3, .kv_heads = 3, .queries = 700, .keys = 800},
                      {{100, 1}, {300, 40}, {-200, 500}});
    expect_windows_of({.name = "grouped", .query_heads = 5, .queries = 193, .keys = 700},
                      {{100, 1}, {300, 40}, {-20, 170}});
    expect_windows_of({.name = "split", .query_heads = 2, .queries = 40, .keys = 5000},
                      {{3000, 1}, {2900, -1500}}, {.splits = true});
    expect_windows_of({.name = "in_place", .query_heads = 7, .queries = 2, .keys = 3500},
                      {{3000, 1}, {2900, -1500}}, {.splits = true});
}

// Rows see 71 blocks of keys, more than are added plainly, and none of the first ones.
TEST(Windows, begin_behind_some_blocks_of_keys_and_see_many) {
    expect_windows_of(
        {.name = "many", .query_heads = 3, .queries = 101, .keys = kSliceKeys * 80, .sink = true},
        {{kSliceKeys * 71, 1}}, {.small_blocks = true});
    expect_windows_of({.name = "many_in_place", .queries = 3, .keys = kSliceKeys * 80},
                      {{kSliceKeys * 71, 1}}, {.splits = true, .small_blocks = true});
}

// 90 blocks of rows and more see a block of keys, neither the first nor the last of them.
TEST(Windows, are_seen_from_many_blocks_of_rows) {
    expect_windows_of({.name = "many_rows", .queries = 2400, .keys = 150}, {{50, 2200}},
                      {.small_blocks = true});
}

// The first rows do not see the last split of the keys.
TEST(Windows, that_leave_out_a_split_of_the_keys_keep_the_sink) {
    const Spec spec = {.name = "unseen_split", .queries = 90, .keys = 1616, .sink = true};
    expect_windows_of(spec, {{960, 1}}, {.splits = true});
}

// Blocks are of 128 keys, and of 64, in float64.
TEST(Windows, of_heads_with_many_features) {
    expect_windows_of(
        {.name = "wide", .queries = 19, .keys = 301, .key_dim = 703, .value_dim = 701, .sink = true},
        {{100, 1}});
    expect_windows_of({.name = "wider", .queries = 19, .keys = 301, .key_dim = 1043, .value_dim = 1009},
                      {{100, 1}});
}

}  // namespace
}  // namespace hone::test
