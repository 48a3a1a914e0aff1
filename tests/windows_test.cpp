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
        Setting<T> setting = {{draw_window(problem.spec, random)}};
        const bool poisoned = random.integer(0, 2) == 0;
        setting.small_blocks = random.integer(0, 1) == 0;
        SCOPED_TRACE("problem " + std::to_string(n));
        expect_right(problem, setting, poisoned ? 97 : 0);
    }
}

TEST(Windows, any_is_seen) {
    const std::int64_t many = thorough() ? 3000 : 300;
    search_windows<double>(0, many);
    search_windows<float>(many, 2 * many);
}

// Query i sees so many keys before key i, and so many from it on, counted from the bottom right.
struct Window {
    std::int64_t before, beyond;
};

template <class T>
void expect_windows_of(const Spec& spec, const std::vector<Window>& windows, bool small_blocks = false) {
    const std::int64_t diagonal = spec.keys - spec.queries;
    for (const hone_activation activation : {HONE_SOFTMAX, HONE_SIGMOID})
        for (const auto& [before, beyond] : windows)
            for (const Direction direction : {Direction::forward, Direction::backward}) {
                if (!applies(spec, describe(activation))) continue;
                Call<T> call = make_call<T>(spec, activation, direction);
                call.problem.threads = 7;
                const Visibility v = {spec.queries, spec.keys, before - diagonal, beyond + diagonal};
                EXPECT_EQ(faults_of(call, Setting<T>{{v}, {}, small_blocks}), "")
                    << spec.name << ", " << line_of(direction, v);
            }
}

// More work than the search has: several blocks of rows, whose size is by the number of threads.
TEST(Windows, have_the_same_bits_on_any_number_of_threads) {
    if (quick()) GTEST_SKIP() << "takes long under a sanitizer or an emulator";
    const std::vector<Window> windows = {{100, 1}, {300, 40}, {-200, 500}};
    expect_windows_of<float>({.name = "long", .query_heads = 3, .kv_heads = 3, .queries = 700, .keys = 800},
                             windows);
    expect_windows_of<float>({.name = "grouped", .query_heads = 5, .queries = 193, .keys = 700}, windows);
    expect_windows_of<double>({.name = "split", .query_heads = 2, .queries = 40, .keys = 5000}, windows);
    expect_windows_of<float>({.name = "in_place", .query_heads = 7, .queries = 2, .keys = 2500}, windows);
}

// Rows see 71 blocks of keys, more than are added plainly, and none of the first ones.
TEST(Windows, begin_behind_some_blocks_of_keys_and_see_many) {
    const std::vector<Window> windows = {{kSliceKeys * 71, 1}};
    expect_windows_of<float>(
        {.name = "many", .query_heads = 3, .queries = 101, .keys = kSliceKeys * 80, .sink = true}, windows,
        true);
    expect_windows_of<double>({.name = "many_in_place", .queries = 3, .keys = kSliceKeys * 80}, windows,
                              true);
}

// 90 blocks of rows and more see a block of keys, neither the first nor the last of them.
TEST(Windows, are_seen_from_many_blocks_of_rows) {
    expect_windows_of<float>({.name = "many_rows", .queries = 2400, .keys = 150}, {{50, 2200}}, true);
}

// The first rows do not see the last split of the keys.
TEST(Windows, that_leave_out_a_split_of_the_keys_keep_the_sink) {
    const std::vector<Window> windows = {{900, 1}};
    expect_windows_of<float>({.name = "unseen_split", .queries = 190, .keys = 1700, .sink = true}, windows);
}

// Blocks are of 128 keys, and of 64.
TEST(Windows, of_heads_with_many_features) {
    const std::vector<Window> windows = {{100, 1}};
    expect_windows_of<double>(
        {.name = "wide", .queries = 19, .keys = 301, .key_dim = 703, .value_dim = 701, .sink = true},
        windows);
    expect_windows_of<double>(
        {.name = "wider", .queries = 19, .keys = 301, .key_dim = 1043, .value_dim = 1009}, windows);
}

}  // namespace
}  // namespace hone::test
