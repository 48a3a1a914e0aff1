// shared_memory_test.cpp: calls whose tensors lie between each other's rows are computed; those whose tensors
// meet are refused.
#include <gtest/gtest.h>
#include <hone/hone.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/spec.hpp"

namespace hone::test {
namespace {

constexpr std::int64_t kGuard = 64;

// Random numbers, of which a call reads and writes parts.
class Buffer {
  public:
    Buffer(const std::string& seed, std::int64_t elements) : data_(kGuard + elements + kGuard) {
        Random random(seed);
        for (float& x : data_) x = static_cast<float>(random.symmetric());
    }
    float* at(std::int64_t element) { return data_.data() + kGuard + element; }
    bool operator==(const Buffer& other) const {
        return std::memcmp(data_.data(), other.data_.data(), data_.size() * sizeof(float)) == 0;
    }

  private:
    std::vector<float> data_;
};

// The extents of a tensor of floats.
struct Shape {
    std::int64_t batch, heads, rows, features;
};

// Takes the elements of one tensor for those of another.
void copy(const hone_tensor& from, const hone_tensor& to, const Shape& shape) {
    const auto row = [](const hone_tensor& t, std::int64_t b, std::int64_t h, std::int64_t i) {
        return static_cast<float*>(t.data) + b * t.batch_stride + h * t.head_stride + i * t.row_stride;
    };
    for (std::int64_t b = 0; b < shape.batch; ++b)
        for (std::int64_t h = 0; h < shape.heads; ++h)
            for (std::int64_t i = 0; i < shape.rows; ++i)
                std::memcpy(row(to, b, h, i), row(from, b, h, i), shape.features * sizeof(float));
}

// Expects that the call is refused with the sentence that these two share memory, and that nothing is
// written.
template <class Call>
void expect_refused(Call&& call, const Buffer& buffer, const std::string& sentence) {
    const Buffer before = buffer;
    EXPECT_EQ(call(), HONE_INVALID_ARGUMENT);
    EXPECT_EQ(std::string(hone_last_error()).substr(0, sentence.size()), sentence) << hone_last_error();
    EXPECT_TRUE(buffer == before);
}

// k is elements [0, 6) and [18, 24): two heads of three rows of four features, each one after the last.
struct BetweenHeads {
    BetweenHeads() {
        problem.query_heads = problem.kv_heads = 2, problem.queries = 1, problem.keys = 3;
        problem.key_dim = problem.value_dim = 4;
        args.q = hone_const_bhnd(other.at(0), 2, 1, 4), args.v = hone_const_bhnd(other.at(8), 2, 3, 4);
        args.k = hone_const(tensor_at(buffer.at(0), 0, 18, 1));
    }
    hone_status run(const hone_tensor& o) {
        args.o = o;
        return hone_forward(&problem, &args);
    }

    Buffer buffer = Buffer("between heads", 24), other = Buffer("other", 8 + 24 + 8);
    hone_problem problem = small_problem();
    hone_forward_args args = no_forward_args();
};

TEST(SharedMemory, output_between_the_heads_of_an_input_is_taken) {
    for (const std::int64_t first : {6, 7, 10}) {
        BetweenHeads call;
        const hone_tensor apart = hone_bhnd(call.other.at(32), 2, 1, 4);
        const hone_tensor between = hone_bhnd(call.buffer.at(first), 2, 1, 4);
        ASSERT_EQ(call.run(apart), HONE_OK) << hone_last_error();
        Buffer expected = call.buffer;
        copy(apart, hone_bhnd(expected.at(first), 2, 1, 4), {1, 2, 1, 4});
        ASSERT_EQ(call.run(between), HONE_OK) << hone_last_error();
        EXPECT_TRUE(call.buffer == expected);
    }
}

TEST(SharedMemory, output_that_reaches_into_the_heads_of_an_input_is_refused) {
    for (const std::int64_t first : {5, 11}) {
        BetweenHeads call;
        expect_refused([&] { return call.run(hone_bhnd(call.buffer.at(first), 2, 1, 4)); }, call.buffer,
                       "o: shares memory with k;");
    }
}

// Rows of two features: those of the second head lie between those of the first.
TEST(SharedMemory, output_whose_heads_interleave_is_taken) {
    BetweenHeads call;
    call.problem.queries = 3, call.problem.keys = 1, call.problem.value_dim = 2;
    call.args.q = hone_const_bhnd(call.other.at(0), 2, 3, 4);
    Buffer apart("apart", 12), expected = Buffer("o", 23), o = expected;
    const hone_tensor interleaved = tensor_at(o.at(0), 23, 9, 6);
    ASSERT_EQ(call.run(hone_bhnd(apart.at(0), 2, 3, 2)), HONE_OK) << hone_last_error();
    copy(call.args.o, tensor_at(expected.at(0), 23, 9, 6), {1, 2, 3, 2});
    ASSERT_EQ(call.run(interleaved), HONE_OK) << hone_last_error();
    EXPECT_TRUE(o == expected);
    const hone_tensor meeting = tensor_at(o.at(0), 23, 7, 6);
    expect_refused([&] { return call.run(meeting); }, o, "o: its strides make rows overlap;");
}

// The parts of each row of one buffer [batch, rows, heads of all parts, features].
struct Fused {
    std::int64_t query_heads, kv_heads;

    static constexpr std::int64_t batch = 2, rows = 17, features = 6;
    std::int64_t width(std::int64_t query_parts, std::int64_t kv_parts) const {
        return (query_parts * query_heads + kv_parts * kv_heads) * features;
    }
    hone_problem problem() const {
        hone_problem p = small_problem();
        p.activation = HONE_SIGMOID, p.threads = 2, p.batch = batch;
        p.query_heads = query_heads, p.kv_heads = kv_heads, p.queries = p.keys = rows;
        p.key_dim = p.value_dim = features;
        return p;
    }
    Shape of_queries() const { return {batch, query_heads, rows, features}; }
    Shape of_keys() const { return {batch, kv_heads, rows, features}; }
};

hone_tensor part(Buffer& buffer, std::int64_t width, std::int64_t first) {
    return tensor_at(buffer.at(first), Fused::rows * width, Fused::features, width);
}
hone_const_tensor const_part(Buffer& buffer, std::int64_t width, std::int64_t first) {
    return hone_const(part(buffer, width, first));
}

constexpr Fused kFused[] = {{5, 5}, {7, 7}, {35, 7}, {35, 5}, {7, 1}, {1, 1}};

TEST(SharedMemory, q_k_v_and_o_of_one_buffer_are_taken_and_o_shifted_is_refused) {
    for (const Fused& fused : kFused) {
        const std::int64_t width = fused.width(2, 2), k = fused.width(1, 0), v = fused.width(1, 1);
        const std::int64_t o = fused.width(1, 2);
        Buffer buffer("fused", fused.batch * fused.rows * width), apart = buffer, expected = buffer;
        const hone_problem p = fused.problem();
        hone_forward_args a = no_forward_args();
        a.q = const_part(buffer, width, 0), a.k = const_part(buffer, width, k);
        a.v = const_part(buffer, width, v);
        const auto run_into = [&](const hone_tensor& to) {
            a.o = to;
            return hone_forward(&p, &a);
        };
        // One element back it meets v; one ahead, q of the next row.
        expect_refused([&] { return run_into(part(buffer, width, o - 1)); }, buffer,
                       "o: shares memory with v;");
        expect_refused([&] { return run_into(part(buffer, width, o + 1)); }, buffer,
                       "o: shares memory with q;");
        ASSERT_EQ(run_into(part(apart, width, o)), HONE_OK) << hone_last_error();
        copy(part(apart, width, o), part(expected, width, o), fused.of_queries());
        ASSERT_EQ(run_into(part(buffer, width, o)), HONE_OK) << hone_last_error();
        EXPECT_TRUE(buffer == expected) << fused.query_heads << " heads on " << fused.kv_heads;
    }
}

TEST(SharedMemory, gradients_beside_inputs_of_one_buffer_are_taken_and_dv_shifted_is_refused) {
    for (const Fused& fused : kFused) {
        const std::int64_t width = fused.width(3, 4);
        const std::int64_t dout = fused.width(1, 0), k = fused.width(2, 0), v = fused.width(2, 1);
        const std::int64_t dq = fused.width(2, 2), dk = fused.width(3, 2), dv = fused.width(3, 3);
        Buffer buffer("fused", fused.batch * fused.rows * width), apart = buffer, expected = buffer;
        const hone_problem p = fused.problem();
        hone_backward_args a = no_backward_args();
        a.q = const_part(buffer, width, 0), a.dout = const_part(buffer, width, dout);
        a.k = const_part(buffer, width, k), a.v = const_part(buffer, width, v);
        const auto run_into = [&](Buffer& to, std::int64_t shift_of_dv) {
            a.dq = part(to, width, dq), a.dk = part(to, width, dk);
            a.dv = part(to, width, dv + shift_of_dv);
            return hone_backward(&p, &a);
        };
        expect_refused([&] { return run_into(buffer, -1); }, buffer, "dk: shares memory with dv;");
        expect_refused([&] { return run_into(buffer, 1); }, buffer, "dv: shares memory with q;");
        ASSERT_EQ(run_into(apart, 0), HONE_OK) << hone_last_error();
        copy(part(apart, width, dq), part(expected, width, dq), fused.of_queries());
        copy(part(apart, width, dk), part(expected, width, dk), fused.of_keys());
        copy(part(apart, width, dv), part(expected, width, dv), fused.of_keys());
        ASSERT_EQ(run_into(buffer, 0), HONE_OK) << hone_last_error();
        EXPECT_TRUE(buffer == expected) << fused.query_heads << " heads on " << fused.kv_heads;
    }
}

// An array that lies in the padding of an input's rows, and one that reaches a byte into the next row.
TEST(SharedMemory, workspace_is_told_to_the_byte) {
    BetweenHeads call;
    std::size_t bytes = 0;
    ASSERT_EQ(hone_forward_workspace(&call.problem, &call.args, &bytes), HONE_OK) << hone_last_error();
    const auto stride = static_cast<std::int64_t>(bytes / sizeof(float) + 8);
    Buffer buffer("padded", 3 * stride);
    call.args.k = hone_const(tensor_at(buffer.at(0), 0, 2 * stride, stride));
    call.problem.query_heads = call.problem.kv_heads = 1;
    call.args.workspace_bytes = bytes;
    const hone_tensor o = hone_bhnd(call.other.at(32), 1, 1, 4);
    auto* const last = reinterpret_cast<std::byte*>(buffer.at(stride)) - bytes;
    call.args.workspace = last + 1;
    expect_refused([&] { return call.run(o); }, buffer, "workspace: shares memory with k;");
    call.args.workspace = reinterpret_cast<std::byte*>(buffer.at(4)) - 1;
    expect_refused([&] { return call.run(o); }, buffer, "workspace: shares memory with k;");
    for (std::byte* const free : {reinterpret_cast<std::byte*>(buffer.at(4)), last}) {
        call.args.workspace = free;
        EXPECT_EQ(call.run(o), HONE_OK) << hone_last_error();
    }
}

}  // namespace
}  // namespace hone::test
