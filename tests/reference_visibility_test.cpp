// reference_visibility_test.cpp proves which keys each query of the reference sees: by lists, by closed
// forms, and by problems that are the same said otherwise.
#include <cmath>
#include <cstdint>
#include <numeric>

#include "reference/visibility.hpp"
#include "tests/reference_example.hpp"

namespace hone::reference {
namespace {

constexpr int64_t least = std::numeric_limits<int64_t>::min(), most = std::numeric_limits<int64_t>::max();

// ---- Lists of keys ----

// The keys that query i of head 0 of batch entry b sees.
std::vector<int64_t> seen(const Shape& shape, int64_t b, int64_t i) {
    hone_problem problem = small_problem();
    set_shape(problem, shape);
    std::vector<int64_t> keys = {-1};
    list_keys(problem, {}, {entry_of(problem, b), 0, i}, keys);
    return keys;
}

// The keys from begin to end - 1.
std::vector<int64_t> range(int64_t begin, int64_t end) {
    std::vector<int64_t> keys(end - begin);
    std::iota(keys.begin(), keys.end(), begin);
    return keys;
}

TEST(ReferenceVisibility, AShiftMovesTheDiagonalOfCausality) {
    Shape s = {.queries = 4, .keys = 5, .mask = Mask::top_left, .diagonal_shift = 2};
    EXPECT_EQ(seen(s, 0, 0), range(0, 3));
    EXPECT_EQ(seen(s, 0, 3), range(0, 5));
    s.mask = Mask::bottom_right;
    EXPECT_EQ(seen(s, 0, 0), range(0, 4));
    s.diagonal_shift = -2;
    EXPECT_EQ(seen(s, 0, 0), range(0, 0));
    EXPECT_EQ(seen(s, 0, 1), range(0, 1));
}

TEST(ReferenceVisibility, AWindowLiesAroundTheDiagonal) {
    Shape s = {.queries = 6, .keys = 8, .window = true, .window_left = 1, .window_right = 2};
    EXPECT_EQ(seen(s, 0, 0), range(0, 3));
    EXPECT_EQ(seen(s, 0, 3), range(2, 6));
    s.bottom_right = true;
    EXPECT_EQ(seen(s, 0, 3), range(4, 8));
    s.diagonal_shift = 3;
    EXPECT_EQ(seen(s, 0, 3), range(7, 8));
    EXPECT_EQ(seen(s, 0, 5), range(0, 0));
    s.window_left = -1;
    EXPECT_EQ(seen(s, 0, 5), range(0, 8));
    s.diagonal_shift = 0, s.window_left = 0, s.window_right = -1;
    EXPECT_EQ(seen(s, 0, 1), range(3, 8));
    s.mask = Mask::bottom_right;
    EXPECT_EQ(seen(s, 0, 1), range(3, 4));
}

TEST(ReferenceVisibility, ShiftsAndWindowsOfAnySizeDoNotOverflow) {
    const auto keys = [](int64_t shift, int64_t left, int64_t right, int64_t i) {
        return seen({.queries = 9,
                     .keys = 7,
                     .diagonal_shift = shift,
                     .window = true,
                     .window_left = left,
                     .window_right = right},
                    0, i);
    };
    EXPECT_EQ(keys(0, most, most, 3), range(0, 7));
    EXPECT_EQ(keys(most, most, 0, 2), range(2, 7));
    EXPECT_EQ(keys(most, most - 2, 0, 2), range(4, 7));
    EXPECT_EQ(keys(most, 100, most, 2), range(0, 0));
    EXPECT_EQ(keys(least, 0, most, 3), range(0, 3));
    EXPECT_EQ(keys(least, most, most, 0), range(0, 0));
    EXPECT_EQ(keys(least, -1, -1, 0), range(0, 7));
    EXPECT_EQ(seen({.queries = 2, .keys = 3, .mask = Mask::bottom_right, .diagonal_shift = most}, 0, 1),
              range(0, 3));
    EXPECT_EQ(seen({.queries = 2, .keys = 3, .mask = Mask::bottom_right, .diagonal_shift = least}, 0, 1),
              range(0, 0));
}

TEST(ReferenceVisibility, TheDiagonalIsThatOfTheEntrysOwnLengths) {
    Shape s = {.batch = 3,
               .queries = 6,
               .keys = 9,
               .mask = Mask::bottom_right,
               .query_lengths = {6, 2, 1},
               .key_lengths = {6, 9, 0}};
    EXPECT_EQ(seen(s, 0, 5), range(0, 6));
    EXPECT_EQ(seen(s, 0, 0), range(0, 1));
    EXPECT_EQ(seen(s, 1, 0), range(0, 8));
    EXPECT_EQ(seen(s, 2, 0), range(0, 0));
    s.query_offsets = {1, 7, 12, 13}, s.key_offsets = {0, 6, 15, 19};
    s.key_lengths = {5, 9, 1};
    EXPECT_EQ(seen(s, 0, 5), range(0, 5));
    EXPECT_EQ(seen(s, 0, 0), range(0, 0));
    EXPECT_EQ(seen(s, 1, 0), range(0, 8));
    EXPECT_EQ(seen(s, 2, 0), range(0, 1));
    s.query_lengths.clear();  // the second entry has 5 queries now
    EXPECT_EQ(seen(s, 1, 0), range(0, 5));
}

// ---- Closed forms ----

TEST(ReferenceVisibility, OneVisibleKeyGivesItsValue) {
    const Shape masked = {
        .shows = [](int64_t b, int64_t h, int64_t i, int64_t j) { return j == (b + 2 * h + 3 * i) % 5; }};
    const Shape windowed = {.diagonal_shift = 1, .window = true, .window_left = 0, .window_right = 0};
    for (const Shape& shape : {masked, windowed}) {
        Example<double> x(HONE_SOFTMAX, shape);
        x.sink.clear();
        x.forward();
        for (int64_t b = 0; b < 2; ++b)
            for (int64_t h = 0; h < 4; ++h)
                for (int64_t i = 0; i < 4; ++i)
                    for (int64_t d = 0; d < shape.value_dim; ++d) {
                        const int64_t j = shape.shows ? (b + 2 * h + 3 * i) % 5 : i + 1;
                        EXPECT_EQ(x.o.row(b, h, i)[d], x.v.row(b, h / 2, j)[d]);
                    }
    }
}

TEST(ReferenceVisibility, ADefaultCountsTheKeysThatTheRowOfItsHeadSees) {
    const Shape shape = {
        .batch = 1, .queries = 5, .value_dim = 1, .shows = [](int64_t, int64_t h, int64_t i, int64_t j) {
            return j <= h && j <= i;
        }};
    for (int activation : {HONE_SIGMOID, HONE_RELU, HONE_LINEAR}) {
        Example<double> x(activation, shape);
        x.shift.clear();
        std::ranges::fill(x.q.values, 1);
        std::ranges::fill(x.k.values, 1 / std::sqrt(3));  // every score is 1
        std::ranges::fill(x.v.values, 1);
        x.forward();
        for (int64_t h = 0; h < 4; ++h)
            for (int64_t i = 0; i < 5; ++i) {
                const double n = std::min(h, i) + 1;
                const double sum = activation == HONE_SIGMOID  ? n / (1 + n * std::exp(-1.0))
                                   : activation == HONE_LINEAR ? 2
                                                               : 1;
                EXPECT_NEAR(x.o.row(0, h, i)[0], sum, 1e-14) << activation_name(activation) << h << i;
            }
    }
}

// Head 1 sees nothing, in row 2 no head does.
TEST(ReferenceVisibility, AHeadOfABayesGroupThatSeesNoKeyIsZero) {
    Example<double> x(HONE_BAYES_SOFTMAX,
                      {.batch = 1, .query_heads = 2, .shows = [](int64_t, int64_t h, int64_t i, int64_t) {
                           return h == 0 && i != 2;
                       }});
    Example<double> alone(HONE_BAYES_SOFTMAX,
                          {.batch = 1, .query_heads = 1, .kv_heads = 1, .group_heads = 1});
    std::ranges::copy_n(x.q.values.begin(), alone.q.values.size(), alone.q.values.begin());
    std::ranges::copy_n(x.k.values.begin(), alone.k.values.size(), alone.k.values.begin());
    std::ranges::copy_n(x.v.values.begin(), alone.v.values.size(), alone.v.values.begin());
    alone.sink = x.sink, alone.log_prior = {x.log_prior[0]};
    x.run();
    alone.run();
    for (int64_t i = 0; i < 4; ++i)
        for (int64_t d = 0; d < 2; ++d) {
            EXPECT_EQ(x.o.row(0, 1, i)[d], 0);
            EXPECT_EQ(x.o.row(0, 0, i)[d], i == 2 ? 0 : alone.o.row(0, 0, i)[d]);
            EXPECT_EQ(x.dq.row(0, 1, i)[d], 0);
        }
    EXPECT_EQ(x.lse[2], x.sink[0]);
    EXPECT_EQ(x.lse[1], alone.lse[1]);
    EXPECT_EQ(x.dlog_prior[1], 0);
}

// ---- The same said otherwise ----

// Expects two shapes of the same extents to give the same, bit for bit.
void expect_same_problem(const Shape& shape, const Shape& other, const std::string& what) {
    for (int activation = 0; activation < activation_count; ++activation) {
        SCOPED_TRACE(activation_name(activation) + ", " + what);
        Example<double> x(activation, shape), y(activation, other);
        x.run();
        y.run();
        EXPECT_EQ(x.o.values, y.o.values);
        EXPECT_EQ(x.lse, y.lse);
        EXPECT_EQ(x.dq.values, y.dq.values);
        EXPECT_EQ(x.dk.values, y.dk.values);
        EXPECT_EQ(x.dv.values, y.dv.values);
        EXPECT_EQ(x.dsink, y.dsink);
        EXPECT_EQ(x.dlog_prior, y.dlog_prior);
        EXPECT_EQ(x.dshift, y.dshift);
    }
}

TEST(ReferenceVisibility, CausalityAndWindowsAreMasksOfTheirShape) {
    expect_same_problem({.mask = Mask::top_left},
                        {.shows = [](auto, auto, int64_t i, int64_t j) { return j <= i; }}, "a triangle");
    expect_same_problem({.queries = 6, .mask = Mask::bottom_right, .diagonal_shift = 1},
                        {.queries = 6, .shows = [](auto, auto, int64_t i, int64_t j) { return j <= i; }},
                        "keys - queries + shift = 0");
    expect_same_problem(
        {.queries = 7, .diagonal_shift = -1, .window = true, .window_left = 2, .window_right = 1},
        {.queries = 7, .shows = [](auto, auto, int64_t i, int64_t j) { return i - 3 <= j && j <= i; }},
        "a band");
    expect_same_problem({.mask = Mask::top_left, .window = true, .window_left = 1, .window_right = 2},
                        {.mask = Mask::top_left, .window = true, .window_left = 1}, "causal both");
    expect_same_problem({.window = true}, {}, "no bounds");
    expect_same_problem({.shows = [](auto...) { return true; }}, {}, "everything");
    expect_same_problem({.diagonal_shift = 3}, {}, "a shift of nothing");
    expect_same_problem({.batch = 3, .query_lengths = {4, 4, 4}, .key_lengths = {5, 5, 5}}, {.batch = 3},
                        "all lengths");
}

// ---- Masks in memory ----

TEST(ReferenceVisibility, AMaskIsFoundInAnyLayout) {
    const Shape shape = {.batch = 2, .shows = by_thirds};
    const auto run = [](Example<double>& x, const hone_const_scores& mask) {
        x.mask = mask;
        x.forward();
        return x.o.values;
    };
    Example<double> x(HONE_SOFTMAX, shape);
    const hone_const_scores plain = x.mask;
    const std::vector<double> expected = run(x, plain);
    EXPECT_NE(run(x, {}), expected);

    hone_const_scores extents = plain;
    extents.batch = extents.heads = extents.queries = extents.keys = 0;  // those of the problem
    extents.dtype = HONE_BOOL;
    EXPECT_EQ(run(x, extents), expected);

    // Turned around: keys outermost, and all axes backwards.
    std::vector<unsigned char> turned;
    for (int64_t j = 4; j >= 0; --j)
        for (int64_t i = 3; i >= 0; --i)
            for (int64_t h = 3; h >= 0; --h)
                for (int64_t b = 1; b >= 0; --b) turned.push_back(by_thirds(b, h, i, j) ? 255 : 0);
    hone_const_scores backwards = plain;
    backwards.data = turned.data() + turned.size() - 1;
    backwards.batch_stride = -1, backwards.head_stride = -2, backwards.query_stride = -8;
    backwards.key_stride = -32;
    EXPECT_EQ(run(x, backwards), expected);
}

TEST(ReferenceVisibility, AMaskIsBroadcastByAnExtentOfOneOrAStrideOfZero) {
    std::vector<unsigned char> bytes(2 * 4 * 4 * 5);
    for (size_t n = 0; n < bytes.size(); ++n) bytes[n] = n * n % 7 > 2;
    for (int one = 0; one < 16; ++one) {
        const auto axis = [&](int a, int64_t n) { return one >> a & 1 ? 0 : n; };
        const Shape copied = {.shows = [&](int64_t b, int64_t h, int64_t i, int64_t j) {
            return bytes[axis(0, b) * 80 + axis(1, h) * 20 + axis(2, i) * 5 + axis(3, j)] != 0;
        }};
        Example<double> expected(HONE_SIGMOID, copied), by_extent(HONE_SIGMOID, {}),
            by_stride(HONE_SIGMOID, {});
        hone_const_scores mask = hone_const_bhqk(bytes.data(), 2, 4, 4, 5);
        by_stride.mask = mask;
        int64_t hone_const_scores::*const extents[] = {&hone_const_scores::batch, &hone_const_scores::heads,
                                                       &hone_const_scores::queries, &hone_const_scores::keys};
        int64_t hone_const_scores::*const strides[] = {
            &hone_const_scores::batch_stride, &hone_const_scores::head_stride,
            &hone_const_scores::query_stride, &hone_const_scores::key_stride};
        for (int a = 0; a < 4; ++a)
            if (one >> a & 1) mask.*extents[a] = 1, by_stride.mask.*strides[a] = 0;
        by_extent.mask = mask;
        for (auto* x : {&expected, &by_extent, &by_stride}) x->forward();
        EXPECT_EQ(by_extent.o.values, expected.o.values) << one;
        EXPECT_EQ(by_stride.o.values, expected.o.values) << one;
    }
}

}  // namespace
}  // namespace hone::reference
