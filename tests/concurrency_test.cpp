// concurrency_test.cpp: many threads call at once, each with its own data, results and errors.
#include <gtest/gtest.h>

#include <barrier>
#include <hone/hone.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/expect.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

constexpr int kCallers = 8, kRounds = 4;

// Runs body(caller) on as many threads, all started at once.
template <class Body>
void all_at_once(Body&& body) {
    std::barrier start(kCallers);
    std::vector<std::thread> threads;
    for (int caller = 0; caller < kCallers; ++caller)
        threads.emplace_back([&, caller] {
            start.arrive_and_wait();
            body(caller);
        });
    for (std::thread& thread : threads) thread.join();
}

// Other shapes, activations and directions for each caller.
std::vector<Call<float>> calls_of(int caller) {
    std::vector<Call<float>> calls;
    for (int round = 0; round < kRounds; ++round) {
        const Spec spec = {.name = "caller_" + std::to_string(caller) + "_" + std::to_string(round),
                           .batch = 1 + caller % 2,
                           .query_heads = 4,
                           .kv_heads = 2,
                           .queries = 61 + 13 * caller,
                           .keys = 173 - 11 * caller,
                           .mask = caller % 3 ? Mask::top_left : Mask::none};
        const auto activation = static_cast<hone_activation>((caller + round) % hone_activation_count());
        Call<float> call =
            make_call<float>(spec, activation, round % 2 ? Direction::backward : Direction::forward);
        compute_o_and_lse(call);
        calls.push_back(std::move(call));
    }
    return calls;
}

TEST(Concurrency, calls_from_many_threads_give_the_bits_of_calls_alone) {
    std::vector<std::vector<Call<float>>> input, alone;
    for (int caller = 0; caller < kCallers; ++caller) {
        input.push_back(calls_of(caller));
        alone.push_back(input.back());
        for (Call<float>& call : alone.back()) {
            Truth<float> truth(call);
            ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
            expect_accurate(call, truth);
        }
    }
    std::vector<std::vector<Call<float>>> together = input;
    std::vector<std::vector<hone_status>> statuses(kCallers, std::vector<hone_status>(kRounds));
    all_at_once([&](int caller) {
        for (int round = 0; round < kRounds; ++round) statuses[caller][round] = run(together[caller][round]);
    });
    for (int caller = 0; caller < kCallers; ++caller)
        for (int round = 0; round < kRounds; ++round) {
            ASSERT_EQ(statuses[caller][round], HONE_OK);
            Call<float>& call = together[caller][round];
            for (const Argument argument : outputs(call.direction))
                EXPECT_TRUE(call[argument].same_bytes(alone[caller][round][argument]))
                    << argument_names[argument] << " of caller " << caller << ", round " << round;
        }
}

TEST(Concurrency, errors_belong_to_the_thread_that_made_them) {
    hone_problem bad = small_problem();
    bad.keys = -1;
    const hone_forward_args args = no_forward_args();
    EXPECT_EQ(hone_forward(&bad, &args), HONE_INVALID_ARGUMENT);
    const std::string mine = hone_last_error();
    std::vector<std::string> first(kCallers), last(kCallers);
    std::vector<hone_status> statuses(kCallers);
    all_at_once([&](int caller) {
        first[caller] = hone_last_error();
        hone_problem problem = small_problem();
        problem.dtype = 1000 + caller;
        for (int n = 0; n < 100; ++n) statuses[caller] = hone_forward(&problem, &args);
        last[caller] = hone_last_error();
    });
    for (int caller = 0; caller < kCallers; ++caller) {
        EXPECT_EQ(first[caller], "");
        EXPECT_EQ(statuses[caller], HONE_INVALID_ARGUMENT);
        EXPECT_NE(last[caller].find(std::to_string(1000 + caller)), std::string::npos) << last[caller];
    }
    EXPECT_EQ(hone_last_error(), mine);
}

}  // namespace
}  // namespace hone::test
