// versions_test.cpp: structs of other versions: those that are longer are taken where this version knows all
// that they set.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/spec.hpp"

namespace hone::test {
namespace {

// A struct of a later version: `more` bytes follow.
template <class Struct>
struct Later {
    Struct known;
    unsigned char more[40];

    Later() { std::memset(this, 0xa5, sizeof *this); }
    explicit Later(const Struct& known) : known(known), more{} { this->known.size = sizeof *this; }
};

bool says(const std::string& word) {
    return std::string(hone_last_error()).find(word) != std::string::npos;
}

// `first`: its size in 0.2.0.
template <class Struct>
void expect_made(hone_status (*init)(Struct*, std::size_t), std::size_t first) {
    for (const std::size_t size : {first, sizeof(Struct), sizeof(Struct) + 8, sizeof(Later<Struct>)}) {
        Later<Struct> later, expected;
        std::memset(static_cast<void*>(&expected), 0, size);
        expected.known.size = size;
        ASSERT_EQ(init(&later.known, size), HONE_OK) << hone_last_error();
        EXPECT_EQ(std::memcmp(&later, &expected, sizeof expected), 0) << size;
    }
    for (const std::size_t size : {std::size_t{0}, std::size_t{8}, first - 8, SIZE_MAX}) {
        Later<Struct> later, before;
        EXPECT_EQ(init(&later.known, size), HONE_INVALID_ARGUMENT);
        EXPECT_TRUE(says(".size")) << hone_last_error();
        EXPECT_EQ(std::memcmp(&later, &before, sizeof before), 0) << size;
    }
    EXPECT_EQ(init(nullptr, sizeof(Struct)), HONE_INVALID_ARGUMENT);
    EXPECT_TRUE(says("NULL")) << hone_last_error();
}

TEST(Versions, a_struct_is_made_of_zeros_of_its_size) {
    expect_made(hone_problem_init, 128);
    expect_made(hone_forward_args_init, 472);
    expect_made(hone_backward_args_init, 920);
}

TEST(Versions, a_longer_struct_is_taken_where_its_tail_is_0) {
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        Call<float> call = make_call<float>({.name = "versions"}, HONE_SIGMOID, direction), right = call;
        ASSERT_EQ(run(right), HONE_OK) << hone_last_error();
        Later<hone_problem> problem(call.problem);
        Later<hone_forward_args> forward(call.forward_args());
        Later<hone_backward_args> backward(call.backward_args());
        const auto run_longer = [&] {
            return direction == Direction::forward ? hone_forward(&problem.known, &forward.known)
                                                   : hone_backward(&problem.known, &backward.known);
        };
        const Call<float> before = call;
        for (unsigned char* const tail :
             {problem.more, direction == Direction::forward ? forward.more : backward.more})
            for (const int byte : {0, 17, 39}) {
                tail[byte] = 1;
                EXPECT_EQ(run_longer(), HONE_UNSUPPORTED);
                EXPECT_TRUE(says(tail == problem.more ? "problem: sets a field" : "args: sets a field"))
                    << hone_last_error();
                for (int argument = 0; argument < ARGUMENTS; ++argument)
                    EXPECT_TRUE(call.tensors[argument].same_bytes(before.tensors[argument]))
                        << argument_names[argument];
                tail[byte] = 0;
            }
        EXPECT_EQ(run_longer(), HONE_OK) << hone_last_error();
        for (const Argument argument : outputs(direction))
            EXPECT_TRUE(call[argument].same_bytes(right[argument]));
    }
}

TEST(Versions, an_activation_is_described_in_as_much_as_there_is_room_for) {
    hone_activation_info info = {};
    info.size = sizeof info;
    ASSERT_EQ(hone_describe_activation(HONE_ERF, &info), HONE_OK) << hone_last_error();
    Later<hone_activation_info> later;
    later.known.size = sizeof later;
    ASSERT_EQ(hone_describe_activation(HONE_ERF, &later.known), HONE_OK) << hone_last_error();
    EXPECT_STREQ(later.known.name, info.name);
    EXPECT_EQ(later.known.size, sizeof later);
    for (const unsigned char byte : later.more) EXPECT_EQ(byte, 0);
    for (const std::size_t size : {std::size_t{0}, sizeof(info) - 8}) {
        info.size = size;
        EXPECT_EQ(hone_describe_activation(HONE_ERF, &info), HONE_INVALID_ARGUMENT);
        EXPECT_TRUE(says("info.size")) << hone_last_error();
    }
}

TEST(Versions, activations_are_found_by_their_names) {
    for (std::int32_t a = 0; a < hone_activation_count(); ++a) {
        std::int32_t found = -1;
        EXPECT_EQ(hone_activation_by_name(describe(static_cast<hone_activation>(a)).name, &found), HONE_OK);
        EXPECT_EQ(found, a);
    }
    std::int32_t found = -7;
    for (const char* const name : {"", "Softmax", "softmax_", "soft"}) {
        EXPECT_EQ(hone_activation_by_name(name, &found), HONE_INVALID_ARGUMENT);
        EXPECT_TRUE(says("name: is '" + std::string(name) + "'")) << hone_last_error();
    }
    EXPECT_EQ(hone_activation_by_name(nullptr, &found), HONE_INVALID_ARGUMENT);
    EXPECT_TRUE(says("name: is NULL")) << hone_last_error();
    EXPECT_EQ(hone_activation_by_name("softmax", nullptr), HONE_INVALID_ARGUMENT);
    EXPECT_TRUE(says("activation: is NULL")) << hone_last_error();
    EXPECT_EQ(found, -7);
}

TEST(Versions, a_tensor_to_be_read_says_all_that_it_says_to_be_written) {
    hone_tensor t;
    for (std::size_t i = 0; i < sizeof t; ++i)
        reinterpret_cast<unsigned char*>(&t)[i] = static_cast<unsigned char>(i);
    const hone_const_tensor c = hone_const(t);
    static_assert(sizeof c == sizeof t);
    EXPECT_EQ(std::memcmp(&c, &t, sizeof t), 0);
}

TEST(Versions, the_header_s_is_the_library_s) {
    const std::string header = std::to_string(HONE_VERSION_MAJOR) + "." + std::to_string(HONE_VERSION_MINOR) +
                               "." + std::to_string(HONE_VERSION_PATCH);
    EXPECT_EQ(hone_version(), header);
}

}  // namespace
}  // namespace hone::test
