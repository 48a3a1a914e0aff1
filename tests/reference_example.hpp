// reference_example.hpp owns the examples that the tests of the reference run: random inputs of any shape
// and layout, with every output and gradient that their activation has.
#pragma once

#include <gtest/gtest.h>
#include <hone/hone.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "reference/activations.hpp"
#include "reference/attention.hpp"
#include "tests/problem.hpp"

namespace hone::reference {

using test::Mask, test::small_problem, test::set_mask;

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// The axes over which a tensor is broadcast.
struct Broadcast {
    bool batch = false, head = false, row = false;
};

struct Shape {
    int64_t batch = 2, query_heads = 4, kv_heads = 2, queries = 4, keys = 5, key_dim = 3, value_dim = 2;
    int64_t group_heads = 2;
    Mask mask = Mask::none;
    Broadcast q = {}, k = {}, v = {};
    // Without causality, the alignment of a window.
    bool bottom_right = false;
    int64_t diagonal_shift = 0;
    bool window = false;
    int64_t window_left = -1, window_right = -1;
    // Of each batch entry; offsets make the queries or keys ragged, and one row is of no entry after the
    // last.
    std::vector<int64_t> query_lengths = {}, key_lengths = {}, query_offsets = {}, key_offsets = {};
    std::function<bool(int64_t b, int64_t h, int64_t i, int64_t j)> shows = {};  // a mask

    int64_t q_batch() const { return query_offsets.empty() ? batch : 1; }
    int64_t k_batch() const { return key_offsets.empty() ? batch : 1; }
    int64_t q_rows() const { return query_offsets.empty() ? queries : query_offsets.back() + 1; }
    int64_t k_rows() const { return key_offsets.empty() ? keys : key_offsets.back() + 1; }
};

inline void set_shape(hone_problem& problem, const Shape& s) {
    set_mask(problem, s.mask);
    if (s.bottom_right) problem.alignment = HONE_BOTTOM_RIGHT;
    problem.batch = s.batch;
    problem.query_heads = s.query_heads, problem.kv_heads = s.kv_heads;
    problem.queries = s.queries, problem.keys = s.keys;
    problem.key_dim = s.key_dim, problem.value_dim = s.value_dim;
    problem.diagonal_shift = s.diagonal_shift;
    problem.window_left = s.window_left, problem.window_right = s.window_right;
    if (s.window) problem.flags |= HONE_WINDOW;
    const auto place = [&](const std::vector<int64_t>& values, uint32_t flag, hone_const_integers& to) {
        if (values.empty()) return;
        problem.flags |= flag;
        to.data = values.data();
    };
    place(s.query_lengths, HONE_QUERY_LENGTHS, problem.query_lengths);
    place(s.key_lengths, HONE_KEY_LENGTHS, problem.key_lengths);
    place(s.query_offsets, HONE_RAGGED_QUERIES, problem.query_offsets);
    place(s.key_offsets, HONE_RAGGED_KEYS, problem.key_offsets);
    problem.total_queries = s.q_rows(), problem.total_keys = s.k_rows();
}

template <class S>
struct Tensor {
    std::vector<S> values;
    hone_tensor view;

    Tensor(int64_t batch, int64_t heads, int64_t rows, int64_t features, Broadcast broadcast = {}) {
        if (broadcast.row) rows = 1;
        if (broadcast.head) heads = 1;
        if (broadcast.batch) batch = 1;
        values.assign(batch * heads * rows * features, std::numeric_limits<S>::quiet_NaN());
        view = hone_bhnd(values.data(), heads, rows, features);
        if (broadcast.row) view.row_stride = 0;
        if (broadcast.head) view.head_stride = 0;
        if (broadcast.batch) view.batch_stride = 0;
    }
    Tensor(const Tensor&) = delete;

    S* row(int64_t b, int64_t h, int64_t i) {
        return values.data() + b * view.batch_stride + h * view.head_stride + i * view.row_stride;
    }
};

// A problem, random inputs in [-1, 1] and every parameter that the activation takes; outputs start as NaN.
template <class S>
struct Example {
    Shape shape;
    hone_activation_info info;
    hone_problem problem = small_problem();
    Tensor<S> q, k, v, o, dout, dq, dk, dv;
    std::vector<S> sink, log_prior, shift, lse, dlse, dsink, dlog_prior, dshift;
    std::vector<unsigned char> mask_bytes;
    hone_const_scores mask = {};

    Example(int activation, const Shape& s, unsigned seed = 1)
        : shape(s),
          info(describe(activation)),
          q(s.q_batch(), s.query_heads, s.q_rows(), s.key_dim, s.q),
          k(s.k_batch(), s.kv_heads, s.k_rows(), s.key_dim, s.k),
          v(s.k_batch(), s.kv_heads, s.k_rows(), s.value_dim, s.v),
          o(s.q_batch(), s.query_heads, s.q_rows(), s.value_dim),
          dout(s.q_batch(), s.query_heads, s.q_rows(), s.value_dim),
          dq(s.q_batch(), s.query_heads, s.q_rows(), s.key_dim, s.q),
          dk(s.k_batch(), s.kv_heads, s.k_rows(), s.key_dim, s.k),
          dv(s.k_batch(), s.kv_heads, s.k_rows(), s.value_dim, s.v) {
        problem.activation = activation;
        set_shape(problem, shape);
        if (s.shows) make_mask();
        if (info.joint) problem.group_heads = s.group_heads;
        if (info.takes_softmax_n) problem.softmax_n = 1.5;

        const int64_t groups = info.joint ? s.query_heads / s.group_heads : s.query_heads;
        if (info.takes_sink) sink.resize(groups), dsink.resize(groups);
        if (info.takes_log_prior) log_prior.resize(s.query_heads), dlog_prior.resize(s.query_heads);
        if (info.takes_shift) shift.resize(s.query_heads), dshift.resize(s.query_heads);
        if (info.normalised) lse.resize(s.q_batch() * groups * s.q_rows()), dlse.resize(lse.size());

        std::mt19937_64 random(seed);
        for (auto* values : {&q.values, &k.values, &v.values, &dout.values, &sink, &log_prior, &shift, &dlse})
            for (S& x : *values) x = S(random() >> 11) * 0x1p-52 - 1;
        for (auto* values : {&lse, &dsink, &dlog_prior, &dshift}) std::ranges::fill(*values, S(nan));
    }

    void make_mask() {
        const Shape& s = shape;
        for (int64_t b = 0; b < s.batch; ++b)
            for (int64_t h = 0; h < s.query_heads; ++h)
                for (int64_t i = 0; i < s.queries; ++i)
                    for (int64_t j = 0; j < s.keys; ++j) mask_bytes.push_back(s.shows(b, h, i, j) ? 2 : 0);
        mask = hone_const_bhqk(mask_bytes.data(), s.batch, s.query_heads, s.queries, s.keys);
    }

    static S* data_or_null(std::vector<S>& values) { return values.empty() ? nullptr : values.data(); }

    void forward() {
        hone_forward_args args = {};
        args.q = hone_const(q.view), args.k = hone_const(k.view), args.v = hone_const(v.view);
        args.o = o.view;
        args.sink = data_or_null(sink);
        args.log_prior = data_or_null(log_prior);
        args.shift = data_or_null(shift);
        args.lse = data_or_null(lse);
        args.mask = mask;
        reference::forward<S>(problem, args);
    }

    hone_backward_args backward_args() {
        hone_backward_args args = {};
        args.q = hone_const(q.view), args.k = hone_const(k.view), args.v = hone_const(v.view);
        args.dout = hone_const(dout.view);
        if (info.normalised) args.o = hone_const(o.view);
        args.sink = data_or_null(sink);
        args.log_prior = data_or_null(log_prior);
        args.shift = data_or_null(shift);
        args.lse = data_or_null(lse);
        args.dlse = data_or_null(dlse);
        args.dq = dq.view, args.dk = dk.view, args.dv = dv.view;
        args.dsink = data_or_null(dsink);
        args.dlog_prior = data_or_null(dlog_prior);
        args.dshift = data_or_null(dshift);
        args.mask = mask;
        return args;
    }

    void backward() { reference::backward<S>(problem, backward_args()); }

    void run() {
        forward();
        backward();
    }

    // The scalar of which dout and dlse are the gradients. The lse of a row without weight is a constant.
    S loss() {
        std::ranges::fill(o.values, 0), std::ranges::fill(lse, -S(inf));  // also rows of no batch entry
        forward();
        S sum = 0;
        for (size_t n = 0; n < o.values.size(); ++n) sum += o.values[n] * dout.values[n];
        for (size_t n = 0; n < dlse.size(); ++n)
            if (lse[n] != -S(inf)) sum += lse[n] * dlse[n];
        return sum;
    }
};

// A mask that hides a third of the keys, others in each row.
inline bool by_thirds(int64_t b, int64_t h, int64_t i, int64_t j) {
    return (b + 2 * h + 3 * i + 5 * j + i * j) % 3 != 0;
}

inline std::string activation_name(int activation) {
    return activation_names[activation];
}

// Equal where it is not finite, otherwise within the tolerance relative to max(1, |expected|).
template <class S>
void expect_near(const std::vector<S>& actual, const std::vector<S>& expected, const std::string& what,
                 S tolerance = 64 * std::numeric_limits<S>::epsilon()) {
    ASSERT_EQ(actual.size(), expected.size()) << what;
    for (size_t n = 0; n < actual.size(); ++n) {
        if (std::isfinite(expected[n]))
            EXPECT_NEAR(actual[n], expected[n], tolerance * std::max(S(1), std::abs(expected[n])))
                << what << "[" << n << "]";
        else
            EXPECT_EQ(actual[n], expected[n]) << what << "[" << n << "]";
    }
}

template <class S>
void expect_same_outputs(const Example<S>& actual, const Example<S>& expected) {
    expect_near(actual.o.values, expected.o.values, "o");
    expect_near(actual.lse, expected.lse, "lse");
    expect_near(actual.dq.values, expected.dq.values, "dq");
    expect_near(actual.dk.values, expected.dk.values, "dk");
    expect_near(actual.dv.values, expected.dv.values, "dv");
}

// One query row of one head with these scores and no parameters; v is the identity, so that o is p.
struct Scored : Example<double> {
    Scored(int activation, const std::vector<double>& scores)
        : Example(activation, {.batch = 1,
                               .query_heads = 1,
                               .kv_heads = 1,
                               .queries = 1,
                               .keys = int64_t(scores.size()),
                               .key_dim = 1,
                               .value_dim = int64_t(scores.size()),
                               .group_heads = 1}) {
        q.values = {1};
        std::ranges::copy(scores, k.values.begin());
        for (size_t n = 0; n < v.values.size(); ++n) v.values[n] = n % (scores.size() + 1) == 0;
        for (auto* parameter : {&sink, &log_prior, &shift}) parameter->clear();
        problem.softmax_n = 1;
    }
};

inline void expect_weights(int activation, const std::vector<double>& scores, auto weight) {
    Scored x(activation, scores);
    x.forward();
    std::vector<double> expected;
    for (double s : scores) expected.push_back(weight(s));
    expect_near(x.o.values, expected, activation_name(activation));
}

}  // namespace hone::reference
