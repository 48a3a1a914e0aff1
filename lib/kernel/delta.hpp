// delta.hpp: the start of backward: the constants of each row.
#pragma once

#include "kernel/rows.hpp"

namespace hone {
namespace {

// A row of one query head.
struct RowIndex {
    std::int64_t batch, head, query;
};

// L of one head by itself, from its scores. Backward is given that of the group, which a log-prior of +inf
// takes to infinity.
template <class T>
[[gnu::noinline, gnu::cold]] T lse_of_head(const BackwardCall<T>& call, RowIndex at_row) {
    const Extents& n = call.n;
    const T* q = at(call.q, at_row.batch, at_row.head, at_row.query);
    double most = -infinity<double>(), sum = 0;
    for (std::int64_t j = 0; j < keys_seen(n, at_row.query); ++j) {
        const T* k = at(call.k, at_row.batch, at_row.head / n.heads_per_kv, j);
        const double score = call.parameter.scale * dot(q, k, n.key_dim);
        if (score > most)
            sum = sum * natural_exp(most - score) + 1, most = score;
        else
            sum += share_of(score, most);
    }
    return static_cast<T>(most + natural_log(sum));
}

// What is added to the scores of one row of the exponential family: p = e^(s + shift).
template <class T, class Act>
inline T exponential_shift(const BackwardCall<T>& call, RowIndex at_row, T lse) {
    const T* prior = Act::takes_log_prior ? call.parameter.log_prior : nullptr;
    if (lse == -infinity<T>()) return lse;
    if (!prior) return -lse;
    if (prior[at_row.head] != infinity<T>()) return prior[at_row.head] - lse;
    // A prior of +inf takes all weight (as if alone, where several heads have one), unless all scores of the
    // head are -inf.
    return lse == infinity<T>() ? -lse_of_head(call, at_row) : lse - infinity<T>();
}

// The constants of one row of a normalised activation but delta. Where no maximum is subtracted, the weight
// is e^(-L/2), which p takes twice; a row that is taken as exponential has a shift, as other rows have none.
template <class T, class Act>
inline RowConstants<T> normalised_constants(const BackwardCall<T>& call, RowIndex at_row, T lse) {
    if constexpr (Act::subtracts_maximum) {
        return {exponential_shift<T, Act>(call, at_row, lse), 1, 0};
    } else {
        if (lse < static_cast<T>(Act::exponential_below))
            return {exponential_shift<T, Act>(call, at_row, lse), 1, 0};
        const T weight = natural_exp(-lse / 2);
        return {0, weight * weight == infinity<T>() ? T(0) : weight, 0};  // where every phi has vanished
    }
}

// delta_i = sum over the group's heads of do_i . o_i, less dlse_i: what dp is compared with.
template <class T>
inline double delta_of(const BackwardCall<T>& call, std::int64_t batch, std::int64_t group,
                       std::int64_t query, std::int64_t lse_index) {
    const Extents& n = call.n;
    double delta = 0;
    if (keys_seen(n, query) > 0)  // else o is the constant 0, whatever do is
        for (std::int64_t head = group * n.joint_heads; head < (group + 1) * n.joint_heads; ++head)
            delta += dot(at(call.dout, batch, head, query), at(call.o, batch, head, query), n.value_dim);
    return call.dlse ? delta - call.dlse[lse_index] : delta;
}

template <class T, class Act>
void backward_rows(const BackwardCall<T>& call, std::int64_t batch, std::int64_t group, std::int64_t chunk) {
    const Extents& n = call.n;
    const std::int64_t groups = n.query_heads / n.joint_heads;
    const std::int64_t first = chunk * call.row_chunk, last = smaller(first + call.row_chunk, n.queries);
    double dsink = 0;
    for (std::int64_t query = first; query < last; ++query) {
        const std::int64_t lse_index = (batch * groups + group) * n.queries + query;
        double delta = 0;
        if constexpr (Act::normalised) delta = delta_of(call, batch, group, query, lse_index);
        if constexpr (Act::takes_sink)
            if (call.dsink) dsink -= share_of(call.parameter.sink[group], call.lse[lse_index]) * delta;
        for (std::int64_t head = group * n.joint_heads; head < (group + 1) * n.joint_heads; ++head) {
            RowConstants<T> constant;
            if constexpr (Act::normalised)
                constant = normalised_constants<T, Act>(call, {batch, head, query}, call.lse[lse_index]);
            else
                constant = row_constants<T, Act>(n, call.parameter, query, head);
            const std::int64_t i = (batch * n.query_heads + head) * n.queries + query;
            call.row_shift[i] = constant.shift;
            call.row_weight[i] = constant.weight;
            call.row_delta[i] = static_cast<T>(delta);
        }
    }
    if (call.dsink) call.dsink[(batch * groups + group) * call.row_chunks + chunk] = dsink;
}

}  // namespace
}  // namespace hone
