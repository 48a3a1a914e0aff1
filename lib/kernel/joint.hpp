// joint.hpp: the heads of a group under one normaliser. With L_hi of head h by itself, its log-prior b_h and
// the sink:
//   L_i = logsumexp_h(L_hi + b_h, sink), o_hi = o_hi e^(L_hi + b_h - L_i). No pass over the scores.
#pragma once

#include "kernel/logits.hpp"
#include "kernel/rows.hpp"

namespace hone {
namespace {

template <class T>
void join_heads(const ForwardCall<T>& call, const GroupTask& task) {
    const Extents& n = call.n;
    const RowNumbers<T> lse = head_lse(call);
    for (std::int64_t query = task.queries.begin; query < task.queries.end; ++query) {
        const auto logits = row_logits<T>(call.parameter, task.group, n.group_heads, [&](std::int64_t head) {
            return number_of(lse, {task.batch, head, query});
        });
        for (std::int64_t head = task.group * n.group_heads; head < (task.group + 1) * n.group_heads;
             ++head) {
            T* const o = row_of(call.o, {task.batch, head, query});
            // A head that sees no key has no share, even in a sum that is NaN.
            const auto logit = logits.of_head(head);
            const T share = logit == -infinity<T>() ? T(0) : static_cast<T>(logits.sum().share(logit));
            scale_row(o, n.value_dim, share, o);
        }
        if (call.lse.data)
            number_of(call.lse, {task.batch, task.group, query}) =
                static_cast<T>(logits.largest() + logits.sum().value());
    }
}

}  // namespace
}  // namespace hone
