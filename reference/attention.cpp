// attention.cpp owns the plain loops of attention: the definition that the kernels are checked against, and
// the naive code that they are timed against.
#include "reference/attention.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "reference/scores.hpp"

namespace hone::reference {
namespace {

// Query i of a batch entry, and a head, or a group of them.
struct At {
    int64_t b, h, i;
};

// y += a x
template <class S>
void add_scaled(S a, const S* x, S* y, int64_t n) {
    for (int64_t d = 0; d < n; ++d) y[d] += a * x[d];
}

template <class S>
void fill_zero(const hone_tensor& t, int64_t batch, int64_t heads, int64_t rows, int64_t features) {
    if (!t.data) return;
    for (int64_t b = 0; b < batch; ++b)
        for (int64_t h = 0; h < heads; ++h)
            for (int64_t i = 0; i < rows; ++i) std::fill_n(row<S>(t, b, h, i), features, S(0));
}

template <class S>
void fill_zero(void* array, int64_t n) {
    if (array) std::fill_n(static_cast<S*>(array), n, S(0));
}

// o_i = sum of p_j v_j over the keys that query i sees.
template <class S>
void output_row(const hone_problem& problem, const hone_forward_args& args, int64_t b, int64_t h, int64_t i,
                const S* p) {
    S* o = row<S>(args.o, b, h, i);
    std::fill_n(o, problem.value_dim, S(0));
    for (int64_t j = 0; j < visible_keys(problem, i); ++j)
        add_scaled(p[j], row<S>(args.v, b, kv_head(problem, h), j), o, problem.value_dim);
}

// One row of the normaliser: query i of every head of a group. p has room for heads x keys.
template <class A, class S>
void forward_normalised_row(const hone_problem& problem, const hone_forward_args& args, int64_t b,
                            int64_t group, int64_t i, S* p) {
    const int64_t heads = heads_per_group<A>(problem);
    const int64_t keys = visible_keys(problem, i);
    const auto [sink, largest] = group_logits<A>(problem, args, b, group, i, p);
    S maximum = sink;
    for (int64_t n = 0; n < heads * keys; ++n) maximum = std::max(maximum, p[n]);

    // Where nothing is above -infinity, any finite origin gives the normaliser 0.
    const bool exponential = maximum <= S(A::exponential_below);
    const S origin = exponential && maximum != -infinity<S> ? maximum : 0;
    S normaliser = std::exp(sink - origin);
    for (int64_t n = 0; n < heads * keys; ++n) {
        p[n] = exponential ? math::exp(p[n] - origin) : A::phi(p[n]);
        normaliser += p[n];
    }
    if (normaliser != 0)
        for (int64_t n = 0; n < heads * keys; ++n) p[n] /= normaliser;

    for (int64_t h = 0; h < heads; ++h) output_row(problem, args, b, group * heads + h, i, p + h * keys);
    if (args.lse)
        static_cast<S*>(args.lse)[lse_index<A>(problem, b, group, i)] =
            largest + (origin + std::log(normaliser));
}

template <class A, class S>
void forward_element_wise_row(const hone_problem& problem, const hone_forward_args& args, int64_t b,
                              int64_t h, int64_t i, S* p) {
    const int64_t keys = visible_keys(problem, i);
    const S w = weight<A, S>(problem, keys);
    const S shift = bias<A, S>(args, h, keys);
    score_row(problem, args, b, h, i, p);
    for (int64_t j = 0; j < keys; ++j) p[j] = w * A::phi(p[j] + shift);
    output_row(problem, args, b, h, i, p);
}

// dp[j] = do_i . v_j, the gradient of the weight, for the keys that query i sees.
template <class S>
void weight_gradient_row(const hone_problem& problem, const hone_backward_args& args, int64_t b, int64_t h,
                         int64_t i, S* dp) {
    const S* dout = row<S>(args.dout, b, h, i);
    for (int64_t j = 0; j < visible_keys(problem, i); ++j)
        dp[j] = dot(dout, row<S>(args.v, b, kv_head(problem, h), j), problem.value_dim);
}

// Adds what query i of head h gives to the gradients; ds is the gradient of its scores.
template <class A, class S>
void add_gradients_row(const hone_problem& problem, const hone_backward_args& args, const At& at, const S* p,
                       const S* ds) {
    const auto [b, h, i] = at;
    const int64_t keys = visible_keys(problem, i), g = kv_head(problem, h);
    const S c = scale<S>(problem);
    if (args.dv.data)
        for (int64_t j = 0; j < keys; ++j)
            add_scaled(p[j], row<S>(args.dout, b, h, i), row<S>(args.dv, b, g, j), problem.value_dim);
    if (args.dq.data)
        for (int64_t j = 0; j < keys; ++j)
            add_scaled(c * ds[j], row<S>(args.k, b, g, j), row<S>(args.dq, b, h, i), problem.key_dim);
    if (args.dk.data)
        for (int64_t j = 0; j < keys; ++j)
            add_scaled(c * ds[j], row<S>(args.q, b, h, i), row<S>(args.dk, b, g, j), problem.key_dim);

    void* dbias = A::takes_log_prior ? args.dlog_prior : A::takes_shift ? args.dshift : nullptr;
    if (dbias)
        for (int64_t j = 0; j < keys; ++j) static_cast<S*>(dbias)[h] += ds[j];
}

// p has room for heads x keys, ds for a row of keys.
template <class A, class S>
void backward_normalised_row(const hone_problem& problem, const hone_backward_args& args, const At& at, S* p,
                             S* ds) {
    const auto [b, group, i] = at;
    const int64_t heads = heads_per_group<A>(problem);
    const int64_t keys = visible_keys(problem, i);
    const int64_t index = lse_index<A>(problem, b, group, i);
    S lse = static_cast<const S*>(args.lse)[index];
    if (lse == -infinity<S>) return;  // nothing took weight: o is the constant 0

    // Delta - dL. A row that sees no key has a constant o.
    S delta = -entry(args.dlse, index, S(0));
    for (int64_t h = group * heads; keys > 0 && h < (group + 1) * heads; ++h)
        delta += dot(row<S>(args.dout, b, h, i), row<S>(args.o, b, h, i), problem.value_dim);

    const auto [sink, largest] = group_logits<A>(problem, args, b, group, i, p);
    lse = std::abs(largest) < kHugeLogit<S> ? lse - largest : log_sum_exp(sink, p, heads * keys);
    if (A::takes_sink && args.dsink) static_cast<S*>(args.dsink)[group] -= std::exp(sink - lse) * delta;

    // p = e^(s - lse), or phi(s) / normaliser
    const bool exponential = lse <= S(A::exponential_below);
    const S normaliser = std::exp(lse);
    for (int64_t h = group * heads; h < (group + 1) * heads; ++h, p += keys) {
        weight_gradient_row(problem, args, b, h, i, ds);
        for (int64_t j = 0; j < keys; ++j) {
            const math::Dual<S> score(p[j], 1);
            const auto [value, slope] = exponential ? math::exp(score - lse) : A::phi(score) / normaliser;
            p[j] = value;
            ds[j] = slope * (ds[j] - delta);
        }
        add_gradients_row<A>(problem, args, {b, h, i}, p, ds);
    }
}

template <class A, class S>
void backward_element_wise_row(const hone_problem& problem, const hone_backward_args& args, const At& at,
                               S* p, S* ds) {
    const auto [b, h, i] = at;
    const int64_t keys = visible_keys(problem, i);
    const S w = weight<A, S>(problem, keys);
    const S shift = bias<A, S>(args, h, keys);
    score_row(problem, args, b, h, i, p);
    weight_gradient_row(problem, args, b, h, i, ds);
    for (int64_t j = 0; j < keys; ++j) {
        const auto [value, slope] = A::phi(math::Dual<S>(p[j] + shift, 1));
        p[j] = w * value;
        ds[j] = w * slope * ds[j];
    }
    add_gradients_row<A>(problem, args, {b, h, i}, p, ds);
}

// Calls body(b, group, i) for every row, a group being the heads that share a normaliser.
template <class A, class Body>
void for_each_row(const hone_problem& problem, Body&& body) {
    for (int64_t b = 0; b < problem.batch; ++b)
        for (int64_t group = 0; group < problem.query_heads / heads_per_group<A>(problem); ++group)
            for (int64_t i = 0; i < problem.queries; ++i) body(b, group, i);
}

}  // namespace

template <class S>
void forward(const hone_problem& problem, const hone_forward_args& args) {
    visit(problem.activation, [&]<class A>(A) {
        std::vector<S> p(heads_per_group<A>(problem) * problem.keys);
        for_each_row<A>(problem, [&](int64_t b, int64_t group, int64_t i) {
            if constexpr (A::normalised)
                forward_normalised_row<A>(problem, args, b, group, i, p.data());
            else
                forward_element_wise_row<A>(problem, args, b, group, i, p.data());
        });
    });
}

template <class S>
void backward(const hone_problem& problem, const hone_backward_args& args) {
    fill_zero<S>(args.dq, problem.batch, problem.query_heads, problem.queries, problem.key_dim);
    fill_zero<S>(args.dk, problem.batch, problem.kv_heads, problem.keys, problem.key_dim);
    fill_zero<S>(args.dv, problem.batch, problem.kv_heads, problem.keys, problem.value_dim);
    fill_zero<S>(args.dlog_prior, problem.query_heads);
    fill_zero<S>(args.dshift, problem.query_heads);
    visit(problem.activation, [&]<class A>(A) {
        fill_zero<S>(args.dsink, problem.query_heads / heads_per_group<A>(problem));
        std::vector<S> p(heads_per_group<A>(problem) * problem.keys), ds(problem.keys);
        for_each_row<A>(problem, [&](int64_t b, int64_t group, int64_t i) {
            if constexpr (A::normalised)
                backward_normalised_row<A>(problem, args, {b, group, i}, p.data(), ds.data());
            else
                backward_element_wise_row<A>(problem, args, {b, group, i}, p.data(), ds.data());
        });
    });
}

template void forward<float>(const hone_problem&, const hone_forward_args&);
template void forward<double>(const hone_problem&, const hone_forward_args&);
template void forward<long double>(const hone_problem&, const hone_forward_args&);
template void backward<float>(const hone_problem&, const hone_backward_args&);
template void backward<double>(const hone_problem&, const hone_backward_args&);
template void backward<long double>(const hone_problem&, const hone_backward_args&);

}  // namespace hone::reference
