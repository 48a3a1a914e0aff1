// ragged_test.cpp: an entry of a padded or ragged batch has the bits that it has alone, whatever the threads;
// its padding is 0, and what is of no entry is not written.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <hone/hone.hpp>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tests/effort.hpp"
#include "tests/every.hpp"
#include "tests/expect.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

// Entries of several blocks beside entries of one row and of none.
std::vector<Spec> shapes() {
    std::vector<Spec> specs;
    const auto add = [&](const char* name, std::int64_t batch, auto&& change) {
        specs.push_back({.name = name, .batch = batch, .query_heads = 4, .kv_heads = 2, .key_dim = 9});
        change(specs.back());
    };
    const auto make_ragged = [](Spec& s, const std::vector<std::int64_t>& queries,
                                const std::vector<std::int64_t>& keys, const Gaps& gaps = {}) {
        make_queries_ragged(s, queries, gaps);
        make_keys_ragged(s, keys, gaps);
        s.queries = *std::max_element(queries.begin(), queries.end());
        s.keys = *std::max_element(keys.begin(), keys.end());
    };
    add("sentences", 6, [&](Spec& s) {
        make_ragged(s, {203, 0, 1, 64, 97, 17}, {203, 0, 1, 64, 97, 17}, {3, 1});
        s.mask = Mask::top_left;
    });
    add("prompts_and_decoding", 6, [&](Spec& s) {
        make_ragged(s, {1, 67, 0, 3, 16, 1}, {1100, 67, 5, 0, 331, 2053});
        s.mask = Mask::bottom_right, s.query_heads = 5, s.kv_heads = 1, s.int32 = true;
    });
    add("window_in_sentences", 4, [&](Spec& s) {
        make_ragged(s, {131, 16, 1, 90}, {401, 7, 301, 90}, {0, 2});
        s.bottom_right = true, s.diagonal_shift = -2, s.window = {70, 3};
    });
    add("ragged_with_lengths", 4, [&](Spec& s) {
        make_ragged(s, {131, 16, 5, 90}, {401, 17, 301, 90});
        s.query_lengths = {97, 16, 0, 1}, s.key_lengths = {400, 1, 7, 65};
        s.mask = Mask::bottom_right, s.bnhd = true;
    });
    add("ragged_queries", 3, [&](Spec& s) {
        make_queries_ragged(s, {97, 0, 31});
        s.queries = 100, s.keys = 139;
    });
    add("ragged_keys", 3, [&](Spec& s) {
        make_keys_ragged(s, {31, 0, 515});
        s.queries = 67, s.keys = 515, s.v_is_k = true, s.value_dim = s.key_dim;
    });
    add("caches", 4, [&](Spec& s) { s.queries = 1, s.keys = 2101, s.key_lengths = {2101, 17, 0, 1030}; });
    add("padded", 4, [&](Spec& s) {
        s.queries = 141, s.keys = 163, s.query_lengths = {141, 1, 0, 96}, s.key_lengths = {17, 163, 64, 0};
        s.mask = Mask::bottom_right, s.window = {100, -1};
    });
    add("masked", 3, [&](Spec& s) {
        make_ragged(s, {97, 16, 3}, {193, 16, 1037});
        s.bool_mask = {.shows = Shows::some_keys, .one_head = true};
    });
    add("masked_heads", 3, [&](Spec& s) {
        s.queries = 71, s.keys = 89, s.key_lengths = {89, 5, 64};
        s.bool_mask = {.shows = Shows::most_keys, .order = 1};
        s.group_heads = 2, s.share_k = s.share_v = {.heads = true};
    });
    return specs;
}

// What a call is on one entry alone: tensors of its rows without padding, and nothing of a batch.
template <class T>
Call<T> entry_alone(Call<T>& whole, std::int64_t b) {
    Call<T> one = whole;
    hone_problem& p = one.problem;
    p.batch = 1, p.queries = whole.segment(Q, b).length, p.keys = whole.segment(K, b).length;
    p.flags &= HONE_CAUSAL | HONE_WINDOW;
    p.query_lengths = p.key_lengths = p.query_offsets = p.key_offsets = {};
    p.total_queries = p.total_keys = 0;
    if (hone_const_scores& m = one.mask; m.data) {
        if (m.batch != 1) m.data = static_cast<const unsigned char*>(m.data) + b * m.batch_stride;
        m.batch = 1;
        if (m.queries != 1) m.queries = p.queries;
        if (m.keys != 1) m.keys = p.keys;
    }
    for (int n = 0; n < ARGUMENTS; ++n) {
        const auto argument = static_cast<Argument>(n);
        if (!whole[argument].present() || (is_array(argument) && argument != LSE && argument != DLSE))
            continue;
        Extents extents = whole[argument].extents();
        extents.batch = 1, extents.rows = whole.segment(argument, b).length;
        Layout layout;
        layout.one_head = whole[argument].view().head_stride == 0;
        one[argument] = Tensor<T>(extents, layout);
        one[argument].for_each_row([&](auto, std::int64_t h, std::int64_t i, T* x) {
            std::copy_n(whole.row(argument, b, h, i), extents.features, x);
        });
    }
    return one;
}

class Ragged : public KernelTest {
  protected:
    // Calls body with every shape, forward and backward.
    template <class Body>
    void for_each_call(Body&& body) {
        with_scalar([&]<class T>(T) {
            for (const Spec& spec : shapes())
                for (const Direction direction : {Direction::forward, Direction::backward}) {
                    SCOPED_TRACE(spec.name + (direction == Direction::forward ? " forward" : " backward"));
                    Call<T> call = call_of<T>(spec, direction);
                    if (HasFatalFailure() || HasNonfatalFailure()) return;  // one shape tells enough
                    body(call);
                }
        });
    }

    template <class T>
    static Call<T> result(Call<T> call, int threads) {
        call.problem.threads = threads;
        EXPECT_EQ(run(call), HONE_OK) << hone_last_error();
        return call;
    }

    static std::vector<int> thread_counts() {
        if (quick()) return {1, 3};
        return {1, 2, 3, 5, 8};
    }

  private:
    template <class T>
    Call<T> call_of(const Spec& spec, Direction direction) {
        Spec s = spec;
        s.sink = info.takes_sink, s.log_prior = info.takes_log_prior, s.shift = info.takes_shift;
        s.dlse = info.normalised;
        if (!info.joint) s.group_heads = 0;
        Call<T> call = make_call<T>(s, GetParam().activation, direction);
        call.problem.isa = GetParam().isa.c_str();
        if (direction == Direction::backward && call[O].present()) {
            call.direction = Direction::forward;
            call = result(call, 2);
            call.direction = direction;
            poison_padding(call);
        }
        return call;
    }
};

INSTANTIATE_TEST_SUITE_P(Every, Ragged, testing::ValuesIn(every_kernel()), kernel_name);

TEST_P(Ragged, an_entry_has_the_bits_that_it_has_alone) {
    for_each_call([&]<class T>(Call<T>& call) {
        std::vector<Call<T>> alone;
        for (std::int64_t b = 0; b < call.problem.batch; ++b)
            alone.push_back(result(entry_alone(call, b), b % 2 == 0 ? 1 : 2));
        for (const int threads : thread_counts()) {
            Call<T> whole = result(call, threads);
            for (std::int64_t b = 0; b < call.problem.batch; ++b) {
                SCOPED_TRACE("entry " + std::to_string(b) + ", " + std::to_string(threads) + " threads");
                Call<T> entry = entry_alone(whole, b);
                for (const Argument argument : outputs(call.direction)) {
                    if (is_array(argument) && argument != LSE) continue;  // sums over the batch
                    EXPECT_TRUE(entry[argument].same_bytes(alone[b][argument]))
                        << argument_names[argument] << " differs";
                }
            }
        }
    });
}

TEST_P(Ragged, batches_have_the_same_bits_at_every_thread_count) {
    for_each_call([&]<class T>(Call<T>& call) {
        Call<T> expected = result(call, 1);
        for (const int threads : thread_counts()) {
            Call<T> got = result(call, threads);
            for (const Argument argument : outputs(call.direction))
                EXPECT_TRUE(got[argument].same_bytes(expected[argument]))
                    << argument_names[argument] << " differs on " << threads << " threads";
        }
    });
}

TEST_P(Ragged, padding_is_zero_and_what_is_of_no_entry_is_not_written) {
    for_each_call([&]<class T>(Call<T>& call) {
        Call<T> got = result(call, 3);
        expect_only_outputs_written(got, call);
        for (const Argument argument : outputs(call.direction)) {
            if (is_array(argument) && argument != LSE) continue;
            const T padding = argument == LSE ? -std::numeric_limits<T>::infinity() : T(0);
            got[argument].for_each_row([&](std::int64_t b, auto, std::int64_t i, const T* x) {
                if (call.counts(argument, b, i)) return;
                for (std::int64_t d = 0; d < got[argument].extents().features; ++d)
                    EXPECT_EQ(x[d], padding) << argument_names[argument] << " row " << i;
            });
        }
    });
}

// Where lengths and offsets are not known yet, the workspace is enough for any.
TEST_P(Ragged, the_workspace_that_a_call_asks_for_is_enough) {
    for_each_call([&]<class T>(Call<T>& call) {
        call.problem.threads = 3;
        Call<T> expected = result(call, 3), unknown = call;
        hone_problem& p = unknown.problem;
        for (hone_const_integers* array :
             {&p.query_lengths, &p.key_lengths, &p.query_offsets, &p.key_offsets})
            array->data = nullptr;
        std::size_t bytes = 0, enough = 0;
        ASSERT_EQ(workspace_bytes(call, &bytes), HONE_OK) << hone_last_error();
        ASSERT_EQ(workspace_bytes(unknown, &enough), HONE_OK) << hone_last_error();
        EXPECT_LE(bytes, enough);
        constexpr std::byte mark{0xff};
        std::vector<std::byte> memory(bytes + 64, mark);
        Call<T> got = call;
        got.workspace = std::span(memory).first(bytes);
        got = result(got, 3);
        EXPECT_EQ(std::count(memory.end() - 64, memory.end(), mark), 64) << "written beyond the workspace";
        for (const Argument argument : outputs(call.direction))
            EXPECT_TRUE(got[argument].same_bytes(expected[argument]))
                << argument_names[argument] << " differs";
    });
}

}  // namespace
}  // namespace hone::test
