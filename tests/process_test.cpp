// process_test.cpp: a call among processes: after a fork, beside another process on the same cores, under a
// limit of memory.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <hone/hone.hpp>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "tests/call.hpp"
#include "tests/child.hpp"
#include "tests/effort.hpp"
#include "tests/spec.hpp"
#include "tests/timing.hpp"

namespace hone::test {
namespace {

const Spec kSpec = {
    .name = "process", .batch = 2, .query_heads = 4, .kv_heads = 2, .queries = 67, .keys = 131};

// A call on two threads with what it should give: the bits of one thread.
struct Checked {
    explicit Checked(Direction direction, int threads = 2, const Spec& spec = kSpec)
        : call(make_call<float>(spec, HONE_SOFTMAX, direction)) {
        if (direction == Direction::backward) {
            call.direction = Direction::forward;
            run(call);
            call.direction = Direction::backward;
        }
        expected = call;
        expected.problem.threads = 1;
        status = run(expected);
        call.problem.threads = threads;
    }
    // Whether the call succeeds and gives it.
    bool right() {
        Call<float> got = call;
        if (status != HONE_OK || run(got) != HONE_OK) return false;
        for (const Argument argument : outputs(got.direction))
            if (!got[argument].same_bytes(expected[argument])) return false;
        return true;
    }

    Call<float> call, expected;
    hone_status status;
};

// ---- After a fork ----

// Runs body in a fork of this process; whether it returned true there, within five seconds.
template <class Body>
bool passes_in_fork(Body&& body) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(5);
        _exit(body() ? 0 : 1);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class Fork : public testing::TestWithParam<Direction> {
  protected:
    void SetUp() override {
        if (sanitized()) GTEST_SKIP() << "a sanitizer's threads do not outlive a fork";
    }
};

INSTANTIATE_TEST_SUITE_P(Every, Fork, testing::Values(Direction::forward, Direction::backward),
                         [](const auto& info) {
                             return std::string(info.param == Direction::forward ? "forward" : "backward");
                         });

TEST_P(Fork, child_of_a_process_that_has_called_calls_as_well) {
    Checked checked(GetParam());
    ASSERT_TRUE(checked.right());
    EXPECT_TRUE(passes_in_fork([&] { return checked.right() && checked.right(); }));
    EXPECT_TRUE(checked.right()) << "the parent, afterwards";
}

TEST_P(Fork, child_of_a_child_calls_as_well) {
    Checked checked(GetParam());
    ASSERT_TRUE(checked.right());
    EXPECT_TRUE(passes_in_fork([&] {
        return checked.right() && passes_in_fork([&] { return checked.right(); }) && checked.right();
    }));
    EXPECT_TRUE(checked.right()) << "the parent, afterwards";
}

TEST_P(Fork, many_children_at_once_call_as_well) {
    Checked checked(GetParam());
    ASSERT_TRUE(checked.right());
    std::vector<pid_t> children;
    for (int n = 0; n < 4; ++n) {
        children.push_back(fork());
        if (children.back() == 0) {
            alarm(5);
            _exit(checked.right() ? 0 : 1);
        }
    }
    EXPECT_TRUE(checked.right()) << "the parent, meanwhile";
    for (const pid_t child : children) {
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

// 128 rows are cut in two for two threads, and a block of all of them would take more.
TEST_P(Fork, child_makes_do_with_the_workspace_that_its_parent_has_asked_for) {
    Checked checked(GetParam(), 2,
                    {.name = "workspace", .queries = 128, .keys = 200, .key_dim = 64, .value_dim = 64});
    std::size_t bytes = 0;
    ASSERT_EQ(workspace_bytes(checked.call, &bytes), HONE_OK) << hone_last_error();
    std::vector<std::byte> memory(bytes);
    checked.call.workspace = memory;
    ASSERT_TRUE(checked.right());
    EXPECT_TRUE(passes_in_fork([&] { return checked.right(); }));
}

// The thread that forks need not be the one that has called.
TEST_P(Fork, child_of_another_thread_calls_as_well) {
    Checked checked(GetParam());
    ASSERT_TRUE(checked.right());
    bool passes = false;
    std::thread([&] { passes = checked.right() && passes_in_fork([&] { return checked.right(); }); }).join();
    EXPECT_TRUE(passes);
    EXPECT_TRUE(checked.right()) << "the parent, afterwards";
}

TEST(ForkBeforeAnyCall, child_and_parent_both_call) {
    if (sanitized()) GTEST_SKIP() << "a sanitizer's threads do not outlive a fork";
    if (!is_child()) {
        EXPECT_TRUE(passes_in_child({}));
        return;
    }
    EXPECT_TRUE(passes_in_fork([] { return Checked(Direction::forward).right(); }));
    EXPECT_TRUE(Checked(Direction::forward).right());
}

// ---- Beside another process ----

// As when decoding, and a small call of several rows.
const Spec kSmall = {.name = "small",
                     .query_heads = 2,
                     .kv_heads = 2,
                     .queries = 64,
                     .keys = 64,
                     .key_dim = 32,
                     .value_dim = 32};
const Spec kDecode = {.name = "decode",
                      .query_heads = 8,
                      .kv_heads = 8,
                      .queries = 1,
                      .keys = 512,
                      .key_dim = 64,
                      .value_dim = 64};

// The seconds that a call takes on average while a process calls for a fifth of a second.
double seconds_per_call(const Spec& spec, int threads) {
    Checked checked(Direction::forward, threads, spec);
    for (int n = 0; n < 10; ++n) run(checked.call);
    double passed = 0;
    int calls = 0;
    for (; passed < 0.2; ++calls) passed += seconds([&] { run(checked.call); });
    return passed / calls;
}

// What a child is told to call.
struct Work {
    const char* spec;
    int threads;
};

constexpr const char* kThreadsVariable = "HONE_TEST_THREADS";

// Becomes a process that answers on `answers`, with the system's own settings.
[[noreturn]] void become_caller(const Work& work, int answers) {
    for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "GTEST_OUTPUT"})
        unsetenv(name);
    setenv(kChildVariable, work.spec, 1);
    setenv(kThreadsVariable, std::to_string(work.threads).c_str(), 1);
    dup2(answers, STDOUT_FILENO);
    execl("/proc/self/exe", "child", "--gtest_filter=Beside.answers_as_a_child", "--gtest_brief=1",
          static_cast<char*>(nullptr));
    _exit(127);
}

// Runs the work in as many processes at once; the mean of their answers.
double seconds_in_processes(int processes, const Work& work) {
    int ends[2];
    if (pipe(ends) != 0) return 0;
    std::vector<pid_t> children;
    for (int n = 0; n < processes; ++n) {
        children.push_back(fork());
        if (children.back() == 0) become_caller(work, ends[1]);
    }
    close(ends[1]);
    std::string said;
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
        said.append(buffer, static_cast<std::size_t>(n));
    close(ends[0]);
    for (const pid_t child : children) waitpid(child, nullptr, 0);
    const std::string answer = "seconds per call: ";
    double sum = 0;
    int answers = 0;
    for (std::size_t at = 0; (at = said.find(answer, at)) != std::string::npos; ++answers)
        sum += std::stod(said.substr(at += answer.size()));
    EXPECT_EQ(answers, processes) << said;
    return sum / processes;
}

TEST(Beside, answers_as_a_child) {
    if (!is_child() || !std::getenv(kThreadsVariable)) GTEST_SKIP() << "part of the tests below";
    const bool decodes = std::string(std::getenv(kChildVariable)) == "decode";
    std::printf("seconds per call: %g\n",
                seconds_per_call(decodes ? kDecode : kSmall, std::stoi(std::getenv(kThreadsVariable))));
}

// Two processes on the cores of one take twice as long: three times as long, in the best of several rounds,
// is too much. A process that is alone may have been disturbed: it is as fast as on one thread at least.
void expect_fair_share(const char* spec) {
    if (sanitized() || quick()) GTEST_SKIP() << "times mean nothing under a sanitizer or an emulator";
    const unsigned cpus = std::thread::hardware_concurrency();
    if (cpus < 2) GTEST_SKIP() << "needs two CPUs";
    const int processes = static_cast<int>(std::min(cpus / 2 * 2, 64u));  // two threads for each CPU
    double alone = HUGE_VAL, together = HUGE_VAL;
    for (int round = 0; round < 8 && (round == 0 || together > 3 * alone); ++round) {
        for (const int threads : {1, 2}) alone = std::min(alone, seconds_in_processes(1, {spec, threads}));
        together = std::min(together, seconds_in_processes(processes, {spec, 2}));
    }
    EXPECT_LE(together / alone, 3) << "times as slow, " << processes << " processes of two threads on "
                                   << cpus << " CPUs; alone " << alone * 1e6 << " us";
}

TEST(Beside, another_process_small_calls_take_their_share) {
    expect_fair_share("small");
}

TEST(Beside, another_process_decoding_takes_its_share) {
    expect_fair_share("decode");
}

// ---- Under a limit of memory ----

// Each thread's stack takes 8 MB of address space: a thousand of them are more than there is.
TEST(Limits, more_threads_than_memory_allows_are_taken_as_fewer) {
    if (sanitized()) GTEST_SKIP() << "sanitizers reserve address space";
    if (!is_child()) {
        EXPECT_TRUE(passes_in_child({}));
        return;
    }
    const rlimit limit = {rlim_t{3} << 30, rlim_t{3} << 30};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    Spec spec = kSpec;
    spec.batch = 1100;  // so that there is work for each
    spec.queries = spec.keys = 5;
    for (const Direction direction : {Direction::forward, Direction::backward})
        for (const int threads : {1000, 64, 1000000, std::numeric_limits<int>::max()})
            EXPECT_TRUE(Checked(direction, threads, spec).right())
                << threads << " threads: " << hone_last_error();
}

}  // namespace
}  // namespace hone::test
