// api_test.cpp: what the library tells of itself, the choice of an implementation, the defaults of structs,
// and workspaces that callers own.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <hone/hone.hpp>
#include <set>
#include <string>
#include <vector>

#include "reference/activations.hpp"
#include "tests/child.hpp"
#include "tests/expect.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

TEST(Api, version_is_three_numbers) {
    int major = -1, minor = -1, patch = -1;
    char end = 0;
    EXPECT_EQ(std::sscanf(hone_version(), "%d.%d.%d%c", &major, &minor, &patch, &end), 3) << hone_version();
}

TEST(Api, isas_have_distinct_names_and_the_first_always_runs) {
    ASSERT_GE(hone_isa_count(), 1);
    std::set<std::string> names;
    for (std::int32_t i = 0; i < hone_isa_count(); ++i) {
        ASSERT_NE(hone_isa_name(i), nullptr);
        EXPECT_TRUE(names.insert(hone_isa_name(i)).second);
    }
    EXPECT_EQ(hone_isa_available(0), 1);
    for (const std::int32_t i : {-1, hone_isa_count()}) {
        EXPECT_EQ(hone_isa_name(i), nullptr);
        EXPECT_EQ(hone_isa_available(i), 0);
    }
}

TEST(Api, active_isa_is_the_best_available_unless_the_environment_names_one) {
    const char* forced = std::getenv("HONE_ISA");
    ASSERT_NE(hone_isa_active(), nullptr);
    EXPECT_EQ(hone_isa_active(), forced ? std::string(forced) : available_isas().back());
}

TEST(Api, activations_are_described_as_the_reference_describes_them) {
    for (std::int32_t a = 0; a < hone_activation_count(); ++a) {
        hone_activation_info info = {};
        info.size = sizeof info;
        ASSERT_EQ(hone_describe_activation(a, &info), HONE_OK);
        const hone_activation_info expected = reference::describe(a);
        EXPECT_STREQ(info.name, expected.name);
        EXPECT_EQ(activation(info.name), a);
        const auto flags = [](const hone_activation_info& i) {
            return std::vector{i.normalised,  i.joint,        i.takes_sink,     i.takes_log_prior,
                               i.takes_shift, i.takes_weight, i.takes_softmax_n};
        };
        EXPECT_EQ(flags(info), flags(expected)) << info.name;
    }
}

TEST(Api, describing_an_unknown_activation_is_an_error_that_names_it) {
    hone_activation_info info = {};
    info.size = sizeof info;
    for (const std::int32_t a : {-1, static_cast<std::int32_t>(hone_activation_count())}) {
        EXPECT_EQ(hone_describe_activation(a, &info), HONE_INVALID_ARGUMENT);
        EXPECT_NE(std::string(hone_last_error()).find("activation"), std::string::npos) << hone_last_error();
    }
    EXPECT_EQ(hone_describe_activation(HONE_SOFTMAX, nullptr), HONE_INVALID_ARGUMENT);
    EXPECT_NE(std::string(hone_last_error()).find("info"), std::string::npos) << hone_last_error();
    EXPECT_THROW(activation("no such activation"), Error);
}

TEST(Api, options_that_are_0_are_a_softmax_in_float32) {
    hone_problem p = small_problem();
    EXPECT_EQ(p.size, sizeof(hone_problem));
    p.dtype = HONE_DTYPE_DEFAULT;
    float q = 2, k = 3, v = 5, o = 0;
    hone_forward_args args = no_forward_args();
    args.q = hone_const_bhnd(&q, 1, 1, 1);
    args.k = hone_const_bhnd(&k, 1, 1, 1);
    args.v = hone_const_bhnd(&v, 1, 1, 1);
    args.o = hone_bhnd(&o, 1, 1, 1);
    ASSERT_EQ(hone_forward(&p, &args), HONE_OK) << hone_last_error();
    EXPECT_EQ(o, 5);
}

TEST(Api, views_of_c_and_of_cpp_have_the_strides_of_their_order) {
    float x[1];
    const hone_tensor bhnd = hone_bhnd(x, 2, 3, 5), bnhd = hone_bnhd(x, 2, 3, 5);
    EXPECT_EQ(bhnd.batch_stride, 30);
    EXPECT_EQ(bhnd.head_stride, 15);
    EXPECT_EQ(bhnd.row_stride, 5);
    EXPECT_EQ(bnhd.batch_stride, 30);
    EXPECT_EQ(bnhd.head_stride, 5);
    EXPECT_EQ(bnhd.row_stride, 10);
    for (const auto& [c, cpp] :
         {std::pair(bhnd, hone::bhnd(x, 2, 3, 5).raw()), std::pair(bnhd, hone::bnhd(x, 2, 3, 5).raw())}) {
        EXPECT_EQ(c.data, cpp.data);
        EXPECT_EQ(c.batch_stride, cpp.batch_stride);
        EXPECT_EQ(c.head_stride, cpp.head_stride);
        EXPECT_EQ(c.row_stride, cpp.row_stride);
    }
}

// HONE_ISA is read once, hence the children. The call that names no implementation runs the forced one.
TEST(IsaByEnvironment, is_the_one_that_runs) {
    if (!is_child()) {
        for (const std::string& isa : available_isas())
            EXPECT_TRUE(passes_in_child({{"HONE_ISA", isa}})) << isa;
        return;
    }
    const std::string isa = std::getenv("HONE_ISA");
    ASSERT_NE(hone_isa_active(), nullptr);
    EXPECT_EQ(hone_isa_active(), isa);
    Call<float> forced = make_call<float>({.name = "isa"}, HONE_SOFTMAX, Direction::forward), named = forced;
    named.problem.isa = isa.c_str();
    ASSERT_EQ(run(forced), HONE_OK) << hone_last_error();
    ASSERT_EQ(run(named), HONE_OK) << hone_last_error();
    EXPECT_TRUE(forced[O].same_bytes(named[O]));
}

TEST(IsaByEnvironment, that_is_unknown_fails_each_call_that_names_none) {
    if (!is_child()) {
        EXPECT_TRUE(passes_in_child({{"HONE_ISA", "abacus"}}));
        return;
    }
    EXPECT_EQ(hone_isa_active(), nullptr);
    Call<float> call = make_call<float>({.name = "isa"}, HONE_SOFTMAX, Direction::forward), before = call;
    EXPECT_EQ(run(call), HONE_UNSUPPORTED);
    EXPECT_NE(std::string(hone_last_error()).find("HONE_ISA"), std::string::npos) << hone_last_error();
    EXPECT_TRUE(call[O].same_bytes(before[O]));
    call.problem.isa = hone_isa_name(0);
    EXPECT_EQ(run(call), HONE_OK) << hone_last_error();
}

// Exactly as many bytes as the query says, at every alignment, with guards on both sides.
TEST(Api, workspace_of_the_size_queried_suffices_at_any_alignment) {
    const Spec specs[] = {{.name = "small"},
                          {.name = "heads",
                           .batch = 2,
                           .query_heads = 6,
                           .kv_heads = 2,
                           .queries = 107,
                           .keys = 211,
                           .share_q = {.batch = true},
                           .share_k = {.heads = true}}};
    constexpr std::size_t guard = 256;
    constexpr std::byte mark{0xa7};
    for (const std::string& isa : available_isas())
        for (int a = 0; a < hone_activation_count(); ++a)
            for (const Spec& spec : specs)
                for (const Direction direction : {Direction::forward, Direction::backward}) {
                    Call<float> call = make_call<float>(spec, static_cast<hone_activation>(a), direction);
                    call.problem.isa = isa.c_str();
                    Truth<float> truth(call);
                    std::size_t bytes = 0;
                    ASSERT_EQ(workspace_bytes(call, &bytes), HONE_OK) << hone_last_error();
                    for (const std::size_t offset : {0, 1, 63}) {
                        std::vector<std::byte> memory(guard + offset + bytes + guard, mark);
                        call = truth.input;
                        call.workspace = std::span(memory).subspan(guard + offset, bytes);
                        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
                        expect_accurate(call, truth);
                        for (std::size_t n = 0; n < guard; ++n) {
                            ASSERT_EQ(memory[n], mark) << "before the workspace";
                            ASSERT_EQ(memory[guard + offset + bytes + n], mark) << "after the workspace";
                        }
                    }
                }
}

}  // namespace
}  // namespace hone::test
