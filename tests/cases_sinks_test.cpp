// cases_sinks_test.cpp: sinks and log-priors that are infinite or near it.
#include <gtest/gtest.h>

#include <cmath>
#include <hone/hone.hpp>
#include <string>
#include <vector>

#include "tests/case_test.hpp"

namespace hone::test {
namespace {

class Sinks : public CaseTest {
  protected:
    // Expects all weight to be the sink's: o is 0, lse the sink, and the gradient of lse all that is left.
    template <class T>
    void expect_all_for_the_sink(const Spec& spec, T sink) {
        Call<T> call = call_of<T>(spec, Direction::backward);
        call[SINK].fill([&] { return sink; });
        complete(call);
        expect_all(call, O, T(0));
        expect_all(call, LSE, sink);
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        for (const Argument argument : {DQ, DK, DV, DLOG_PRIOR}) expect_all(call, argument, T(0));
        const std::int64_t groups = call[SINK].extents().features;
        std::vector<double> sums(groups, 0.0), magnitudes(groups, 0.0);
        call[DLSE].for_each_row([&](auto, std::int64_t group, auto, const T* dlse) {
            sums[group] += *dlse;
            magnitudes[group] += std::abs(*dlse);
        });
        for (std::int64_t g = 0; g < groups; ++g)
            EXPECT_NEAR(call[DSINK].data()[g], sums[g], kEpsilon<T> * magnitudes[g]);
    }
    Spec spec_of(std::int64_t rows, std::int64_t keys, std::int64_t group_heads) {
        Spec spec = {
            .name = "sink", .batch = 2, .query_heads = 6, .kv_heads = 2, .queries = rows, .keys = keys};
        spec.sink = spec.dlse = true;
        spec.group_heads = group_heads;
        spec.log_prior = info.joint;
        return spec;
    }
};

std::vector<Kernel> with_sink() {
    std::vector<Kernel> list;
    for (const Kernel& kernel : every_kernel())
        if (describe(kernel.activation).takes_sink) list.push_back(kernel);
    return list;
}

INSTANTIATE_TEST_SUITE_P(Every, Sinks, testing::ValuesIn(with_sink()), kernel_name);

TEST_P(Sinks, of_infinity_and_near_it_take_all_weight_and_the_gradient_of_the_lse) {
    with_scalar([&]<class T>(T) {
        for (const std::int64_t rows : {1, 5, 17, 67})
            for (const std::int64_t keys : {9, 1100, 2100})
                for (const std::int64_t group : info.joint ? std::vector{0, 1, 3} : std::vector{0})
                    for (const T sink : {kInfinity<T>, T(kLargest<T> / T(1.1)), T(1e30)}) {
                        if (rows > 17 && keys > 9) continue;
                        SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(keys) +
                                     " keys, sink " + std::to_string(sink));
                        expect_all_for_the_sink(spec_of(rows, keys, group), sink);
                    }
    });
}

// Where some sinks are infinite, the others' rows are as always.
TEST_P(Sinks, of_infinity_leave_other_sinks_alone) {
    with_scalar([&]<class T>(T) {
        for (const Direction direction : {Direction::forward, Direction::backward})
            for (const std::int64_t rows : {3, 67}) {
                Spec spec = spec_of(rows, 41, info.joint ? 3 : 0);
                spec.dlse = direction == Direction::backward;
                Call<T> call = call_of<T>(spec, direction);
                call[SINK].data()[1] = kInfinity<T>;
                expect_truth(call);
                call[SINK].data()[1] = -kInfinity<T>;
                expect_truth(call);
                call[SINK].data()[1] = -kLargest<T>;
                expect_truth(call);
            }
    });
}

TEST_P(Sinks, heads_of_log_prior_minus_infinity_get_no_weight) {
    if (!info.joint) return;
    with_scalar([&]<class T>(T) {
        for (const T prior : {-kInfinity<T>, -kLargest<T>, T(-1e30)})
            for (const Direction direction : {Direction::forward, Direction::backward})
                for (const std::int64_t rows : {3, 67}) {
                    Spec spec = spec_of(rows, 41, 3);
                    spec.dlse = direction == Direction::backward;
                    Call<T> call = call_of<T>(spec, direction);
                    call[LOG_PRIOR].data()[1] = prior;
                    expect_truth(call);
                    spec.sink = false;
                    Call<T> nothing = call_of<T>(spec, direction);
                    for (int h = 0; h < 3; ++h) nothing[LOG_PRIOR].data()[h] = -kInfinity<T>;
                    expect_truth(nothing);
                }
    });
}

// The sink and the log-priors of a group of three heads, and others which give the same weights: those less
// the largest.
struct Logits {
    double sink;
    double prior[3];
};
struct Huge {
    Logits logits, less_largest;
    double largest;
};

template <class T>
std::vector<Huge> huge_logits() {
    const double inf = kInfinity<T>, big = kLargest<T> / 4;
    return {{{0.5, {inf, 1, inf}}, {-inf, {0, -inf, 0}}, inf},
            {{-inf, {1, inf, 2}}, {-inf, {-inf, 0, -inf}}, inf},
            {{inf, {inf, 1, -inf}}, {0, {0, -inf, -inf}}, inf},
            {{inf, {big, 1, 2}}, {0, {-inf, -inf, -inf}}, inf},
            {{big, {big, 1, big}}, {0, {0, -inf, 0}}, big},
            {{-inf, {-big, -big, -2 * big}}, {-inf, {0, 0, -inf}}, -big},
            {{1e6, {1e6 - 1, 1e6 + 2, 1e6 - 2}}, {-2, {-3, 0, -4}}, 1e6 + 2}};
}

template <class T>
void set_logits(Call<T>& call, const Logits& logits) {
    call[SINK].data()[0] = static_cast<T>(logits.sink);
    for (int h = 0; h < 3; ++h) call[LOG_PRIOR].data()[h] = static_cast<T>(logits.prior[h]);
}

TEST_P(Sinks, and_log_priors_count_from_the_largest_where_it_is_huge) {
    if (!info.joint) return;
    with_scalar([&]<class T>(T) {
        for (const Huge& huge : huge_logits<T>())
            for (const Direction direction : {Direction::forward, Direction::backward})
                for (const std::int64_t rows : {1, 3, 67}) {
                    SCOPED_TRACE(std::to_string(rows) + " rows, largest " + std::to_string(huge.largest));
                    Spec spec = spec_of(rows, 41, 3);
                    spec.dlse = direction == Direction::backward;
                    Call<T> call = call_of<T>(spec, direction);
                    set_logits(call, huge.less_largest);
                    Truth<T> truth(call);
                    call = truth.input;
                    set_logits(call, huge.logits);
                    const auto for_each_lse = [&](auto body) {  // of the first of two groups
                        for (std::int64_t b = 0; b < spec.batch; ++b)
                            for (std::int64_t i = 0; i < rows; ++i) body(2 * b * rows + i);
                    };
                    if (direction == Direction::backward)
                        for_each_lse([&](auto n) { call[LSE].data()[n] += static_cast<T>(huge.largest); });
                    ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
                    if (direction == Direction::forward)
                        for_each_lse([&](auto n) {
                            T &lse = call[LSE].data()[n], less = truth.exact[LSE].data()[n];
                            EXPECT_EQ(lse, static_cast<T>(huge.largest + less));
                            lse = less;
                        });
                    expect_accurate(call, truth);
                }
    });
}

TEST_P(Sinks, an_infinite_log_prior_counts_only_in_rows_that_see_a_key) {
    if (!info.joint) return;
    with_scalar([&]<class T>(T) {
        Spec spec = spec_of(67, 41, 3);
        spec.mask = Mask::bottom_right;  // the first 26 rows see none
        Call<T> call = call_of<T>(spec, Direction::backward);
        call[LOG_PRIOR].fill([] { return kInfinity<T>; });
        complete(call);
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        std::vector<double> dsink(2, 0.0);
        for (std::int64_t n = 0; n < spec.batch * 2 * 67; ++n) {
            const std::int64_t group = n / 67 % 2;
            const bool sees_none = n % 67 < 26;
            EXPECT_EQ(call[LSE].data()[n], sees_none ? call[SINK].data()[group] : kInfinity<T>);
            if (sees_none) dsink[group] += call[DLSE].data()[n];
        }
        for (int group : {0, 1}) EXPECT_NEAR(call[DSINK].data()[group], dsink[group], 100 * kEpsilon<T>);
        for (const Argument argument : {DQ, DK, DV})
            call[argument].for_each_row([&](auto, auto, auto, const T* x) {
                for (std::int64_t d = 0; d < call[argument].extents().features; ++d)
                    EXPECT_TRUE(std::isfinite(x[d]));
            });
    });
}

}  // namespace
}  // namespace hone::test
