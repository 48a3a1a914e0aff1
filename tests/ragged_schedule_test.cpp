// ragged_schedule_test.cpp: the order of the tasks of many batch entries that differ, in simulated time, and
// the workspace that they take. HONE_TEST_TABLE=1 prints the table of efficiencies.
#include <gtest/gtest.h>

#include <algorithm>
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

// The axes over which q, and k and v, are broadcast and their gradients summed.
struct Sums {
    Shared q = {}, kv = {};
};

template <class Args>
Args args(const Sums& sums = {});
template <>
hone_forward_args args(const Sums& sums) {
    hone_forward_args a = no_forward_args();
    a.q = hone_const(planned_tensor(sums.q)), a.k = a.v = hone_const(planned_tensor(sums.kv));
    a.o = planned_tensor();
    return a;
}
template <>
hone_backward_args args(const Sums& sums) {
    hone_backward_args a = no_backward_args();
    a.q = hone_const(planned_tensor(sums.q)), a.k = a.v = hone_const(planned_tensor(sums.kv));
    a.o = a.dout = hone_const(planned_tensor());
    a.dq = planned_tensor(sums.q), a.dk = a.dv = planned_tensor(sums.kv);
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
}

// The same for anything that the workspace depends on: broadcasts, types, few rows and many, no rows at all.
template <class Args>
void expect_enough(Random& random, const std::string& name) {
    const auto axes = [&] {
        return random.one_in(2) ? Shared{} : Shared{random.one_in(2), random.one_in(2), random.one_in(2)};
    };
    std::vector<std::int64_t> q_lengths, k_lengths, q_offsets = {0}, k_offsets = {0};
    hone_problem p = small_problem();
    p.queries = p.keys = 0;
    p.batch = random.one_in(2) ? 1 : random.integer(1, 9);
    p.kv_heads = random.integer(1, 5),
    p.query_heads = p.kv_heads * (random.one_in(3) ? random.integer(1, 99) : 1);
    p.key_dim = random.integer(1, random.one_in(2) ? 9000 : 99);
    p.value_dim = random.integer(1, random.one_in(2) ? 9000 : 99);
    p.dtype = random.one_in(2) ? HONE_FLOAT32 : HONE_FLOAT64;
    const std::int64_t most_q = random.one_in(4) ? 0 : random.integer(0, random.one_in(2) ? 20 : 2000);
    const std::int64_t most_k = random.one_in(4) ? 0 : random.integer(0, random.one_in(9) ? 40000 : 2000);
    for (std::int64_t b = 0; b < p.batch; ++b) {
        q_lengths.push_back(random.integer(0, most_q)), k_lengths.push_back(random.integer(0, most_k));
        q_offsets.push_back(q_offsets.back() + q_lengths.back());
        k_offsets.push_back(k_offsets.back() + k_lengths.back());
    }
    p.queries = *std::max_element(q_lengths.begin(), q_lengths.end());
    p.keys = *std::max_element(k_lengths.begin(), k_lengths.end());
    if (random.one_in(2))
        p.flags |= HONE_RAGGED_QUERIES, p.total_queries = q_offsets.back(),
                                        p.query_offsets = {q_offsets.data(), HONE_INT64, 0};
    else
        p.flags |= HONE_QUERY_LENGTHS, p.query_lengths = {q_lengths.data(), HONE_INT64, 0};
    if (random.one_in(2))
        p.flags |= HONE_RAGGED_KEYS, p.total_keys = k_offsets.back(),
                                     p.key_offsets = {k_offsets.data(), HONE_INT64, 0};
    else
        p.flags |= HONE_KEY_LENGTHS, p.key_lengths = {k_lengths.data(), HONE_INT64, 0};
    const Sums sums = {axes(), axes()};
    const Machine machine = planned_machine(static_cast<int>(random.integer(1, 9)));
    EXPECT_GE(most_bytes(p, args<Args>(sums), machine), plan_call(p, args<Args>(sums), machine).bytes)
        << name;
}

TEST(RaggedSchedule, has_a_workspace_that_is_enough_whatever_is_broadcast) {
    Random random("workspaces");
    for (int n = 0; n < (quick() ? 300 : 6000); ++n) {
        expect_enough<hone_forward_args>(random, "forward " + std::to_string(n));
        expect_enough<hone_backward_args>(random, "backward " + std::to_string(n));
    }
}

}  // namespace
}  // namespace hone::test
