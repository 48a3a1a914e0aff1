// scores.hpp owns what every row of attention starts from: where its tensors lie, its constants, and its
// scores on the keys that it sees.
#pragma once

#include <hone/hone.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "reference/activations.hpp"
#include "reference/visibility.hpp"

namespace hone::reference {

template <class S>
constexpr S infinity = std::numeric_limits<S>::infinity();

// The features of row i of head h of a batch entry.
template <class S>
const S* row(const hone_const_tensor& t, const Segment& rows, int64_t h, int64_t i) {
    return static_cast<const S*>(t.data) + rows.batch * t.batch_stride + h * t.head_stride +
           (rows.first + i) * t.row_stride;
}
template <class S>
S* row(const hone_tensor& t, const Segment& rows, int64_t h, int64_t i) {
    return static_cast<S*>(t.data) + rows.batch * t.batch_stride + h * t.head_stride +
           (rows.first + i) * t.row_stride;
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

inline int64_t kv_head(const hone_problem& problem, int64_t h) {
    return h / (problem.query_heads / problem.kv_heads);
}

// The number of query heads that share a normaliser: at least 1, so that no heads are no groups.
template <class A>
int64_t heads_per_group(const hone_problem& problem) {
    if (!A::joint || problem.query_heads == 0) return 1;
    return problem.group_heads ? problem.group_heads : problem.query_heads;
}

// Where the lse of query i of a group lies; i is counted within batch entry b.
template <class A>
int64_t lse_index(const hone_problem& problem, int64_t b, int64_t group, int64_t i) {
    const Segment rows = queries_of(problem, b);
    const int64_t groups = problem.query_heads / heads_per_group<A>(problem);
    return (rows.batch * groups + group) * rows.tensor_rows + rows.first + i;
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
    if constexpr (A::takes_softmax_n) return problem.softmax_n == 0 ? S(0) : std::log(S(problem.softmax_n));
    if constexpr (A::takes_sink) return entry(args.sink, group, -infinity<S>);
    return -infinity<S>;
}

// Where the largest log-prior or sink is this large, the lse that backward is given is rounded too coarsely
// to recover the weights from it.
template <class S>
constexpr S kHugeLogit = 1024;

// e^(x - origin): 1 where the two are the same, infinities too.
template <class S>
S exp_above(S x, S origin) {
    return x == origin ? S(1) : std::exp(x - origin);
}

// What a query of one head sees: the keys, and a number for each of them, its score or its weight.
template <class S>
struct SeenRow {
    std::vector<int64_t> keys;
    std::vector<S> p;

    int64_t size() const { return std::ssize(keys); }
};

// log(e^sink + sum of e^s), s being the scores of all heads of a group.
template <class S>
S log_sum_exp(S sink, const std::vector<SeenRow<S>>& heads) {
    S maximum = sink;
    for (const SeenRow<S>& seen : heads)
        for (const S s : seen.p) maximum = std::max(maximum, s);
    S sum = exp_above(sink, maximum);
    for (const SeenRow<S>& seen : heads)
        for (const S s : seen.p) sum += exp_above(s, maximum);
    return maximum + std::log(sum);
}

// s = scale q_i . k_j for the keys j that query i sees.
template <class S, class Args>
void score_row(const hone_problem& problem, const Args& args, const At& at, SeenRow<S>& s) {
    list_keys(problem, args.mask, at, s.keys);
    s.p.resize(s.keys.size());
    const S c = scale<S>(problem);
    const S* q = row<S>(args.q, at.entry.queries, at.h, at.i);
    const int64_t g = kv_head(problem, at.h);
    for (int64_t n = 0; n < s.size(); ++n)
        s.p[n] = c * dot(q, row<S>(args.k, at.entry.keys, g, s.keys[n]), problem.key_dim);
}

// The largest of the log-priors and the sink of a group, and the sink less that.
template <class S>
struct GroupLogits {
    S sink, largest;
};

// s[h][j] = scale q_i . k_j + the log-prior of head h, for query i of every head of the group at.h, and
// the sink: all less the largest of the log-priors and the sink, which would swallow the scores
// where it is huge. Infinite ones are as if they had grown together: any finite one vanishes beside them. The
// log-prior of a head without a score above -infinity does not count.
template <class A, class S, class Args>
GroupLogits<S> group_logits(const hone_problem& problem, const Args& args, const At& at,
                            std::vector<SeenRow<S>>& heads) {
    const int64_t first = at.h * heads_per_group<A>(problem);
    const S sink = sink_logit<A, S>(problem, args, at.h);
    S largest = sink;
    for (int64_t h = 0; h < std::ssize(heads); ++h) {
        SeenRow<S>& s = heads[h];
        score_row(problem, args, {at.entry, first + h, at.i}, s);
        const bool counts = std::ranges::any_of(s.p, [](S x) { return x != -infinity<S>; });
        if (counts) largest = std::max(largest, bias<A, S>(args, first + h, s.size()));
    }
    const auto below = [&](S logit) {
        return logit == -infinity<S> ? logit : logit == largest ? 0 : logit - largest;
    };
    for (int64_t h = 0; h < std::ssize(heads); ++h) {
        const S b = below(bias<A, S>(args, first + h, heads[h].size()));
        for (S& x : heads[h].p)
            if (x != -infinity<S>) x += b;
    }
    return {below(sink), largest};
}

}  // namespace hone::reference
