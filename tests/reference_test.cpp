// reference_test.cpp proves the gradients of the reference by central finite differences, its masks and
// layouts by what they show and copy, and its scalar types by their agreement.
#include <cmath>
#include <ostream>
#include <tuple>

#include "reference/scores.hpp"
#include "tests/reference_example.hpp"

namespace hone::reference {
namespace {

// ---- Finite differences ----

struct GradientCase {
    const char* name;
    Shape shape;

    friend void PrintTo(const GradientCase& c, std::ostream* out) { *out << c.name; }
};

const GradientCase gradient_cases[] = {
    {"Unmasked", {}},
    {"CausalTopLeft", {.mask = Mask::top_left}},
    {"CausalTopLeftMoreQueriesThanKeys", {.queries = 6, .keys = 3, .mask = Mask::top_left}},
    {"CausalBottomRight", {.mask = Mask::bottom_right}},
    {"CausalBottomRightWithRowsThatSeeNoKey", {.queries = 6, .keys = 3, .mask = Mask::bottom_right}},
    {"OneHeadPerKvHead", {.kv_heads = 4, .group_heads = 4}},
    {"MultiQuery", {.kv_heads = 1, .group_heads = 1}},
    {"ValueDimAboveKeyDim", {.key_dim = 1, .value_dim = 4}},
    {"BroadcastQueries", {.q = {.head = true, .row = true}}},
    {"BroadcastKeysAndValues",
     {.mask = Mask::bottom_right, .k = {.batch = true, .head = true}, .v = {.batch = true}}},
    {"BroadcastKeyAndValueRows", {.k = {.row = true}, .v = {.head = true, .row = true}}},
    {"Window", {.window = true, .window_left = 1, .window_right = 2}},
    {"CausalWindowWithAShift",
     {.queries = 6, .mask = Mask::top_left, .diagonal_shift = 2, .window = true, .window_left = 3}},
    {"WindowBottomRightWithRowsThatSeeNoKey",
     {.queries = 7, .keys = 3, .bottom_right = true, .window = true, .window_left = 0, .window_right = 1}},
    {"Lengths",
     {.batch = 3, .mask = Mask::bottom_right, .query_lengths = {4, 0, 2}, .key_lengths = {3, 5, 0}}},
    {"LengthsOfBroadcastKeys",
     {.q = {.row = true}, .k = {.batch = true}, .query_lengths = {4, 1}, .key_lengths = {5, 2}}},
    {"RaggedQueries", {.batch = 3, .mask = Mask::bottom_right, .query_offsets = {1, 3, 3, 7}}},
    {"RaggedKeys", {.batch = 3, .window = true, .window_left = 2, .key_offsets = {0, 5, 6, 6}}},
    {"Ragged",
     {.batch = 3,
      .q = {.head = true},
      .v = {.row = true},
      .key_lengths = {2, 2, 1},
      .query_offsets = {2, 5, 6, 10},
      .key_offsets = {1, 3, 7, 9}}},
    {"Mask", {.mask = Mask::top_left, .shows = by_thirds}},
    {"MaskThatHidesRowsAndHeads",
     {.shows = [](int64_t b, int64_t h, int64_t i,
                  int64_t j) { return i != 1 && h != b && !(h == 2 && b == 1) && (i + j) % 2 == 0; }}},
    {"MaskOfARaggedBatchWithAWindow",
     {.batch = 3,
      .window = true,
      .window_right = 1,
      .query_lengths = {2, 4, 1},
      .query_offsets = {0, 3, 7, 8},
      .key_offsets = {2, 7, 7, 9},
      .shows = by_thirds}},
};

class ReferenceGradient : public testing::TestWithParam<std::tuple<int, GradientCase>> {};

// The least distance of s + b from 0, where the ReLUs have their kinks.
template <class S>
S distance_from_kink(Example<S>& x) {
    S least = inf;
    hone_forward_args args = test::no_forward_args();
    args.q = hone_const(x.q.view), args.k = hone_const(x.k.view), args.mask = x.mask;
    SeenRow<S> scores;
    for (int64_t b = 0; b < x.shape.batch; ++b) {
        const Entry entry = entry_of(x.problem, b);
        for (int64_t h = 0; h < x.shape.query_heads; ++h)
            for (int64_t i = 0; i < entry.queries.length; ++i) {
                score_row(x.problem, args, {entry, h, i}, scores);
                for (const S s : scores.p) least = std::min(least, std::abs(s + x.shift[h]));
            }
    }
    return least;
}

TEST_P(ReferenceGradient, AgreesWithCentralFiniteDifferences) {
    using S = long double;
    const auto& [activation, gradient_case] = GetParam();
    Example<S> x(activation, gradient_case.shape);
    const S step = 1e-5L;  // truncation ~ step^2, rounding ~ epsilon / step: both below 1e-10
    if (!x.shift.empty()) {
        ASSERT_GT(distance_from_kink(x), 10 * step) << "another seed is needed";
    }

    // Rows of no batch entry have no gradient.
    for (auto* gradient : {&x.dq.values, &x.dk.values, &x.dv.values}) std::ranges::fill(*gradient, 0);
    x.run();
    struct Variable {
        const char* name;
        std::vector<S>& values;
        const std::vector<S>& gradient;
    };
    for (const Variable& variable :
         {Variable{"dq", x.q.values, x.dq.values}, Variable{"dk", x.k.values, x.dk.values},
          Variable{"dv", x.v.values, x.dv.values}, Variable{"dsink", x.sink, x.dsink},
          Variable{"dlog_prior", x.log_prior, x.dlog_prior}, Variable{"dshift", x.shift, x.dshift}}) {
        std::vector<S> differences;
        for (S& value : variable.values) {
            const S at = value;
            value = at + step;
            const S above = x.loss();
            value = at - step;
            const S below = x.loss();
            value = at;
            differences.push_back((above - below) / (2 * step));
        }
        expect_near(variable.gradient, differences, variable.name, 1e-9L);
    }
}

INSTANTIATE_TEST_SUITE_P(EveryActivation, ReferenceGradient,
                         testing::Combine(testing::Range(0, int(activation_count)),
                                          testing::ValuesIn(gradient_cases)),
                         [](const auto& info) {
                             return activation_name(std::get<0>(info.param)) + "_" +
                                    std::get<1>(info.param).name;
                         });

TEST(ReferenceDual, SlopesAgreeWithCentralFiniteDifferences) {
    const auto check = [](const char* name, auto f) {
        const long double at = 0.7L, step = 1e-5L;
        const math::Dual<long double> result = f(math::Dual<long double>(at, 1));
        EXPECT_EQ(result.value, f(at)) << name;
        EXPECT_NEAR(result.slope, (f(at + step) - f(at - step)) / (2 * step), 1e-9L) << name;
    };
    check("exp", [](auto x) { return math::exp(x); });
    check("log", [](auto x) { return math::log(x); });
    check("log1p", [](auto x) { return math::log1p(x); });
    check("sqrt", [](auto x) { return math::sqrt(x); });
    check("tanh", [](auto x) { return math::tanh(x); });
    check("erf", [](auto x) { return math::erf(x); });
    check("erfc", [](auto x) { return math::erfc(x); });
    check("negation", [](auto x) { return -(x * x); });
    check("sum", [](auto x) { return x + x * x; });
    check("difference", [](auto x) { return 1 - x * x; });
    check("product", [](auto x) { return x * x * x; });
    check("quotient", [](auto x) { return (2 + x) / (1 + x * x); });
}

// ---- Masks and layouts ----

// The weights of equal scores under softmax, which name the keys that a row sees.
void expect_visible_keys(Mask mask, int64_t keys, const std::vector<int64_t>& visible) {
    const int64_t queries = visible.size();
    Example<double> x(HONE_SOFTMAX, {.batch = 1,
                                     .query_heads = 1,
                                     .kv_heads = 1,
                                     .queries = queries,
                                     .keys = keys,
                                     .value_dim = keys,
                                     .mask = mask});
    x.sink.clear();
    std::ranges::fill(x.q.values, 0);
    for (size_t n = 0; n < x.v.values.size(); ++n) x.v.values[n] = n % (keys + 1) == 0;
    x.forward();
    for (int64_t i = 0; i < queries; ++i)
        for (int64_t j = 0; j < keys; ++j)
            EXPECT_DOUBLE_EQ(x.o.row(0, 0, i)[j], j < visible[i] ? 1.0 / visible[i] : 0)
                << "query " << i << ", key " << j;
}

TEST(ReferenceMask, EachMaskShowsItsKeys) {
    expect_visible_keys(Mask::none, 5, {5, 5, 5});
    expect_visible_keys(Mask::top_left, 5, {1, 2, 3});
    expect_visible_keys(Mask::top_left, 2, {1, 2, 2, 2});
    expect_visible_keys(Mask::bottom_right, 5, {3, 4, 5});
    expect_visible_keys(Mask::bottom_right, 2, {0, 0, 1, 2});
}

TEST(ReferenceLayout, BroadcastAndGroupedHeadsEqualTheirCopies) {
    for (int activation = 0; activation < activation_count; ++activation) {
        Example<double> shared(activation, {.k = {.batch = true}, .v = {.row = true}});
        Example<double> copied(activation, {.kv_heads = 4});
        copied.q.values = shared.q.values;
        copied.sink = shared.sink, copied.log_prior = shared.log_prior, copied.shift = shared.shift;
        for (int64_t b = 0; b < 2; ++b)
            for (int64_t h = 0; h < 4; ++h)
                for (int64_t j = 0; j < shared.shape.keys; ++j) {
                    std::copy_n(shared.k.row(b, h / 2, j), shared.shape.key_dim, copied.k.row(b, h, j));
                    std::copy_n(shared.v.row(b, h / 2, j), shared.shape.value_dim, copied.v.row(b, h, j));
                }
        shared.forward();
        copied.forward();
        EXPECT_EQ(shared.o.values, copied.o.values) << activation_name(activation);
        EXPECT_EQ(shared.lse, copied.lse) << activation_name(activation);
    }
}

TEST(ReferenceLayout, KeysAndValuesMayBeTheSameMemory) {
    for (int activation = 0; activation < activation_count; ++activation) {
        Example<double> shared(activation, {.value_dim = 3}), copied(activation, {.value_dim = 3});
        copied.v.values = copied.k.values;
        shared.v.view = shared.k.view;
        shared.run();
        copied.run();
        expect_same_outputs(shared, copied);
    }
}

TEST(ReferenceLayout, AGradientThatIsNotWantedLeavesTheOthersTheSame) {
    for (int activation = 0; activation < activation_count; ++activation) {
        Example<double> all(activation, {}), each(activation, {});
        all.run();
        each.forward();
        const hone_backward_args args = each.backward_args();
        hone_backward_args none = args;
        none.dq.data = none.dk.data = none.dv.data = nullptr;
        none.dsink = none.dlog_prior = none.dshift = nullptr;
        backward<double>(each.problem, none);
        for (hone_tensor hone_backward_args::*gradient :
             {&hone_backward_args::dq, &hone_backward_args::dk, &hone_backward_args::dv}) {
            hone_backward_args one = none;
            one.*gradient = args.*gradient;
            backward<double>(each.problem, one);
        }
        for (void* hone_backward_args::*gradient :
             {&hone_backward_args::dsink, &hone_backward_args::dlog_prior, &hone_backward_args::dshift}) {
            hone_backward_args one = none;
            one.*gradient = args.*gradient;
            backward<double>(each.problem, one);
        }
        EXPECT_EQ(each.dq.values, all.dq.values) << activation_name(activation);
        EXPECT_EQ(each.dk.values, all.dk.values) << activation_name(activation);
        EXPECT_EQ(each.dv.values, all.dv.values) << activation_name(activation);
        EXPECT_EQ(each.dsink, all.dsink) << activation_name(activation);
        EXPECT_EQ(each.dlog_prior, all.dlog_prior) << activation_name(activation);
        EXPECT_EQ(each.dshift, all.dshift) << activation_name(activation);
    }
}

// ---- Scalar types ----

template <class S>
void expect_agrees_with_long_double() {
    for (int activation = 0; activation < activation_count; ++activation) {
        Example<long double> exact(activation, {});
        Example<S> x(activation, {});
        const auto copy = [](const auto& from, auto& to) {
            std::ranges::transform(from, to.begin(), [](S value) { return value; });
        };
        copy(x.q.values, exact.q.values), copy(x.k.values, exact.k.values), copy(x.v.values, exact.v.values);
        copy(x.dout.values, exact.dout.values), copy(x.dlse, exact.dlse);
        copy(x.sink, exact.sink), copy(x.log_prior, exact.log_prior), copy(x.shift, exact.shift);
        x.run();
        exact.run();
        const auto compare = [&](const std::vector<S>& actual, const std::vector<long double>& expected) {
            expect_near(actual, std::vector<S>(expected.begin(), expected.end()),
                        activation_name(activation));
        };
        compare(x.o.values, exact.o.values), compare(x.lse, exact.lse);
        compare(x.dq.values, exact.dq.values), compare(x.dk.values, exact.dk.values);
        compare(x.dv.values, exact.dv.values), compare(x.dsink, exact.dsink);
        compare(x.dlog_prior, exact.dlog_prior), compare(x.dshift, exact.dshift);
    }
}

TEST(ReferenceScalar, FloatAgreesWithLongDouble) {
    expect_agrees_with_long_double<float>();
}
TEST(ReferenceScalar, DoubleAgreesWithLongDouble) {
    expect_agrees_with_long_double<double>();
}

}  // namespace
}  // namespace hone::reference
