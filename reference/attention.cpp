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

// y += a x
template <class S>
void add_scaled(S a, const S* x, S* y, int64_t n) {
    for (int64_t d = 0; d < n; ++d) y[d] += a * x[d];
}

// The rows of every batch entry, padding too: entry_rows is queries_of or keys_of.
template <class S, class EntryRows>
void fill_zero(const hone_problem& problem, const hone_tensor& t, EntryRows&& entry_rows, int64_t heads,
               int64_t features) {
    if (!t.data) return;
    for (int64_t b = 0; b < problem.batch; ++b) {
        const Segment rows = entry_rows(problem, b);
        for (int64_t h = 0; h < heads; ++h)
            for (int64_t i = 0; i < rows.rows; ++i) std::fill_n(row<S>(t, rows, h, i), features, S(0));
    }
}

template <class S>
void fill_zero(void* array, int64_t n) {
    if (array) std::fill_n(static_cast<S*>(array), n, S(0));
}

// o_i = sum of p_j v_j over the keys that query i sees.
template <class S>
void output_row(const hone_problem& problem, const hone_forward_args& args, const At& at,
                const SeenRow<S>& seen) {
    const int64_t g = kv_head(problem, at.h);
    S* o = row<S>(args.o, at.entry.queries, at.h, at.i);
    std::fill_n(o, problem.value_dim, S(0));
    for (int64_t n = 0; n < seen.size(); ++n)
        add_scaled(seen.p[n], row<S>(args.v, at.entry.keys, g, seen.keys[n]), o, problem.value_dim);
}

// One row of the normaliser: query i of every head of the group at.h.
template <class A, class S>
void forward_normalised_row(const hone_problem& problem, const hone_forward_args& args, const At& at,
                            std::vector<SeenRow<S>>& heads) {
    const auto [sink, largest] = group_logits<A>(problem, args, at, heads);
    S maximum = sink;
    for (const SeenRow<S>& seen : heads)
        for (const S s : seen.p) maximum = std::max(maximum, s);

    // Where nothing is above -infinity, any finite origin gives the normaliser 0.
    const bool exponential = maximum <= S(A::exponential_below);
    const S origin = exponential && maximum != -infinity<S> ? maximum : 0;
    S normaliser = std::exp(sink - origin);
    for (SeenRow<S>& seen : heads)
        for (S& p : seen.p) {
            p = exponential ? math::exp(p - origin) : A::phi(p);
            normaliser += p;
        }
    if (normaliser != 0)
        for (SeenRow<S>& seen : heads)
            for (S& p : seen.p) p /= normaliser;

    for (int64_t h = 0; h < std::ssize(heads); ++h)
        output_row(problem, args, {at.entry, at.h * std::ssize(heads) + h, at.i}, heads[h]);
    if (args.lse)
        static_cast<S*>(args.lse)[lse_index<A>(problem, at.entry.b, at.h, at.i)] =
            largest + (origin + std::log(normaliser));
}

template <class A, class S>
void forward_element_wise_row(const hone_problem& problem, const hone_forward_args& args, const At& at,
                              SeenRow<S>& seen) {
    score_row(problem, args, at, seen);
    const S w = weight<A, S>(problem, seen.size());
    const S shift = bias<A, S>(args, at.h, seen.size());
    for (S& p : seen.p) p = w * A::phi(p + shift);
    output_row(problem, args, at, seen);
}

// dp[n] = do_i . v_j, the gradient of the weight, for the keys j = keys[n] that query i sees.
template <class S>
void weight_gradient_row(const hone_problem& problem, const hone_backward_args& args, const At& at,
                         const std::vector<int64_t>& keys, std::vector<S>& dp) {
    const int64_t g = kv_head(problem, at.h);
    const S* dout = row<S>(args.dout, at.entry.queries, at.h, at.i);
    dp.resize(keys.size());
    for (size_t n = 0; n < keys.size(); ++n)
        dp[n] = dot(dout, row<S>(args.v, at.entry.keys, g, keys[n]), problem.value_dim);
}

// Adds what query i of head h gives to the gradients; ds is the gradient of its scores.
template <class A, class S>
void add_gradients_row(const hone_problem& problem, const hone_backward_args& args, const At& at,
                       const SeenRow<S>& seen, const std::vector<S>& ds) {
    const Segment &queries = at.entry.queries, &keys = at.entry.keys;
    const int64_t g = kv_head(problem, at.h);
    const S c = scale<S>(problem);
    if (args.dv.data)
        for (int64_t n = 0; n < seen.size(); ++n)
            add_scaled(seen.p[n], row<S>(args.dout, queries, at.h, at.i),
                       row<S>(args.dv, keys, g, seen.keys[n]), problem.value_dim);
    if (args.dq.data)
        for (int64_t n = 0; n < seen.size(); ++n)
            add_scaled(c * ds[n], row<S>(args.k, keys, g, seen.keys[n]), row<S>(args.dq, queries, at.h, at.i),
                       problem.key_dim);
    if (args.dk.data)
        for (int64_t n = 0; n < seen.size(); ++n)
            add_scaled(c * ds[n], row<S>(args.q, queries, at.h, at.i), row<S>(args.dk, keys, g, seen.keys[n]),
                       problem.key_dim);

    void* dbias = A::takes_log_prior ? args.dlog_prior : A::takes_shift ? args.dshift : nullptr;
    if (dbias)
        for (const S d : ds) static_cast<S*>(dbias)[at.h] += d;
}

template <class A, class S>
void backward_normalised_row(const hone_problem& problem, const hone_backward_args& args, const At& at,
                             std::vector<SeenRow<S>>& heads, std::vector<S>& ds) {
    const int64_t index = lse_index<A>(problem, at.entry.b, at.h, at.i), first = at.h * std::ssize(heads);
    S lse = static_cast<const S*>(args.lse)[index];
    if (lse == -infinity<S>) return;  // nothing took weight: o is the constant 0
    const auto [sink, largest] = group_logits<A>(problem, args, at, heads);

    // Delta - dL. A row that sees no key has a constant o.
    S delta = -entry(args.dlse, index, S(0));
    for (int64_t h = 0; h < std::ssize(heads); ++h)
        if (heads[h].size() > 0)
            delta += dot(row<S>(args.dout, at.entry.queries, first + h, at.i),
                         row<S>(args.o, at.entry.queries, first + h, at.i), problem.value_dim);

    lse = std::abs(largest) < kHugeLogit<S> ? lse - largest : log_sum_exp(sink, heads);
    if (A::takes_sink && args.dsink) static_cast<S*>(args.dsink)[at.h] -= std::exp(sink - lse) * delta;

    // p = e^(s - lse), or phi(s) / normaliser
    const bool exponential = lse <= S(A::exponential_below);
    const S normaliser = std::exp(lse);
    for (int64_t h = 0; h < std::ssize(heads); ++h) {
        SeenRow<S>& seen = heads[h];
        weight_gradient_row(problem, args, {at.entry, first + h, at.i}, seen.keys, ds);
        for (int64_t n = 0; n < seen.size(); ++n) {
            const math::Dual<S> score(seen.p[n], 1);
            const auto [value, slope] = exponential ? math::exp(score - lse) : A::phi(score) / normaliser;
            seen.p[n] = value;
            ds[n] = slope * (ds[n] - delta);
        }
        add_gradients_row<A>(problem, args, {at.entry, first + h, at.i}, seen, ds);
    }
}

template <class A, class S>
void backward_element_wise_row(const hone_problem& problem, const hone_backward_args& args, const At& at,
                               SeenRow<S>& seen, std::vector<S>& ds) {
    score_row(problem, args, at, seen);
    const S w = weight<A, S>(problem, seen.size());
    const S shift = bias<A, S>(args, at.h, seen.size());
    weight_gradient_row(problem, args, at, seen.keys, ds);
    for (int64_t n = 0; n < seen.size(); ++n) {
        const auto [value, slope] = A::phi(math::Dual<S>(seen.p[n] + shift, 1));
        seen.p[n] = w * value;
        ds[n] = w * slope * ds[n];
    }
    add_gradients_row<A>(problem, args, at, seen, ds);
}

// Calls body(at) for every row but those of padding, at.h being a group of heads that share a normaliser.
template <class A, class Body>
void for_each_row(const hone_problem& problem, Body&& body) {
    for (int64_t b = 0; b < problem.batch; ++b) {
        const Entry entry = entry_of(problem, b);
        for (int64_t group = 0; group < problem.query_heads / heads_per_group<A>(problem); ++group)
            for (int64_t i = 0; i < entry.queries.length; ++i) body(At{entry, group, i});
    }
}

// The lse of a row of padding is -infinity.
template <class A, class S>
void fill_padding_of_lse(const hone_problem& problem, S* lse) {
    if (!lse) return;
    for (int64_t b = 0; b < problem.batch; ++b) {
        const Segment rows = queries_of(problem, b);
        for (int64_t group = 0; group < problem.query_heads / heads_per_group<A>(problem); ++group)
            for (int64_t i = rows.length; i < rows.rows; ++i)
                lse[lse_index<A>(problem, b, group, i)] = -infinity<S>;
    }
}

}  // namespace

template <class S>
void forward(const hone_problem& problem, const hone_forward_args& args) {
    fill_zero<S>(problem, args.o, queries_of, problem.query_heads, problem.value_dim);
    visit(problem.activation, [&]<class A>(A) {
        fill_padding_of_lse<A>(problem, static_cast<S*>(args.lse));
        std::vector<SeenRow<S>> heads(heads_per_group<A>(problem));
        for_each_row<A>(problem, [&](const At& at) {
            if constexpr (A::normalised)
                forward_normalised_row<A>(problem, args, at, heads);
            else
                forward_element_wise_row<A>(problem, args, at, heads[0]);
        });
    });
}

template <class S>
void backward(const hone_problem& problem, const hone_backward_args& args) {
    fill_zero<S>(problem, args.dq, queries_of, problem.query_heads, problem.key_dim);
    fill_zero<S>(problem, args.dk, keys_of, problem.kv_heads, problem.key_dim);
    fill_zero<S>(problem, args.dv, keys_of, problem.kv_heads, problem.value_dim);
    fill_zero<S>(args.dlog_prior, problem.query_heads);
    fill_zero<S>(args.dshift, problem.query_heads);
    visit(problem.activation, [&]<class A>(A) {
        fill_zero<S>(args.dsink, problem.query_heads / heads_per_group<A>(problem));
        std::vector<SeenRow<S>> heads(heads_per_group<A>(problem));
        std::vector<S> ds;
        for_each_row<A>(problem, [&](const At& at) {
            if constexpr (A::normalised)
                backward_normalised_row<A>(problem, args, at, heads, ds);
            else
                backward_element_wise_row<A>(problem, args, at, heads[0], ds);
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
