// reference_batch_test.cpp proves that the reference computes each entry of a padded or ragged batch as if it
// were alone, and that nothing hidden is read or written.
#include <cmath>
#include <cstdint>

#include "reference/visibility.hpp"
#include "tests/reference_example.hpp"

namespace hone::reference {
namespace {

// Batches of three entries, of which some are empty.
struct Batch {
    const char* name;
    Shape shape;
};
const Batch batches[] = {
    {"query lengths", {.batch = 3, .query_lengths = {4, 0, 2}}},
    {"key lengths", {.batch = 3, .mask = Mask::bottom_right, .key_lengths = {0, 5, 3}}},
    {"both lengths",
     {.batch = 3, .window = true, .window_left = 1, .query_lengths = {1, 4, 3}, .key_lengths = {4, 2, 0}}},
    {"ragged queries", {.batch = 3, .mask = Mask::bottom_right, .query_offsets = {1, 3, 3, 7}}},
    {"ragged keys", {.batch = 3, .mask = Mask::top_left, .key_offsets = {0, 5, 5, 7}}},
    {"ragged",
     {.batch = 3,
      .bottom_right = true,
      .diagonal_shift = -1,
      .window = true,
      .window_left = 3,
      .window_right = 1,
      .query_offsets = {2, 6, 7, 7},
      .key_offsets = {3, 5, 10, 13}}},
    {"ragged with lengths and a mask",
     {.batch = 3,
      .mask = Mask::bottom_right,
      .query_lengths = {2, 0, 4},
      .key_lengths = {5, 1, 3},
      .query_offsets = {0, 3, 4, 8},
      .key_offsets = {1, 6, 8, 12},
      .shows = by_thirds}},
};

// The rows of an entry without its padding, heads outermost.
std::vector<double> rows_of(Tensor<double>& x, const Segment& rows, int64_t heads, int64_t features) {
    std::vector<double> values;
    for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < rows.length; ++i) {
            const double* row = x.row(rows.batch, h, rows.first + i);
            values.insert(values.end(), row, row + features);
        }
    return values;
}

std::vector<double> rows_of(const std::vector<double>& lse, const Segment& rows, int64_t groups) {
    std::vector<double> values;
    for (int64_t group = 0; !lse.empty() && group < groups; ++group)
        for (int64_t i = 0; i < rows.length; ++i)
            values.push_back(lse[(rows.batch * groups + group) * rows.tensor_rows + rows.first + i]);
    return values;
}

// Entry b as a problem of its own.
Shape shape_alone(const Example<double>& whole, int64_t b) {
    const Entry entry = entry_of(whole.problem, b);
    Shape s = whole.shape;
    s.batch = 1, s.queries = entry.queries.length, s.keys = entry.keys.length;
    for (auto* list : {&s.query_lengths, &s.key_lengths, &s.query_offsets, &s.key_offsets}) list->clear();
    if (whole.shape.shows)
        s.shows = [=, shows = whole.shape.shows](int64_t, int64_t h, int64_t i, int64_t j) {
            return shows(b, h, i, j);
        };
    return s;
}

TEST(ReferenceBatch, EachEntryIsAsIfItWereAlone) {
    for (const Batch& batch : batches)
        for (int activation = 0; activation < activation_count; ++activation) {
            Example<double> whole(activation, batch.shape);
            whole.run();
            const Shape& s = whole.shape;
            const int64_t groups = whole.info.joint ? s.query_heads / s.group_heads : s.query_heads;
            for (int64_t b = 0; b < s.batch; ++b) {
                SCOPED_TRACE(activation_name(activation) + ", " + batch.name + ", entry " +
                             std::to_string(b));
                const Entry entry = entry_of(whole.problem, b);
                Example<double> alone(activation, shape_alone(whole, b));
                const auto q = [&](auto& x) { return rows_of(x, entry.queries, s.query_heads, s.key_dim); };
                const auto o = [&](auto& x) { return rows_of(x, entry.queries, s.query_heads, s.value_dim); };
                const auto k = [&](auto& x) { return rows_of(x, entry.keys, s.kv_heads, s.key_dim); };
                const auto v = [&](auto& x) { return rows_of(x, entry.keys, s.kv_heads, s.value_dim); };
                const auto lse = [&](auto& x) { return rows_of(x, entry.queries, groups); };
                std::ranges::copy(q(whole.q), alone.q.values.begin());
                std::ranges::copy(k(whole.k), alone.k.values.begin());
                std::ranges::copy(v(whole.v), alone.v.values.begin());
                std::ranges::copy(o(whole.dout), alone.dout.values.begin());
                alone.dlse = lse(whole.dlse);
                alone.sink = whole.sink, alone.log_prior = whole.log_prior, alone.shift = whole.shift;
                alone.run();
                EXPECT_EQ(o(whole.o), alone.o.values);
                EXPECT_EQ(lse(whole.lse), alone.lse);
                EXPECT_EQ(q(whole.dq), alone.dq.values);
                EXPECT_EQ(k(whole.dk), alone.dk.values);
                EXPECT_EQ(v(whole.dv), alone.dv.values);
            }
        }
}

// Calls body(row, is it padding?) for every row of a tensor that is an entry's.
template <class EntryRows, class Body>
void for_each_entry_row(Example<double>& x, Tensor<double>& t, EntryRows entry_rows, int64_t heads,
                        Body&& body) {
    for (int64_t b = 0; b < x.shape.batch; ++b) {
        const Segment rows = entry_rows(x.problem, b);
        for (int64_t h = 0; h < heads; ++h)
            for (int64_t i = 0; i < rows.rows; ++i)
                body(t.row(rows.batch, h, rows.first + i), i >= rows.length);
    }
}

TEST(ReferenceBatch, PaddingIsZeroAndWhatIsOfNoEntryIsNotWritten) {
    for (const Batch& batch : batches)
        for (int activation = 0; activation < activation_count; ++activation) {
            SCOPED_TRACE(activation_name(activation) + ", " + batch.name);
            Example<double> x(activation, batch.shape);
            x.run();
            const auto check = [&](Tensor<double>& t, auto entry_rows, int64_t heads, int64_t features) {
                size_t written = 0;
                for_each_entry_row(x, t, entry_rows, heads, [&](double* row, bool padding) {
                    for (int64_t d = 0; d < features; ++d, ++written)
                        EXPECT_TRUE(padding ? row[d] == 0 : std::isfinite(row[d]));
                });
                EXPECT_EQ(std::ranges::count_if(t.values, [](double y) { return !std::isnan(y); }), written);
            };
            const Shape& s = x.shape;
            check(x.o, queries_of, s.query_heads, s.value_dim);
            check(x.dq, queries_of, s.query_heads, s.key_dim);
            check(x.dk, keys_of, s.kv_heads, s.key_dim);
            check(x.dv, keys_of, s.kv_heads, s.value_dim);
            const int64_t groups = s.query_heads / (x.info.joint ? s.group_heads : 1);
            int64_t written = 0;
            for (int64_t b = 0; b < s.batch && !x.lse.empty(); ++b) {
                const Segment rows = queries_of(x.problem, b);
                written += groups * rows.rows;
                for (int64_t group = 0; group < groups; ++group)
                    for (int64_t i = rows.length; i < rows.rows; ++i)
                        EXPECT_EQ(x.lse[(rows.batch * groups + group) * rows.tensor_rows + rows.first + i],
                                  -inf);
            }
            EXPECT_EQ(std::ranges::count_if(x.lse, [](double y) { return !std::isnan(y); }), written);
        }
}

// ---- What is hidden ----

// NaN in all rows of q, k, v, dout, o, lse and dlse that take no part.
void hide_with_nan(Example<double>& x) {
    const Shape& s = x.shape;
    std::vector<int64_t> keys;
    std::vector<bool> q_seen(x.q.values.size()), k_seen(x.k.values.size()), lse_seen(x.dlse.size(), false);
    const int64_t heads = x.info.joint ? s.group_heads : 1;
    for (int64_t b = 0; b < s.batch; ++b) {
        const Entry entry = entry_of(x.problem, b);
        for (int64_t h = 0; h < s.query_heads; ++h)
            for (int64_t i = 0; i < entry.queries.length; ++i) {
                list_keys(x.problem, x.mask, {entry, h, i}, keys);
                const Segment& rows = entry.queries;
                if (!x.dlse.empty())
                    lse_seen[(rows.batch * s.query_heads / heads + h / heads) * rows.tensor_rows +
                             rows.first + i] = true;
                if (!keys.empty()) q_seen[x.q.row(rows.batch, h, rows.first + i) - x.q.values.data()] = true;
                for (const int64_t j : keys)
                    k_seen[x.k.row(entry.keys.batch, h / (s.query_heads / s.kv_heads), entry.keys.first + j) -
                           x.k.values.data()] = true;
            }
    }
    const auto hide = [](std::vector<double>& values, int64_t features, const std::vector<bool>& seen,
                         int64_t seen_features) {
        for (size_t n = 0; n < values.size(); ++n)
            if (!seen[n / features * seen_features]) values[n] = nan;
    };
    hide(x.q.values, s.key_dim, q_seen, s.key_dim), hide(x.k.values, s.key_dim, k_seen, s.key_dim);
    hide(x.v.values, s.value_dim, k_seen, s.key_dim), hide(x.dout.values, s.value_dim, q_seen, s.key_dim);
    hide(x.dlse, 1, lse_seen, 1);
}

TEST(ReferenceBatch, NothingThatIsHiddenIsRead) {
    std::vector<Batch> hidings(std::begin(batches), std::end(batches));
    hidings.push_back({"a window", {.queries = 3, .window = true, .window_left = 0, .window_right = 1}});
    hidings.push_back({"a shift", {.queries = 6, .mask = Mask::top_left, .diagonal_shift = -2}});
    hidings.push_back({"a mask of keys", {.shows = [](auto, auto, auto, int64_t j) { return j % 2 == 0; }}});
    hidings.push_back({"a mask of rows", {.shows = [](auto, auto, int64_t i, auto) { return i % 2 == 0; }}});
    hidings.push_back({"a mask of heads", {.shows = [](auto, int64_t h, auto, auto) { return h > 2; }}});
    hidings.push_back({"a mask of all", {.shows = [](auto...) { return false; }}});
    for (const Batch& batch : hidings)
        for (int activation = 0; activation < activation_count; ++activation) {
            SCOPED_TRACE(activation_name(activation) + ", " + batch.name);
            Example<double> clean(activation, batch.shape), dirty(activation, batch.shape);
            hide_with_nan(dirty);
            EXPECT_TRUE(std::ranges::any_of(dirty.q.values, [](double x) { return std::isnan(x); }) ||
                        std::ranges::any_of(dirty.k.values, [](double x) { return std::isnan(x); }));
            for (Example<double>* x : {&clean, &dirty}) {
                for (auto* values : {&x->o.values, &x->dq.values, &x->dk.values, &x->dv.values})
                    std::ranges::fill(*values, 0);  // also rows of no entry
                std::ranges::fill(x->lse, 0);
                x->run();
            }
            EXPECT_EQ(dirty.o.values, clean.o.values);
            EXPECT_EQ(dirty.lse, clean.lse);
            EXPECT_EQ(dirty.dq.values, clean.dq.values);
            EXPECT_EQ(dirty.dk.values, clean.dk.values);
            EXPECT_EQ(dirty.dv.values, clean.dv.values);
            EXPECT_EQ(dirty.dsink, clean.dsink);
            EXPECT_EQ(dirty.dlog_prior, clean.dlog_prior);
            EXPECT_EQ(dirty.dshift, clean.dshift);
        }
}

TEST(ReferenceBatch, ANanReachesTheRowsThatTheMaskShowsItTo) {
    const auto shows = [](int64_t, int64_t h, int64_t i, int64_t) { return h == 1 || i >= 2; };
    for (int activation = 0; activation < activation_count; ++activation)
        for (const bool in_values : {false, true}) {
            Example<double> x(activation, {.batch = 1,
                                           .query_heads = 2,
                                           .kv_heads = 1,
                                           .queries = 5,
                                           .group_heads = 1,
                                           .mask = Mask::bottom_right,
                                           .shows = shows});
            (in_values ? x.v : x.k).row(0, 0, 4)[0] = nan;
            x.run();
            for (int64_t h = 0; h < 2; ++h)
                for (int64_t i = 0; i < 5; ++i)
                    EXPECT_EQ(std::isnan(x.o.row(0, h, i)[0]), i == 4) << activation_name(activation);
        }
}

TEST(ReferenceBatch, LengthsAndOffsetsMayBeOf32Bits) {
    Example<double> x(HONE_SOFTMAX, batches[6].shape), y(HONE_SOFTMAX, batches[6].shape);
    std::vector<std::vector<int32_t>> memory;
    for (hone_const_integers* array : {&y.problem.query_lengths, &y.problem.key_lengths,
                                       &y.problem.query_offsets, &y.problem.key_offsets}) {
        memory.emplace_back();
        const bool offsets = memory.size() > 2;
        for (int64_t n = 0; n < y.shape.batch + offsets; ++n)
            memory.back().push_back(static_cast<int32_t>(integer(*array, n)));
    }
    y.problem.query_lengths = {memory[0].data(), HONE_INT32, 0};
    y.problem.key_lengths = {memory[1].data(), HONE_INT32, 0};
    y.problem.query_offsets = {memory[2].data(), HONE_INT32, 0};
    y.problem.key_offsets = {memory[3].data(), HONE_INT32, 0};
    for (auto* example : {&x, &y}) {
        std::ranges::fill(example->o.values, 0);
        example->forward();
    }
    EXPECT_EQ(x.o.values, y.o.values);
}

}  // namespace
}  // namespace hone::reference
