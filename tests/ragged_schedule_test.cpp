// ragged_schedule_test.cpp: the order of the tasks of many batch entries that differ, in simulated time, and
// the workspace that they take. HONE_TEST_TABLE=1 prints the table of efficiencies.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "parts.hpp"
#include "tests/effort.hpp"
#include "tests/plans.hpp"
#include "tests/simulate.hpp"

namespace hone::test {
namespace {

// Lengths of sequences, packed one after the other.
struct Sequences {
    std::string name;
    std::vector<std::int64_t> lengths;
};

// A call on sequences that attend to themselves.
struct RaggedCall {
    std::vector<std::int64_t> offsets = {0};
    hone_problem problem = small_problem();

    RaggedCall(const Sequences& sequences, std::int64_t heads, Mask mask, std::int64_t window) {
        hone_problem& p = problem;
        for (const std::int64_t n : sequences.lengths) {
            offsets.push_back(offsets.back() + n);
            p.queries = p.keys = std::max(p.queries, n);
        }
        set_mask(p, mask);
        p.flags |= HONE_RAGGED_QUERIES | HONE_RAGGED_KEYS;
        if (window > 0) p.flags |= HONE_WINDOW, p.window_left = p.window_right = window;
        p.batch = std::ssize(sequences.lengths), p.query_heads = p.kv_heads = heads;
        p.key_dim = p.value_dim = 64;
        p.total_queries = p.total_keys = offsets.back();
        p.query_offsets = p.key_offsets = {offsets.data(), HONE_INT64, 0};
    }
};

template <class Args>
Args args();
template <>
hone_forward_args args() {
    hone_forward_args a = no_forward_args();
    a.q = a.k = a.v = hone_const(planned_tensor()), a.o = planned_tensor();
    return a;
}
template <>
hone_backward_args args() {
    hone_backward_args a = no_backward_args();
    a.q = a.k = a.v = a.o = a.dout = hone_const(planned_tensor());
    a.dq = a.dk = a.dv = planned_tensor();
    return a;
}

template <class Args>
struct Planned {
    std::vector<PlanOf<Args>> parts;
    std::vector<Run> runs;
    int threads;

    Planned(const hone_problem& p, const Args& a, const Machine& machine) {
        const Parts<Args> all(p, a, machine);
        threads = all.threads();
        for (std::int64_t i = 0; i < all.count(); ++i) {
            parts.push_back(all.part(i).plan);
            const std::size_t before = runs.size();
            runs.resize(before + runs_of(parts.back(), i, nullptr));
            runs_of(parts.back(), i, runs.data() + before);
        }
        order(runs, threads);
    }
};

template <class Args>
void expect_efficient(const Sequences& sequences, std::int64_t heads, Mask mask, int threads) {
    const RaggedCall call(sequences, heads, mask, 0);
    const Planned<Args> planned(call.problem, args<Args>(), planned_machine(threads));
    const Simulated result = Simulator(planned.parts, planned.runs, planned.threads).result();
    const char* direction = std::is_same_v<Args, hone_forward_args> ? "forward" : "backward";
    const std::string name = sequences.name + ", " + std::to_string(heads) + " heads, " + name_of(mask);
    if (environment_says("HONE_TEST_TABLE"))
        std::printf("%-8s %-40s %3d threads, %3d used: %.3f of the bound\n", direction, name.c_str(), threads,
                    planned.threads, result.efficiency());
    EXPECT_GE(result.efficiency(), 0.95) << direction << " " << name << ", " << threads << " threads";
}

// 64 sequences of 16 to 8192 tokens: short ones as often as long ones, most of them short, one long one.
std::vector<Sequences> batches() {
    std::vector<Sequences> list = {{"even", {}}, {"logarithmic", {}}, {"uniform", {}}, {"one long", {}}};
    Random random("sequences");
    for (int i = 0; i < 64; ++i) {
        list[0].lengths.push_back(2048);
        list[1].lengths.push_back(
            static_cast<std::int64_t>(16 * std::pow(2.0, (random.symmetric() + 1) * 4.5)));
        list[2].lengths.push_back(random.integer(16, 8192));
        list[3].lengths.push_back(i == 40 ? 8192 : random.integer(16, 300));
    }
    return list;
}

TEST(RaggedSchedule, is_near_the_bound) {
    if (quick()) GTEST_SKIP() << "takes long under a sanitizer";
    for (const Sequences& sequences : batches())
        for (const std::int64_t heads : {1, 8})
            for (const Mask mask : {Mask::none, Mask::bottom_right})
                for (const int threads : {2, 4, 8, 16, 32, 64}) {
                    expect_efficient<hone_forward_args>(sequences, heads, mask, threads);
                    expect_efficient<hone_backward_args>(sequences, heads, mask, threads);
                }
}

// Every task of every part comes once, after those that come before it in its part.
template <class Args>
void expect_all_tasks_in_order(const Sequences& sequences, std::int64_t window, int threads) {
    const RaggedCall call(sequences, 3, Mask::bottom_right, window);
    const Planned<Args> planned(call.problem, args<Args>(), planned_machine(threads));
    std::vector<std::int64_t> next(planned.parts.size(), 0);
    std::int64_t at = 0;
    for (const Run& run : planned.runs) {
        EXPECT_EQ(run.at, at);
        EXPECT_EQ(run.first, next[run.part]);
        at += run.count, next[run.part] += run.count;
    }
    for (std::size_t i = 0; i < next.size(); ++i) EXPECT_EQ(next[i], schedule_of(planned.parts[i]).tasks());
    Simulator(planned.parts, planned.runs, threads);  // no task waits for a later one
}

TEST(RaggedSchedule, does_all_work_once) {
    for (const std::vector<std::int64_t>& lengths :
         {std::vector<std::int64_t>{}, {0}, {0, 0, 5}, {1, 193, 0, 17, 700, 1, 2000}, {300, 300, 300}})
        for (const std::int64_t window : {0, 40})
            for (const int threads : {1, 2, 5}) {
                expect_all_tasks_in_order<hone_forward_args>({"", lengths}, window, threads);
                expect_all_tasks_in_order<hone_backward_args>({"", lengths}, window, threads);
            }
}

// A workspace that is asked for before lengths are known is enough for any.
template <class Args>
void expect_enough(const Sequences& sequences, std::int64_t heads, int threads) {
    const RaggedCall call(sequences, heads, Mask::bottom_right, 0);
    const Machine machine = planned_machine(threads);
    const std::size_t needed = plan_call(call.problem, args<Args>(), machine).bytes;
    const std::size_t most = most_bytes(call.problem, args<Args>(), machine);
    EXPECT_GE(most, needed) << sequences.name << ", " << heads << " heads, " << threads << " threads";
    if (environment_says("HONE_TEST_TABLE"))
        std::printf("%-12s %ld heads, %3d threads: %.1f MB needed, at most %.1f\n", sequences.name.c_str(),
                    static_cast<long>(heads), threads, static_cast<double>(needed) / 1e6,
                    static_cast<double>(most) / 1e6);
}

TEST(RaggedSchedule, has_a_workspace_that_is_enough_for_any_lengths) {
    for (const Sequences& sequences : batches())
        for (const std::int64_t heads : {1, 8})
            for (const int threads : {1, 2, 64}) {
                expect_enough<hone_forward_args>(sequences, heads, threads);
                expect_enough<hone_backward_args>(sequences, heads, threads);
            }
    Random random("workspaces");
    for (int n = 0; n < 200; ++n) {
        Sequences sequences = {"random " + std::to_string(n), {}};
        const std::int64_t most = random.integer(1, 2000);
        for (std::int64_t i = random.integer(1, 9); i > 0; --i)
            sequences.lengths.push_back(random.integer(0, random.integer(0, most)));
        const std::int64_t heads = random.integer(1, 9);
        const int threads = static_cast<int>(random.integer(1, 9));
        expect_enough<hone_forward_args>(sequences, heads, threads);
        expect_enough<hone_backward_args>(sequences, heads, threads);
    }
}

}  // namespace
}  // namespace hone::test
