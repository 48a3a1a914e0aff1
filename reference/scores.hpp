// scores.hpp owns what every row of attention starts from: where its tensors lie, which keys it sees, its
// constants and its scores.
#pragma once

#include <hone/hone.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "reference/activations.hpp"

namespace hone::reference {

using std::int64_t;

template <class S>
constexpr S infinity = std::numeric_limits<S>::infinity();

// The features of row i of head h.
template <class S>
S* row(const hone_tensor& t, int64_t b, int64_t h, int64_t i) {
    return static_cast<S*>(t.data) + b * t.batch_stride + h * t.head_stride + i * t.row_stride;
}

template <class S>
S dot(const S* x, const S* y, int64_t n) {
    S sum = 0;
    for (int64_t d = 0; d < n; ++d) sum += x[d] * y[d];
    return sum;
}

// Entry n of a parameter; the default where there is no array.
template <class S>
S entry(const void* array, int64_t n, S otherwise) {
    return array ? static_cast<const S*>(array)[n] : otherwise;
}

// The number of keys that query i sees; they are the first ones.
inline int64_t visible_keys(const hone_problem& problem, int64_t i) {
    switch (problem.mask) {
        case HONE_MASK_CAUSAL_TOP_LEFT:
            return std::min(i + 1, problem.keys);
        case HONE_MASK_CAUSAL_BOTTOM_RIGHT:
            return std::clamp(i + 1 + problem.keys - problem.queries, int64_t{0}, problem.keys);
        default:
            return problem.keys;
    }
}

inline int64_t kv_head(const hone_problem& problem, int64_t h) {
    return h / (problem.query_heads / problem.kv_heads);
}

// The number of query heads that share a normaliser: at least 1, so that no heads are no groups.
template <class A>
int64_t heads_per_group(const hone_problem& problem) {
    if (!A::joint || problem.query_heads == 0) return 1;
    return problem.group_heads ? problem.group_heads : problem.query_heads;
}

// Where the lse of query i of a group lies.
template <class A>
int64_t lse_index(const hone_problem& problem, int64_t b, int64_t group, int64_t i) {
    return (b * (problem.query_heads / heads_per_group<A>(problem)) + group) * problem.queries + i;
}

template <class S>
S scale(const hone_problem& problem) {
    return problem.scale != 0 ? S(problem.scale) : 1 / std::sqrt(S(problem.key_dim));
}

// What is added to the scores of head h in a row that sees this many keys.
template <class A, class S, class Args>
S bias(const Args& args, int64_t h, int64_t keys) {
    if constexpr (A::takes_log_prior) return entry(args.log_prior, h, S(0));
    if constexpr (A::takes_shift) return entry(args.shift, h, A::default_shift(S(keys)));
    return 0;
}

template <class A, class S>
S weight(const hone_problem& problem, int64_t keys) {
    if constexpr (!A::takes_weight) return 1;
    return problem.weight != 0 ? S(problem.weight) : A::default_weight(S(keys));
}

// The logit of what takes weight beside the keys and gives no value; -infinity where there is none.
template <class A, class S, class Args>
S sink_logit(const hone_problem& problem, const Args& args, int64_t group) {
    if constexpr (A::takes_softmax_n) return std::log(S(problem.softmax_n));
    if constexpr (A::takes_sink) return entry(args.sink, group, -infinity<S>);
    return -infinity<S>;
}

// e^(x - origin): 1 where the two are the same, infinities too.
template <class S>
S exp_above(S x, S origin) {
    return x == origin ? S(1) : std::exp(x - origin);
}

// s[j] = scale q_i . k_j + bias for the keys that query i sees.
template <class A, class S, class Args>
void score_row(const hone_problem& problem, const Args& args, int64_t b, int64_t h, int64_t i, S* s) {
    const int64_t keys = visible_keys(problem, i);
    const S c = scale<S>(problem), bias_h = bias<A, S>(args, h, keys);
    const S* q = row<S>(args.q, b, h, i);
    for (int64_t j = 0; j < keys; ++j)
        s[j] = c * dot(q, row<S>(args.k, b, kv_head(problem, h), j), problem.key_dim) + bias_h;
}

}  // namespace hone::reference
