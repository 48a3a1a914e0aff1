// joint.hpp: the heads of a group under one normaliser. With L_hi of head h by itself, its log-prior b_h and
// the sink:
//   L_i = logsumexp_h(L_hi + b_h, sink), o_hi = o_hi e^(L_hi + b_h - L_i). No pass over the scores.
//
// What counts of log-priors and sink is how far they are below the largest, B: where that is huge, rounding
// would swallow L_hi. Infinite ones are as if they had grown together: all are B, and any finite one
// vanishes.
#pragma once

#include "kernel/rows.hpp"

namespace hone {
namespace {

// A log-prior or a sink, less B.
template <class U, class T>
inline U below(T logit, T largest) {
    if (logit == -infinity<T>()) return -infinity<U>();
    return logit == largest ? U(0) : U(logit) - U(largest);
}

template <class T>
inline T sink_of(const Parameters<T>& parameter, std::int64_t group) {
    return parameter.sink ? parameter.sink[group] : -infinity<T>();
}
template <class T>
inline T prior_of(const Parameters<T>& parameter, std::int64_t head) {
    return parameter.log_prior ? parameter.log_prior[head] : T(0);
}

// B, of the sink of a group and the log-priors of the heads for which counts(head).
template <class T, class Counts>
inline T largest_logit(const Parameters<T>& parameter, std::int64_t group, std::int64_t heads,
                       Counts counts) {
    T largest = sink_of(parameter, group);
    for (std::int64_t head = group * heads; head < (group + 1) * heads; ++head)
        if (counts(head) && prior_of(parameter, head) > largest) largest = prior_of(parameter, head);
    return largest;
}

// The logits of one row of a group, less B. lse_of(head) is L_hi in U; where it is -inf, b_h does not count.
template <class U, class T, class Lse>
class RowLogits {
  public:
    RowLogits(const Parameters<T>& parameter, std::int64_t group, std::int64_t heads, Lse lse_of)
        : parameter_(parameter),
          lse_of_(lse_of),
          largest_(largest_logit(parameter, group, heads,
                                 [&](std::int64_t head) { return lse_of(head) != -infinity<U>(); })) {
        sum_.add(below<U>(sink_of(parameter, group), largest_));
        for (std::int64_t head = group * heads; head < (group + 1) * heads; ++head) sum_.add(of_head(head));
    }
    T largest() const { return largest_; }
    const LogSum<U>& sum() const { return sum_; }

    U of_head(std::int64_t head) const {
        const U lse = lse_of_(head);
        return lse == -infinity<U>() ? lse : lse + below<U>(prior_of(parameter_, head), largest_);
    }

  private:
    const Parameters<T>& parameter_;
    const Lse lse_of_;
    const T largest_;  // B
    LogSum<U> sum_;
};

template <class U, class T, class Lse>
inline RowLogits<U, T, Lse> row_logits(const Parameters<T>& parameter, std::int64_t group, std::int64_t heads,
                                       Lse lse_of) {
    return {parameter, group, heads, lse_of};
}

template <class T>
void join_heads(const ForwardCall<T>& call, std::int64_t batch, std::int64_t group, std::int64_t first,
                std::int64_t last) {
    const Extents& n = call.n;
    const std::int64_t first_head = group * n.joint_heads;
    for (std::int64_t query = first; query < last; ++query) {
        const auto logits = row_logits<T>(call.parameter, group, n.joint_heads, [&](std::int64_t head) {
            return call.lse[(batch * n.query_heads + head) * n.queries + query];
        });
        for (std::int64_t head = first_head; head < first_head + n.joint_heads; ++head) {
            T* o = at(call.o, batch, head, query);
            scale_row(o, n.value_dim, static_cast<T>(logits.sum().share(logits.of_head(head))), o);
        }
        if (call.joint_lse)
            call.joint_lse[(batch * (n.query_heads / n.joint_heads) + group) * n.queries + query] =
                static_cast<T>(logits.largest() + logits.sum().value());
    }
}

}  // namespace
}  // namespace hone
