// determinism_test.cpp: a result is bitwise the same whatever the threads, the batch, the run and the
// workspace.
#include <gtest/gtest.h>

#include <cstddef>
#include <hone/hone.hpp>
#include <limits>
#include <string>
#include <vector>

#include "tests/accuracy.hpp"
#include "tests/every.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

// One head that is cut into several blocks of rows and of keys; a last row that is weighed alone or in a
// group, as blocks are cut for more threads; few queries and many keys, as in decoding; many small heads; the
// queries of all samples and the gradients of all heads the same; broadcast inputs whose gradients are sums
// over everything.
const Spec kShapes[] = {
    {.name = "one_head", .queries = 203, .keys = 401, .key_dim = 9, .mask = Mask::bottom_right},
    {.name = "one_row_of_201_alone", .queries = 201, .keys = 1001, .key_dim = 9},
    {.name = "one_row_of_193_alone", .queries = 193, .keys = 1001, .key_dim = 9},
    {.name = "few_queries", .query_heads = 2, .queries = 3, .keys = 2101},
    {.name = "sixteen_queries", .queries = 16, .keys = 90, .key_dim = 37},
    {.name = "some_queries", .query_heads = 2, .queries = 21, .keys = 1501},
    {.name = "many_heads", .batch = 3, .query_heads = 6, .kv_heads = 2, .queries = 67, .keys = 41},
    {.name = "single_location",
     .batch = 5,
     .query_heads = 10,
     .queries = 1,
     .keys = 22,
     .key_dim = 301,
     .value_dim = 301,
     .share_q = {.batch = true},
     .share_dout = {.heads = true},
     .v_is_k = true},
    {.name = "broadcast",
     .batch = 3,
     .query_heads = 4,
     .kv_heads = 2,
     .queries = 71,
     .keys = 139,
     .share_q = {.batch = true, .heads = true},
     .share_k = {.batch = true},
     .share_v = {.heads = true, .rows = true}}};

class Determinism : public KernelTest {
  protected:
    template <class T>
    Call<T> call_of(const Spec& spec, Direction direction) {
        Spec with_parameters = spec;
        with_parameters.sink = info.takes_sink;
        with_parameters.log_prior = info.takes_log_prior;
        with_parameters.shift = info.takes_shift;
        with_parameters.dlse = info.normalised;
        Call<T> call = make_call<T>(with_parameters, GetParam().activation, direction);
        call.problem.isa = GetParam().isa.c_str();
        compute_o_and_lse_by_hone(call);
        return call;
    }

    // Calls body with every shape, forward and backward.
    template <class Body>
    void for_each_call(Body&& body) {
        with_scalar([&]<class T>(T) {
            for (const Spec& spec : kShapes)
                for (const Direction direction : {Direction::forward, Direction::backward}) {
                    SCOPED_TRACE(spec.name + (direction == Direction::forward ? " forward" : " backward"));
                    Call<T> call = call_of<T>(spec, direction);
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

    template <class T>
    static void expect_same(Call<T>& got, Call<T>& expected) {
        for (const Argument argument : outputs(got.direction))
            EXPECT_TRUE(got[argument].same_bytes(expected[argument]))
                << argument_names[argument] << " differs";
    }

  private:
    template <class T>
    static void compute_o_and_lse_by_hone(Call<T>& call) {
        if (call.direction == Direction::forward || !call[O].present()) return;
        call.direction = Direction::forward;
        EXPECT_EQ(run(call), HONE_OK) << hone_last_error();
        call.direction = Direction::backward;
    }
};

INSTANTIATE_TEST_SUITE_P(Every, Determinism, testing::ValuesIn(every_kernel()), kernel_name);

TEST_P(Determinism, same_bits_at_every_thread_count) {
    for_each_call([]<class T>(Call<T>& call) {
        Call<T> expected = result(call, 1);
        for (const int threads : {0, 2, 3, 5, 8}) {
            SCOPED_TRACE(std::to_string(threads) + " threads");
            Call<T> got = result(call, threads);
            expect_same(got, expected);
        }
    });
}

TEST_P(Determinism, same_bits_in_every_run) {
    for_each_call([]<class T>(Call<T>& call) {
        Call<T> expected = result(call, 2);
        for (int n = 0; n < 2; ++n) {
            Call<T> got = result(call, 2);
            expect_same(got, expected);
        }
    });
}

TEST_P(Determinism, same_bits_whatever_the_workspace) {
    for_each_call([]<class T>(Call<T>& call) {
        Call<T> expected = result(call, 3);
        call.problem.threads = 3;
        std::size_t bytes = 0;
        ASSERT_EQ(workspace_bytes(call, &bytes), HONE_OK) << hone_last_error();
        std::vector<std::byte> memory(bytes + 128, std::byte{0xff});
        for (const std::size_t offset : {0, 1, 7, 16, 60}) {
            SCOPED_TRACE("offset " + std::to_string(offset));
            Call<T> got = call;
            got.workspace = std::span(memory).subspan(offset, bytes);
            got = result(got, 3);
            expect_same(got, expected);
        }
    });
}

// The call on one batch element: tensors of a batch of 1 at the same addresses' contents.
template <class T>
Call<T> element_of(Call<T>& whole, std::int64_t b) {
    Call<T> one(whole);
    one.problem.batch = 1;
    for (int argument = 0; argument < ARGUMENTS; ++argument) {
        Tensor<T>& from = whole.tensors[argument];
        if (!from.present()) continue;
        const bool per_head = argument == SINK || argument == LOG_PRIOR || argument == SHIFT ||
                              argument == DSINK || argument == DLOG_PRIOR || argument == DSHIFT;
        Extents extents = from.extents();
        extents.batch = 1;
        Tensor<T>& to = one.tensors[argument] = Tensor<T>(extents, {});
        to.for_each_row([&](auto, std::int64_t h, std::int64_t i, T* x) {
            std::copy_n(per_head ? from.data() : from.row(b, h, i), extents.features, x);
        });
    }
    return one;
}

TEST_P(Determinism, same_bits_alone_and_in_a_batch) {
    with_scalar([&]<class T>(T) {
        Spec many = {.name = "batch",
                     .batch = 3,
                     .query_heads = 4,
                     .kv_heads = 2,
                     .queries = 141,
                     .keys = 163,
                     .mask = Mask::top_left};
        Spec few = many;
        few.queries = 3, few.keys = 1100;
        for (const Spec& spec : {many, few})
            for (const Direction direction : {Direction::forward, Direction::backward}) {
                Call<T> call = call_of<T>(spec, direction);
                Call<T> whole = result(call, 2);
                for (std::int64_t b = 0; b < spec.batch; ++b) {
                    SCOPED_TRACE("batch element " + std::to_string(b));
                    Call<T> expected = element_of(whole, b);
                    Call<T> one = result(element_of(call, b), 2);
                    for (const Argument argument : {O, LSE, DQ, DK, DV})
                        EXPECT_TRUE(one[argument].same_bytes(expected[argument]))
                            << argument_names[argument] << " differs";
                }
            }
    });
}

// A sum that vanishes to -0 becomes +0 when zeros are added, and how many are depends on the blocks.
TEST_P(Determinism, same_bits_where_products_vanish) {
    with_scalar([&]<class T>(T) {
        Call<T> call =
            call_of<T>({.name = "vanishing", .queries = 64, .keys = 64, .key_dim = 1, .mask = Mask::top_left},
                       Direction::forward);
        call[V].for_each_row([](auto, auto, std::int64_t j, T* v) {
            for (int d = 0; d < 8; ++d)
                v[d] = j == 0 ? T(0) : j < 35 ? -std::numeric_limits<T>::denorm_min() : T(1);
        });
        Call<T> expected = result(call, 1);
        for (const int threads : {2, 3, 8}) {
            Call<T> got = result(call, threads);
            expect_same(got, expected);
        }
    });
}

}  // namespace
}  // namespace hone::test
