// row_constants.hpp: the start of backward: the constants of each row, and the gradient of the sink.
#pragma once

#include "kernel/activations.hpp"
#include "kernel/masked.hpp"
#include "kernel/rows.hpp"

namespace hone {
namespace {

// L of one head by itself, from its scores.
template <class T>
double lse_of_head(const BackwardCall<T>& call, std::int64_t batch, const QueryHead& at) {
    const Extents& n = call.n;
    const Range keys = keys_seen(call.visibility, at.query);
    LogSum<double> sum;
    for (std::int64_t j = keys.begin; j < keys.end; ++j) {
        if (call.mask.data && count_shown(call.mask, batch, at, {j, j + 1}) == 0) continue;
        T s =
            dot(call.q, {batch, at.head, at.query}, call.k, {batch, at.head / n.heads_per_kv, j}, n.key_dim);
        before_activation<T>(call.stages, {batch, at.head, at.query, j, {0, 1}}, call.parameter.scale, &s,
                             nullptr);
        sum.add(s);
    }
    return sum.value();
}

// Where the largest log-prior or sink of a group is this large, L as backward is given it is rounded too
// coarsely to recover the weights from it.
inline constexpr double kHugeLogit = 1024;

template <class T>
bool has_huge_logit(const BackwardCall<T>& call, std::int64_t group) {
    const T largest =
        largest_logit(call.parameter, group, call.n.group_heads, [](std::int64_t) { return true; });
    return largest >= T(kHugeLogit) || (largest <= T(-kHugeLogit) && largest != -infinity<T>());
}

// L of a row of a group from the scores, less the largest logit, where one is huge.
template <class T>
[[gnu::noinline, gnu::cold]] RowLse<T> lse_from_scores(const BackwardCall<T>& call, std::int64_t batch,
                                                       std::int64_t group, std::int64_t query) {
    const auto logits = row_logits<double>(call.parameter, group, call.n.group_heads, [&](std::int64_t head) {
        return lse_of_head(call, batch, {query, head});
    });
    return {logits.sum().value(), logits.largest()};
}

// Whether a row sees a key that neither the mask nor a stage hides.
template <class T>
[[gnu::noinline, gnu::cold]] bool sees_any(const BackwardCall<T>& call, std::int64_t batch,
                                           const QueryHead& at) {
    const Range keys = keys_seen(call.visibility, at.query);
    ScoreRow row = {batch, at.head, at.query, 0, keys};
    if (call.mask.data) row = with_mask(call.mask, row);
    return !empty(next_seen(call.stages, row, keys.begin));
}

// What is subtracted from dp: delta_i = sum over the group's heads of do_i . o_i, less dlse_i. Where no key
// takes weight, o is the constant 0, whatever do is.
template <class T>
inline double delta_of(const BackwardCall<T>& call, std::int64_t batch, std::int64_t group,
                       std::int64_t query) {
    const Extents& n = call.n;
    const RowIndex at = {batch, group, query};
    double delta = 0;
    if (count_seen(call.visibility, query) > 0 && number_of(call.lse, at) != -infinity<T>())
        for (std::int64_t head = group * n.group_heads; head < (group + 1) * n.group_heads; ++head) {
            const T of_head = dot(call.dout, {batch, head, query}, call.o, {batch, head, query}, n.value_dim);
            if (!__builtin_isnan(of_head) || sees_any(call, batch, {query, head})) delta += of_head;
        }
    return call.dlse.data ? delta - number_of(call.dlse, at) : delta;
}

template <class T>
void row_constants(const BackwardCall<T>& call, const GroupTask& task) {
    const Extents& n = call.n;
    const auto [batch, group, queries] = task;
    const RowFunctions<T>& activation = kActivations<T>[call.activation];
    auto* const constants = reinterpret_cast<RowConstants<T>*>(call.workspace + call.row_constants);
    const bool normalised = activation.lse != nullptr;
    const bool huge = activation.takes_log_prior && has_huge_logit(call, group);
    double dsink = 0;
    for (std::int64_t query = queries.begin; query < queries.end; ++query) {
        double delta = 0;
        RowLse<T> row = {};
        if (normalised) {
            delta = delta_of(call, batch, group, query);
            const T lse = number_of(call.lse, {batch, group, query});
            row = huge && lse != -infinity<T>() ? lse_from_scores(call, batch, group, query)
                                                : RowLse<T>{lse, 0};
        }
        if (call.wants_dsink) dsink -= row.sink_share(call.parameter.sink[group]) * delta;
        for (std::int64_t head = group * n.group_heads; head < (group + 1) * n.group_heads; ++head) {
            RowConstants<T>& of_row = constants[row_index(n, batch, {query, head})];
            const std::int64_t key_count = key_count_of<T>(call, batch, {query, head});
            of_row = activation.backward_constants(call.parameter, row, head, key_count);
            of_row.delta = static_cast<T>(delta);
        }
    }
    if (!call.wants_dsink) return;
    auto* const parts = reinterpret_cast<double*>(call.workspace + call.dsink);
    const std::int64_t query_block = queries.begin / call.query_block;
    parts[(batch * group_count(n) + group) * call.query_blocks + query_block] = dsink;
}

}  // namespace
}  // namespace hone
