// cases_range_test.cpp: scores, scales and sums near the ends of a type's range, and extents of zero, each
// with the value that it should have.
#include <gtest/gtest.h>

#include <cmath>
#include <hone/hone.hpp>
#include <limits>
#include <string>

#include "tests/case_test.hpp"

namespace hone::test {
namespace {

class Range : public CaseTest {};

INSTANTIATE_TEST_SUITE_P(Every, Range, testing::ValuesIn(every_kernel()), kernel_name);

// e^(s - L) with L = s, however large both are.
TEST_P(Range, the_weight_of_a_single_key_is_one_whatever_its_score) {
    if (!exponential) return;
    with_scalar([&]<class T>(T) {
        for (const std::int64_t rows : kRows)
            for (const double score : {6e2, 9e3, 9e4, 7.5e7, 1.1e30, 600.1, 90000.7})
                for (const double scale : {1.0, 0.25}) {
                    SCOPED_TRACE(std::to_string(rows) + " rows, score " + std::to_string(score));
                    Spec spec = scored(rows, 1);
                    spec.scale = scale;
                    Call<T> call = call_of<T>(spec, Direction::backward);
                    // Each row has a score of its own, from here to twice as far.
                    Random random("single_key");
                    call[Q].fill([&] { return static_cast<T>(1.5 + random.symmetric() / 2); });
                    call[K].fill([&] { return static_cast<T>(score / scale); });
                    call[V].fill([] { return T(1); });
                    call[DOUT].fill([] { return T(1); });
                    complete(call);
                    expect_all(call, O, T(1));
                    ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
                    expect_all(call, DV, static_cast<T>(rows));
                    expect_all(call, DQ, T(0));
                }
    });
}

// Scores whose sum is beyond the type's range, though their share of it is not.
TEST_P(Range, softplus_of_scores_near_the_largest_number_is_normalised) {
    if (name != "softplus") return;
    with_scalar([&]<class T>(T) {
        for (const std::int64_t rows : kRows)
            for (const std::int64_t keys : {2, 300, 2100})
                for (const T score : {T(kLargest<T> / 340), T(kLargest<T> / T(1.1))}) {
                    SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(keys) + " keys");
                    Call<T> call = call_of<T>(scored(rows, keys), Direction::forward);
                    call[Q].fill([] { return T(1); });
                    call[K].fill([&] { return score; });
                    call[V].fill([] { return T(1); });
                    ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
                    const double lse =
                        std::log(static_cast<double>(keys)) + std::log(static_cast<double>(score));
                    call[O].for_each_row(
                        [&](auto, auto, auto, const T* o) { ASSERT_NEAR(o[0], 1, 50 * kEpsilon<T>); });
                    for (std::int64_t i = 0; i < rows; ++i)
                        ASSERT_NEAR(call[LSE].data()[i], lse, 4 * kEpsilon<T> * lse);
                }
    });
}

TEST_P(Range, softplus_of_any_scores_up_to_the_largest_number_is_accurate) {
    if (name != "softplus") return;
    with_scalar([&]<class T>(T) {
        for (const std::int64_t rows : {3, 19})
            for (const Direction direction : {Direction::forward, Direction::backward}) {
                SCOPED_TRACE(rows);
                Spec spec = scored(rows, 301);
                spec.dlse = direction == Direction::backward;
                Call<T> call = call_of<T>(spec, direction);
                Random random("softplus");
                call[Q].fill([&] { return static_cast<T>(random.symmetric()); });
                call[K].fill([&] { return static_cast<T>(random.symmetric()) * kLargest<T>; });
                // So that gradients, which meet k, stay in range.
                call[V].fill([&] { return static_cast<T>(random.symmetric() / 64); });
                expect_truth(call);
            }
    });
}

// There softplus is exp: weights and gradients are softmax's, though e^score itself is 0.
TEST_P(Range, softplus_of_very_low_scores_keeps_its_digits) {
    if (name != "softplus") return;
    with_scalar([&]<class T>(T) {
        for (const std::int64_t rows : {3, 17, 193})
            for (const std::int64_t keys : {1, 301})
                for (const double highest : {-39.5, -60., -120., -2000.})
                    for (const Direction direction : {Direction::forward, Direction::backward}) {
                        SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(keys) +
                                     " keys, scores from " + std::to_string(highest) + " down");
                        Call<T> call = call_of<T>(scored(rows, keys), direction);
                        Random random("low_softplus");
                        call[Q].fill([] { return T(1); });
                        call[K].fill(
                            [&] { return static_cast<T>(highest - 3 * std::abs(random.symmetric())); });
                        expect_truth(call);
                    }
    });
}

// Scores of moderate size whose scale times k, or times q, is beyond the range: q and k meet first.
TEST_P(Range, a_large_scale_meets_the_product_of_q_and_k) {
    with_scalar([&]<class T>(T) {
        constexpr int end = std::numeric_limits<T>::max_exponent;
        const auto power = [](int exponent) { return std::ldexp(T(1), exponent); };
        for (const std::int64_t rows : {3, 16, 17, 193})
            for (const bool large_q : {false, true})
                for (const Direction direction : {Direction::forward, Direction::backward}) {
                    SCOPED_TRACE(std::to_string(rows) + (large_q ? " rows, large q" : " rows, large k"));
                    Spec spec = {.name = "large", .queries = rows, .keys = 5, .key_dim = 3, .value_dim = 2};
                    spec.scale = 0x1p20;
                    Call<T> call = call_of<T>(spec, direction);
                    Random random("large_scale");
                    const Argument large = large_q ? Q : K, small = large_q ? K : Q;
                    call[large].fill([&] { return static_cast<T>(random.symmetric()) * power(end - 18); });
                    call[small].fill([&] { return static_cast<T>(random.symmetric()) * power(3 - end); });
                    // So that the gradients, which meet the large factor and the scale, stay in range.
                    if (direction == Direction::backward)
                        call[V].fill([&] { return static_cast<T>(random.symmetric()) * power(-18); });
                    expect_truth(call);
                }
    });
}

// The example: one key whose score is 1e10.
TEST_P(Range, a_score_of_a_large_scale_is_the_same_for_few_rows_and_many) {
    if (GetParam().dtype != HONE_FLOAT32 || !exponential) return;
    for (const std::int64_t rows : kRows) {
        Spec spec = scored(rows, 1);
        spec.scale = 1e10;
        Call<float> call = call_of<float>(spec, Direction::forward);
        call[Q].fill([] { return 1e-30f; });
        call[K].fill([] { return 1e30f; });
        call[V].fill([] { return 1.0f; });
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        expect_all(call, O, 1.0f);
        for (std::int64_t i = 0; i < rows; ++i)
            EXPECT_NEAR(call[LSE].data()[i], 1e10, 2048) << rows << " rows";
    }
}

// A product of q and k that is beyond the range is infinite, whatever the scale would make of it.
TEST_P(Range, a_product_beyond_the_range_is_infinite_for_few_rows_and_many) {
    with_scalar([&]<class T>(T) {
        for (const std::int64_t rows : kRows) {
            Spec spec = scored(rows, 3);
            const T large = std::sqrt(kLargest<T>) * 16;
            spec.scale = static_cast<double>(1 / large);
            Call<T> call = call_of<T>(spec, Direction::forward);
            for (const Argument argument : {Q, K}) call[argument].fill([&] { return large; });
            call[V].fill([] { return T(1); });
            Call<T> plain = call;
            run_reference(plain);
            ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
            for (std::int64_t i = 0; i < rows; ++i) {
                const T got = *call[O].row(0, 0, i), expected = *plain[O].row(0, 0, i);
                ASSERT_EQ(std::isnan(got), std::isnan(expected))
                    << rows << " rows: " << got << ", not " << expected;
                ASSERT_EQ(std::isinf(got), std::isinf(expected))
                    << rows << " rows: " << got << ", not " << expected;
            }
        }
    });
}

// Scores of 13 to 20, by factors near the largest and the smallest number: each is an exact power of two away
// from an ordinary one, and the results are the same.
TEST_P(Range, a_scale_near_the_largest_number_is_taken) {
    with_scalar([&]<class T>(T) {
        const int down = std::numeric_limits<T>::min_exponent / 2;
        Spec spec = scored(17, 5);
        spec.scale = std::ldexp(0.75, std::numeric_limits<T>::max_exponent);
        Call<T> call = call_of<T>(spec, Direction::forward);
        call[Q].fill([&] { return std::ldexp(T(1), down); });
        T k = 1;
        call[K].fill([&] { return std::ldexp(k += T(0.125), down); });
        Call<T> ordinary = call;
        ordinary.problem.scale = std::ldexp(spec.scale, 2 * down);
        ordinary[Q].fill([] { return T(1); });
        k = 1;
        ordinary[K].fill([&] { return k += T(0.125); });
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        ASSERT_EQ(run(ordinary), HONE_OK) << hone_last_error();
        EXPECT_TRUE(call[O].same_bytes(ordinary[O]));
    });
}

TEST_P(Range, an_extent_of_zero_is_a_call_with_nothing_to_do_but_zeros) {
    with_scalar([&]<class T>(T) {
        struct Extent {
            std::int64_t batch, query_heads, kv_heads, queries;
        };
        for (const Extent& n : {Extent{0, 4, 2, 5}, Extent{2, 0, 2, 5}, Extent{2, 0, 0, 5},
                                Extent{2, 4, 2, 0}, Extent{0, 0, 0, 0}})
            for (const Direction direction : {Direction::forward, Direction::backward}) {
                SCOPED_TRACE(std::to_string(n.batch) + " " + std::to_string(n.query_heads) + " " +
                             std::to_string(n.queries));
                Spec spec = {.name = "nothing",
                             .batch = n.batch,
                             .query_heads = n.query_heads,
                             .kv_heads = n.kv_heads,
                             .queries = n.queries};
                spec.sink = info.takes_sink, spec.log_prior = info.takes_log_prior,
                spec.shift = info.takes_shift;
                Call<T> call = call_of<T>(spec, direction), before = call;
                std::size_t bytes = 0;
                EXPECT_EQ(workspace_bytes(call, &bytes), HONE_OK) << hone_last_error();
                ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
                expect_only_outputs_written(call, before);
                for (const Argument argument : outputs(direction)) expect_all(call, argument, T(0));
            }
    });
}

TEST(RangeOfNothing, tensors_without_elements_may_be_null) {
    Problem p = {.batch = 0, .queries = 1, .keys = 1, .key_dim = 1, .value_dim = 1};
    EXPECT_NO_THROW(forward(p, {}));
    EXPECT_NO_THROW(backward(p, {}));
    // Of no queries, the gradients of k and v are zeros.
    p.batch = p.keys = 2, p.queries = 0;
    float k[4] = {1, 2, 3, 4}, dk[4] = {5, 6, 7, 8};
    Backward call;
    call.k = call.v = bhnd(k, 1, 2, 1);
    call.dk = bhnd(dk, 1, 2, 1);
    EXPECT_NO_THROW(backward(p, call));
    for (const float x : dk) EXPECT_EQ(x, 0);
}

}  // namespace
}  // namespace hone::test
