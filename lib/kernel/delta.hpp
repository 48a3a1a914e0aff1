// delta.hpp: the start and the end of backward: the constants of each row, and the sum of the copies of dq.
#pragma once

#include "kernel/rows.hpp"

namespace hone {
namespace {

// The constants of one row of a normalised activation. The weight is e^(-L/2), which p takes twice, where no
// maximum is subtracted.
template <class T, class Act>
inline RowConstants<T> normalised_constants(const Parameters<T>& parameter, std::int64_t head, T lse) {
    if constexpr (Act::subtracts_maximum) {
        T logit = -lse;
        if (Act::takes_log_prior && parameter.log_prior) logit += parameter.log_prior[head];
        return {lse == -infinity<T>() ? lse : logit, 1, 0};
    } else {
        const T weight = natural_exp(-lse / 2);
        return {0, weight * weight == infinity<T>() ? T(0) : weight, 0};  // where every phi has vanished
    }
}

// delta_i = sum over the group's heads of do_i . o_i, less dlse_i: what dp is compared with.
template <class T>
inline T delta_of(const BackwardCall<T>& call, std::int64_t batch, std::int64_t group, std::int64_t query,
                  std::int64_t lse_index) {
    const Extents& n = call.n;
    T delta = 0;
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
        T delta = 0;
        if constexpr (Act::normalised) delta = delta_of(call, batch, group, query, lse_index);
        if constexpr (Act::takes_sink)
            if (call.dsink && call.parameter.sink[group] != -infinity<T>())
                dsink -= natural_exp(call.parameter.sink[group] - call.lse[lse_index]) * delta;
        for (std::int64_t head = group * n.joint_heads; head < (group + 1) * n.joint_heads; ++head) {
            RowConstants<T> constant;
            if constexpr (Act::normalised)
                constant = normalised_constants<T, Act>(call.parameter, head, call.lse[lse_index]);
            else
                constant = row_constants<T, Act>(n, call.parameter, query, head);
            const std::int64_t i = (batch * n.query_heads + head) * n.queries + query;
            call.row_shift[i] = constant.shift;
            call.row_weight[i] = constant.weight;
            call.row_delta[i] = delta;
        }
    }
    if (call.dsink) call.dsink[(batch * groups + group) * call.row_chunks + chunk] = dsink;
}

template <class T>
void reduce_row(const Reduction<T>& sum, std::int64_t batch, std::int64_t head, std::int64_t row) {
    T* to = at(sum.to, batch, head, row);
    clear_rows(to, 0, 1, sum.features);
    for (std::int64_t slot = 0; slot < sum.slots; ++slot)
        add_row(sum.from + (((slot * sum.batch + batch) * sum.heads + head) * sum.rows + row) * sum.features,
                sum.features, T(1), to);
}

}  // namespace
}  // namespace hone
