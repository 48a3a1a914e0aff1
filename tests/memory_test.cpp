// memory_test.cpp: memory is linear in the sequence: no more than inputs, outputs and twice k and v.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <hone/hone.hpp>
#include <string>
#include <vector>

#include "tests/call.hpp"
#include "tests/child.hpp"
#include "tests/effort.hpp"

namespace hone::test {
namespace {

constexpr std::int64_t kRows = 16384, kFeatures = 64;

Problem long_sequence(std::int64_t heads) {
    return {.causal = true,
            .alignment = HONE_BOTTOM_RIGHT,
            .query_heads = heads,
            .kv_heads = heads,
            .queries = kRows,
            .keys = kRows,
            .key_dim = kFeatures,
            .value_dim = kFeatures,
            .threads = 2};
}

// Tensors of one size each, all elements written.
struct Sequence {
    explicit Sequence(std::int64_t heads, std::int64_t rows = kRows)
        : heads(heads), rows(rows), lse(heads * rows, 0.0f) {
        for (auto* x : {&q, &k, &v, &o, &dout, &dq, &dk, &dv})
            x->assign(static_cast<std::size_t>(heads * rows * kFeatures), 0.01f);
    }
    View view(std::vector<float>& x) const { return bhnd(x.data(), heads, rows, kFeatures); }
    Forward forward() { return {.q = view(q), .k = view(k), .v = view(v), .o = view(o), .lse = lse}; }
    Backward backward() {
        return {.q = view(q),
                .k = view(k),
                .v = view(v),
                .o = view(o),
                .dout = view(dout),
                .lse = lse,
                .dq = view(dq),
                .dk = view(dk),
                .dv = view(dv)};
    }
    std::size_t k_and_v_bytes() const { return 2 * k.size() * sizeof(float); }

    std::int64_t heads, rows;
    std::vector<float> q, k, v, o, dout, dq, dk, dv, lse;
};

TEST(Memory, workspace_of_a_long_sequence_is_at_most_twice_k_and_v) {
    for (const std::int64_t heads : {1, 2})
        for (int a = 0; a < hone_activation_count(); ++a) {
            Sequence sequence(heads);
            Problem problem = long_sequence(heads);
            problem.activation = static_cast<hone_activation>(a);
            Forward forward = sequence.forward();
            Backward backward = sequence.backward();
            const hone_activation_info info = describe(static_cast<hone_activation>(a));
            if (!info.normalised) forward.lse = {}, backward.lse = {}, backward.o = {};
            if (info.joint) forward.lse.size = backward.lse.size = kRows;
            EXPECT_LE(workspace_bytes(problem, forward), 2 * sequence.k_and_v_bytes()) << info.name;
            EXPECT_LE(workspace_bytes(problem, backward), 2 * sequence.k_and_v_bytes()) << info.name;
        }
}

std::size_t peak_bytes() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

// Warms up the code and the threads, whose stacks are not of the call.
void warm_up() {
    Sequence sequence(1, 256);
    Problem problem = long_sequence(1);
    problem.queries = problem.keys = 256;
    forward(problem, sequence.forward());
    backward(problem, sequence.backward());
}

void expect_bounded_growth(Direction direction) {
    if (sanitized()) GTEST_SKIP() << "a sanitizer's own memory hides the library's";
    if (quick()) GTEST_SKIP() << "takes long under an emulator";
    if (!is_child()) {
        EXPECT_TRUE(passes_in_child({}));
        return;
    }
    warm_up();
    Sequence sequence(1);
    const std::size_t before = peak_bytes();
    if (direction == Direction::forward)
        forward(long_sequence(1), sequence.forward());
    else
        backward(long_sequence(1), sequence.backward());
    EXPECT_LE(peak_bytes() - before, 2 * sequence.k_and_v_bytes());
}

TEST(Memory, forward_of_a_long_sequence_grows_by_at_most_twice_k_and_v) {
    expect_bounded_growth(Direction::forward);
}

TEST(Memory, backward_of_a_long_sequence_grows_by_at_most_twice_k_and_v) {
    expect_bounded_growth(Direction::backward);
}

// Keys that are all one row in memory, but whose packed copy, for so many queries, would take 2 TiB.
TEST(Memory, that_cannot_be_had_is_a_status_and_nothing_is_written) {
    if (sanitized())
        GTEST_SKIP() << "sanitizers reserve address space, and end a program that asks for too much";
    if (!is_child()) {
        EXPECT_TRUE(passes_in_child({}));
        return;
    }
    const rlimit limit = {rlim_t{1} << 36, rlim_t{1} << 36};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    const Problem problem = {.queries = 256, .keys = std::int64_t{1} << 36, .key_dim = 4, .value_dim = 4};
    std::vector<float> row(4, 1.0f), o(256 * 4, 7.0f);
    Forward call;
    call.q = call.k = call.v = strided(row.data(), 0, 0, 0);
    call.o = bhnd(o.data(), 1, 256, 4);
    try {
        forward(problem, call);
        ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
        EXPECT_EQ(error.status(), HONE_OUT_OF_MEMORY);
        EXPECT_NE(std::string(error.what()).find("workspace"), std::string::npos) << error.what();
    }
    EXPECT_EQ(o, std::vector<float>(o.size(), 7.0f));
}

}  // namespace
}  // namespace hone::test
