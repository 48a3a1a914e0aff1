// accumulator_test.cpp: where each contribution to a gradient lands, and in which order: the gradients of
// broadcast inputs are sums over the broadcast axes, whatever heads, blocks and masks they meet, with the
// same bits at every number of threads.
#include <gtest/gtest.h>

#include <hone/hone.hpp>
#include <string>
#include <vector>

#include "tests/effort.hpp"
#include "tests/expect.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

// Every subset of {batch, heads, rows}.
std::vector<Shared> subsets() {
    std::vector<Shared> list;
    for (int n = 0; n < 8; ++n) list.push_back({(n & 1) != 0, (n & 2) != 0, (n & 4) != 0});
    return list;
}

std::string name_of(const Shared& axes) {
    return std::string(axes.batch ? "b" : "-") + (axes.heads ? "h" : "-") + (axes.rows ? "r" : "-");
}

std::vector<int> thread_counts() {
    return quick() ? std::vector{1, 2} : std::vector{1, 2, 3, 5, 8};
}

// Expects every implementation's gradients to be right, and their bits the same at every number of threads.
template <class T>
void expect_right_and_same_bits(const Spec& spec, hone_activation activation) {
    SCOPED_TRACE(spec.name + ", " + describe(activation).name);
    Truth<T> truth(make_call<T>(spec, activation, Direction::backward));
    for (const std::string& isa : available_isas()) {
        SCOPED_TRACE(isa);
        Call<T> first;
        for (const int threads : thread_counts()) {
            SCOPED_TRACE(std::to_string(threads) + " threads");
            Call<T> call = truth.input;
            call.problem.isa = isa.c_str();
            call.problem.threads = threads;
            ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
            if (threads == 1) {
                expect_accurate(call, truth);
                expect_only_outputs_written(call, truth.input);
                first = call;
            }
            for (const Argument argument : outputs(Direction::backward))
                EXPECT_TRUE(call[argument].same_bytes(first[argument]))
                    << argument_names[argument] << " has other bits";
        }
    }
}

// Some 200 rows to a kv head, so that several blocks of rows see a query that is shared.
struct Ratio {
    std::int64_t heads, queries;
};

std::vector<Ratio> ratios() {
    if (quick()) return {{3, 67}, {7, 29}};
    return {{1, 193}, {2, 97}, {3, 67}, {5, 41}, {7, 29}, {8, 25}, {71, 3}, {97, 3}};
}

class Accumulator : public testing::TestWithParam<Mask> {
  protected:
    // Two key blocks, or one, in turn.
    Spec spec_of(const Ratio& ratio) {
        return {.name = "ratio_" + std::to_string(ratio.heads),
                .batch = 2,
                .query_heads = 2 * ratio.heads,
                .kv_heads = 2,
                .queries = ratio.queries,
                .keys = turn_++ % 2 ? 269 : 23,
                .key_dim = 5,
                .value_dim = 3,
                .mask = GetParam()};
    }
    // Sums of terms of one sign, and a joint or a plain normaliser.
    hone_activation next_activation() {
        constexpr hone_activation list[] = {HONE_SOFTMAX, HONE_LINEAR, HONE_BAYES_SOFTMAX, HONE_SIGMOID};
        return list[turn_ % std::size(list)];
    }

  private:
    int turn_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Every, Accumulator, testing::Values(Mask::none, Mask::top_left, Mask::bottom_right),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(Accumulator, dq_is_summed_over_every_subset_of_axes) {
    for (const Ratio& ratio : ratios())
        for (const Shared& axes : subsets()) {
            Spec spec = spec_of(ratio);
            spec.name += "_q_" + name_of(axes);
            spec.share_q = axes;
            expect_right_and_same_bits<float>(spec, next_activation());
            if (ratio.heads == 7 || thorough()) expect_right_and_same_bits<double>(spec, next_activation());
        }
}

TEST_P(Accumulator, dk_and_dv_are_summed_over_every_subset_of_axes) {
    for (const Ratio& ratio : ratios())
        for (const Shared& axes : subsets()) {
            Spec spec = spec_of(ratio);
            spec.name += "_kv_" + name_of(axes);
            spec.share_k = spec.share_v = axes;
            expect_right_and_same_bits<float>(spec, next_activation());
            if (ratio.heads == 7 || thorough()) expect_right_and_same_bits<double>(spec, next_activation());
        }
}

// All three at once, each over axes of its own.
TEST_P(Accumulator, dq_dk_and_dv_are_summed_over_different_subsets_of_axes) {
    int n = 0;
    for (const Shared& q : subsets())
        for (const Shared& k : subsets())
            for (const Shared& v : subsets()) {
                // One in three for each mask, in a quick run one in fifty.
                if (!thorough() && ++n % (quick() ? 50 : 3) != static_cast<int>(GetParam())) continue;
                Spec spec = spec_of({5, 41});
                spec.name += "_q_" + name_of(q) + "_k_" + name_of(k) + "_v_" + name_of(v);
                spec.share_q = q, spec.share_k = k, spec.share_v = v;
                expect_right_and_same_bits<float>(spec, next_activation());
            }
}

// Linear, and all numbers 1: a gradient is the number of its terms.
TEST(AccumulatorOfOnes, counts_its_terms) {
    for (const std::string& isa : available_isas())
        for (const std::int64_t heads : {1, 2, 3, 5, 7, 8, 71, 97})
            for (const std::int64_t queries : quick() ? std::vector{1, 17} : std::vector{1, 2, 14, 17, 193})
                for (const std::int64_t keys : {1, 300})
                    for (const int threads : {1, 2, 4}) {
                        Spec spec = {.name = "ones",
                                     .query_heads = heads,
                                     .queries = queries,
                                     .keys = keys,
                                     .key_dim = 1,
                                     .value_dim = 1,
                                     .share_q = {.heads = true}};
                        spec.scale = spec.weight = 1;
                        SCOPED_TRACE(isa + ", " + std::to_string(heads) + " heads, " +
                                     std::to_string(queries) + " queries, " + std::to_string(threads) +
                                     " threads");
                        Call<float> call = make_call<float>(spec, HONE_LINEAR, Direction::backward);
                        for (const Argument argument : {Q, K, V, DOUT})
                            call[argument].fill([] { return 1.0f; });
                        call.problem.isa = isa.c_str();
                        call.problem.threads = threads;
                        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
                        for (std::int64_t i = 0; i < queries; ++i)
                            ASSERT_EQ(*call[DQ].row(0, 0, i), static_cast<float>(heads * keys))
                                << "query " << i;
                        // p = 2
                        ASSERT_EQ(*call[DK].row(0, 0, 0), static_cast<float>(heads * queries));
                        ASSERT_EQ(*call[DV].row(0, 0, 0), static_cast<float>(2 * heads * queries));
                    }
}

// Of a shared query, whichever thread comes first.
TEST(AccumulatorOfManyThreads, same_bits_in_every_run) {
    const Spec spec = {.name = "many_heads",
                       .query_heads = 14,
                       .kv_heads = 2,
                       .queries = quick() ? 40 : 512,
                       .keys = 300,
                       .key_dim = 3,
                       .value_dim = 3,
                       .share_q = {.heads = true}};
    for (const std::string& isa : available_isas()) {
        Call<float> call = make_call<float>(spec, HONE_SOFTMAX, Direction::backward);
        Truth<float> truth(call);
        call = truth.input;
        call.problem.isa = isa.c_str();
        call.problem.threads = 4;
        Call<float> first = call;
        ASSERT_EQ(run(first), HONE_OK) << hone_last_error();
        expect_accurate(first, truth);
        for (int n = 0; n < 8; ++n) {
            Call<float> again = call;
            ASSERT_EQ(run(again), HONE_OK) << hone_last_error();
            for (const Argument argument : {DQ, DK, DV})
                EXPECT_TRUE(again[argument].same_bytes(first[argument])) << argument_names[argument];
        }
    }
}

}  // namespace
}  // namespace hone::test
