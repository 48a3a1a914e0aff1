// overlap_test.cpp: whether two tensors, or two rows of one, share memory, against all of their bytes
// counted.
#include "overlap.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <ctime>
#include <set>
#include <string>
#include <vector>

#include "operands.hpp"
#include "tests/spec.hpp"

namespace hone::test {
namespace {

// An address that nobody reads.
void* at(std::int64_t bytes) {
    return reinterpret_cast<void*>(static_cast<std::intptr_t>((std::int64_t{1} << 46) + bytes));
}

// How tensors are drawn: strides in -most_stride .. most_stride, with zeros and equal ones among them.
struct Draw {
    std::int64_t most_stride, most_extent, most_features, element_size;
};

Operand draw_operand(Random& random, const Draw& draw, std::int64_t offset) {
    Operand t = {"t", {}, {}, random.integer(1, draw.most_features), draw.element_size};
    std::int64_t strides[3];
    for (int axis = 0; axis < 3; ++axis) {
        t.extent[axis] = random.integer(1, draw.most_extent);
        strides[axis] = random.integer(0, 5) == 0 ? 0 : random.integer(-draw.most_stride, draw.most_stride);
        if (axis > 0 && random.integer(0, 3) == 0) strides[axis] = strides[axis - 1] * random.integer(-2, 2);
    }
    t.tensor = hone_const(tensor_at(at(offset), strides[0], strides[1], strides[2]));
    return t;
}

std::string describe(const Operand& t) {
    std::string text = "at byte " + std::to_string(reinterpret_cast<std::intptr_t>(t.tensor.data) % 65536);
    for (int axis = 0; axis < 3; ++axis)
        text += ", " + std::to_string(t.extent[axis]) + " x " + std::to_string(t.stride(axis));
    return text + ", features " + std::to_string(t.features) + " of " + std::to_string(t.element_size);
}

// Calls body(address) for each row; for one of those of an axis of stride 0.
template <class Body>
void for_each_row(const Operand& t, Body&& body) {
    const auto extent = [&](int axis) { return t.stride(axis) == 0 ? 1 : t.extent[axis]; };
    for (std::int64_t b = 0; b < extent(0); ++b)
        for (std::int64_t h = 0; h < extent(1); ++h)
            for (std::int64_t i = 0; i < extent(2); ++i)
                body(reinterpret_cast<std::intptr_t>(t.tensor.data) +
                     (b * t.stride(0) + h * t.stride(1) + i * t.stride(2)) * t.element_size);
}

std::set<std::int64_t> bytes_of(const Operand& t) {
    std::set<std::int64_t> bytes;
    for_each_row(t, [&](std::int64_t row) {
        for (std::int64_t n = 0; n < t.features * t.element_size; ++n) bytes.insert(row + n);
    });
    return bytes;
}

bool share_counted(const Operand& a, const Operand& b) {
    const std::set<std::int64_t> of_a = bytes_of(a);
    for (const std::int64_t byte : bytes_of(b))
        if (of_a.contains(byte)) return true;
    return false;
}

bool overlaps_itself_counted(const Operand& t) {
    std::int64_t rows = 0;
    for_each_row(t, [&](std::int64_t) { ++rows; });
    return static_cast<std::int64_t>(bytes_of(t).size()) < rows * t.features * t.element_size;
}

// Of which answers a test has seen enough.
struct Answers {
    int yes = 0, no = 0;
    void count(bool answer) { ++(answer ? yes : no); }
    ~Answers() {
        EXPECT_GT(yes, 500);
        EXPECT_GT(no, 500);
    }
};

TEST(Overlap, of_two_tensors_is_that_of_their_bytes) {
    Random random("pairs");
    Answers answers;
    for (const Draw& draw : {Draw{7, 3, 3, 4}, Draw{12, 4, 5, 4}, Draw{60, 5, 5, 8}, Draw{200, 6, 2, 4}})
        for (int n = 0; n < 4000; ++n) {
            const std::int64_t reach = draw.most_stride * draw.most_extent * draw.element_size;
            const std::int64_t unit = n % 2 == 0 ? draw.element_size : 1;  // half of them are misaligned
            const Operand a = draw_operand(random, draw, 0);
            const Operand b = draw_operand(random, draw, random.integer(-reach / unit, reach / unit) * unit);
            const bool expected = share_counted(a, b);
            answers.count(expected);
            ASSERT_EQ(share_memory(a.footprint(), b.footprint()), expected) << describe(a) << "\n"
                                                                            << describe(b);
            ASSERT_EQ(share_memory(b.footprint(), a.footprint()), expected) << describe(a) << "\n"
                                                                            << describe(b);
        }
}

TEST(Overlap, of_a_tensor_and_an_array_is_that_of_their_bytes) {
    Random random("arrays");
    Answers answers;
    const Draw draw = {40, 4, 4, 4};
    for (int n = 0; n < 8000; ++n) {
        const Operand t = draw_operand(random, draw, 0);
        const std::int64_t first = random.integer(-500, 500), bytes = random.integer(0, 40);
        const Span array = dense("array", at(first), bytes);
        bool expected = false;
        for (const std::int64_t byte : bytes_of(t))
            expected |= byte >= array.memory.first && byte < array.memory.first + bytes;
        answers.count(expected);
        ASSERT_EQ(share_memory(t.footprint(), array.memory), expected) << describe(t) << "\n"
                                                                       << bytes << " bytes from " << first;
        ASSERT_EQ(share_memory(array.memory, t.footprint()), expected);
    }
}

TEST(Overlap, of_the_rows_of_a_tensor_is_that_of_their_bytes) {
    Random random("rows");
    Answers answers;
    for (const Draw& draw : {Draw{7, 3, 3, 4}, Draw{12, 4, 5, 4}, Draw{60, 5, 5, 8}, Draw{200, 6, 2, 4}})
        for (int n = 0; n < 4000; ++n) {
            const Operand t = draw_operand(random, draw, 0);
            const bool expected = overlaps_itself_counted(t);
            answers.count(expected);
            ASSERT_EQ(overlaps_itself(t.footprint()), expected) << describe(t);
        }
}

// All distances 2^46 times as large, so that rows meet only where they start at the same address.
TEST(Overlap, is_exact_for_the_longest_strides) {
    constexpr std::int64_t large = std::int64_t{1} << 46;
    const auto enlarge = [](Operand t) {
        t.tensor.batch_stride *= large;
        t.tensor.head_stride *= large;
        t.tensor.row_stride *= large;
        EXPECT_TRUE(t.fits());
        return t;
    };
    Random random("large");
    Answers pairs, rows;
    for (int n = 0; n < 8000; ++n) {
        const Draw draw = {30, 6, 1, 4};
        const std::int64_t offset = random.integer(-20, 20) * draw.element_size;
        const Operand a = draw_operand(random, draw, 0), b = draw_operand(random, draw, offset);
        Footprint far = enlarge(b).footprint();
        far.first += offset * (large - 1);
        far.last += offset * (large - 1);
        const bool expected = share_counted(a, b), expected_of_a = overlaps_itself_counted(a);
        pairs.count(expected);
        rows.count(expected_of_a);
        ASSERT_EQ(share_memory(enlarge(a).footprint(), far), expected) << describe(a) << "\n" << describe(b);
        ASSERT_EQ(overlaps_itself(enlarge(a).footprint()), expected_of_a) << describe(a);
    }
}

TEST(Overlap, of_what_has_no_bytes_is_none) {
    const Span inside = dense("inside", at(100), 0), absent = dense("absent", nullptr, 64);
    const Span all = dense("all", at(0), 1000);
    const Operand no_rows = {"t", hone_const(tensor_at(at(100), 12, 4, 4)), {2, 3, 0}, 4, 4};
    for (const Footprint& none : {inside.memory, absent.memory, no_rows.footprint()}) {
        EXPECT_FALSE(share_memory(all.memory, none));
        EXPECT_FALSE(share_memory(none, all.memory));
        EXPECT_FALSE(share_memory(none, none));
        EXPECT_FALSE(overlaps_itself(none));
    }
}

// Strides without a common divisor, and more sums of them than could ever be tried. All of these meet, but
// the search gives up before it finds out. Without a bound it would take minutes and more.
TEST(Overlap, of_the_worst_strides_is_given_up_at_once) {
    constexpr std::int64_t stride[] = {1099511627791, 1099511627803, 1099511627831,
                                       1099511627689, 1099511627609, 1099511627581};
    constexpr std::int64_t extent = 65536;
    const std::clock_t start = std::clock();
    for (std::int64_t n = 0; n < 20; ++n) {
        const hone_tensor a_tensor = tensor_at(at(0), stride[0], stride[1], stride[2]);
        const Operand a = {"a", hone_const(a_tensor), {extent, extent, extent}, 1, 4};
        const std::int64_t row = (30001 + n) * stride[0] + 40009 * stride[1] + 50021 * stride[2];
        const hone_tensor b_tensor = tensor_at(at(4 * row), -stride[3], stride[4], stride[5]);
        const Operand b = {"b", hone_const(b_tensor), {extent, extent, extent}, 1, 4};
        ASSERT_TRUE(a.fits() && b.fits());
        EXPECT_FALSE(share_memory(a.footprint(), b.footprint()));
        // 3 stride[2] + 7 stride[0] is 10 stride[1].
        EXPECT_FALSE(overlaps_itself(a.footprint()));
    }
    EXPECT_LT(std::clock() - start, CLOCKS_PER_SEC);
}

}  // namespace
}  // namespace hone::test
