// delta.hpp: the start of backward: the constants of each row.
#pragma once

#include "kernel/joint.hpp"

namespace hone {
namespace {

// L of one head by itself, from its scores.
template <class T>
double lse_of_head(const BackwardCall<T>& call, std::int64_t batch, std::int64_t head, std::int64_t query) {
    const Extents& n = call.n;
    const T* q = at(call.q, batch, head, query);
    LogSum<double> sum;
    for (std::int64_t j = 0; j < keys_seen(n, query); ++j) {
        const T* k = at(call.k, batch, head / n.heads_per_kv, j);
        sum.add(call.parameter.scale * dot(q, k, n.key_dim));
    }
    return sum.value();
}

// Where the largest log-prior or sink of a group is this large, L as backward is given it is rounded too
// coarsely to recover the weights from it.
inline constexpr double kHugeLogit = 1024;

template <class T>
bool has_huge_logit(const BackwardCall<T>& call, std::int64_t group) {
    const T largest =
        largest_logit(call.parameter, group, call.n.joint_heads, [](std::int64_t) { return true; });
    return largest >= T(kHugeLogit) || (largest <= T(-kHugeLogit) && largest != -infinity<T>());
}

// L of a row of a group, less the largest log-prior or sink where that is huge; as given, and 0, where not.
template <class T>
struct RowLse {
    double lse;
    T largest;

    // p = e^(s + shift), of a head with this log-prior.
    T shift(T prior) const {
        return static_cast<T>(lse == -infinity<double>() ? lse : below<double>(prior, largest) - lse);
    }
    double sink_share(T sink) const { return share_of(below<double>(sink, largest), lse); }
};

// The same from the scores, where a logit is huge.
template <class T>
[[gnu::noinline, gnu::cold]] RowLse<T> lse_from_scores(const BackwardCall<T>& call, std::int64_t batch,
                                                       std::int64_t group, std::int64_t query) {
    const auto logits = row_logits<double>(call.parameter, group, call.n.joint_heads, [&](std::int64_t head) {
        return lse_of_head(call, batch, head, query);
    });
    return {logits.sum().value(), logits.largest()};
}

// The constants of one row of a normalised activation but delta. Where no maximum is subtracted, the weight
// is e^(-L/2), which p takes twice; a row that is taken as exponential has a shift, as other rows have none.
template <class T, class Act>
inline RowConstants<T> normalised_constants(const BackwardCall<T>& call, const RowLse<T>& row,
                                            std::int64_t head) {
    if constexpr (!Act::subtracts_maximum)
        if (!(row.lse < Act::exponential_below)) return {0, static_cast<T>(natural_exp(-row.lse / 2)), 0};
    return {row.shift(prior_of(call.parameter, head)), 1, 0};
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
    const bool huge = Act::takes_log_prior && has_huge_logit(call, group);
    double dsink = 0;
    for (std::int64_t query = first; query < last; ++query) {
        const std::int64_t lse_index = (batch * groups + group) * n.queries + query;
        double delta = 0;
        RowLse<T> row = {};
        if constexpr (Act::normalised) {
            delta = delta_of(call, batch, group, query, lse_index);
            const T lse = call.lse[lse_index];
            row = huge && lse != -infinity<T>() ? lse_from_scores(call, batch, group, query)
                                                : RowLse<T>{lse, 0};
        }
        if constexpr (Act::takes_sink)
            if (call.dsink) dsink -= row.sink_share(call.parameter.sink[group]) * delta;
        for (std::int64_t head = group * n.joint_heads; head < (group + 1) * n.joint_heads; ++head) {
            RowConstants<T> constant;
            if constexpr (Act::normalised)
                constant = normalised_constants<T, Act>(call, row, head);
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
