// joint.hpp: joins the heads of a group under one normaliser, after each was normalised by itself:
// L_i = logsumexp_h(L_hi + b_h, sink), o_hi = o_hi e^(L_hi + b_h - L_i). No pass over the scores.
//
// A logit of +inf takes all the weight, as it does in the limit; several share it equally.
#pragma once

#include "kernel/rows.hpp"

namespace hone {
namespace {

template <class T>
void join_heads(const ForwardCall<T>& call, std::int64_t batch, std::int64_t group, std::int64_t first,
                std::int64_t last) {
    const Extents& n = call.n;
    const std::int64_t first_head = group * n.joint_heads, last_head = first_head + n.joint_heads;
    const T* prior = call.parameter.log_prior;
    const auto of_head = [&](std::int64_t head, std::int64_t query) -> T {
        const T lse = call.lse[(batch * n.query_heads + head) * n.queries + query];
        return prior && lse != -infinity<T>() ? lse + prior[head] : lse;  // without a key no prior counts
    };
    const T sink = call.parameter.sink ? call.parameter.sink[group] : -infinity<T>();
    for (std::int64_t query = first; query < last; ++query) {
        T most = sink;
        for (std::int64_t head = first_head; head < last_head; ++head)
            if (of_head(head, query) > most) most = of_head(head, query);
        double sum = share_of(sink, most);
        for (std::int64_t head = first_head; head < last_head; ++head)
            sum += share_of(of_head(head, query), most);
        for (std::int64_t head = first_head; head < last_head; ++head) {
            T* o = at(call.o, batch, head, query);
            const T factor = sum == 0 ? T(0) : static_cast<T>(share_of(of_head(head, query), most) / sum);
            scale_row(o, n.value_dim, factor, o);
        }
        if (call.joint_lse)
            call.joint_lse[(batch * (n.query_heads / n.joint_heads) + group) * n.queries + query] =
                static_cast<T>(most + natural_log(sum));
    }
}

}  // namespace
}  // namespace hone
