// backward.hpp: the backward tiles. One task owns one key block: it holds k and v packed, and dk and dv,
// while the blocks of rows that see it pass by.
//
//   1. s = q k^T, dp = do v^T                         (forward's step 1, and its mirror)
//   2. p = w phi(scale s + b), ds = w phi' (dp - delta)  (forward's step 2: the row's L is in b)
//   3. dv += p^T do, dk += ds^T q
//   4. dq = ds k, left for the accumulator
#pragma once

#include "kernel/pack.hpp"
#include "kernel/weigh.hpp"

namespace hone {
namespace {

// One block of rows, as one key block sees it.
template <class T>
struct BackwardRows {
    std::int64_t count;
    std::int64_t seen_least, seen_most;  // keys of this block that the first and the last row see
    const T *q[kMaxRows], *dout[kMaxRows];
    std::int64_t seen[kMaxRows];
    std::int64_t constant[kMaxRows];  // index into the call's row constants
};

inline std::int64_t keys_of(const Extents& n, const Blocks& block, std::int64_t key_block) {
    return smaller(block.keys, n.keys - key_block * block.keys);
}

template <class T>
BackwardRows<T> gather_rows(const BackwardCall<T>& call, std::int64_t batch, std::int64_t kv_head,
                            std::int64_t key_block, std::int64_t row_block) {
    const Extents& n = call.n;
    const std::int64_t first_row = row_block * call.block.rows, first_key = key_block * call.block.keys;
    const std::int64_t keys = keys_of(n, call.block, key_block);
    BackwardRows<T> row;
    row.count = smaller(call.block.rows, n.queries * n.heads_per_kv - first_row);
    for (std::int64_t r = 0; r < row.count; ++r) {
        const auto [query, head] = row_at(n, kv_head, first_row + r);
        const std::int64_t end = keys_seen(n, query);
        row.q[r] = at(call.q, batch, head, query);
        row.dout[r] = at(call.dout, batch, head, query);
        row.seen[r] = seen_of(end, first_key, keys);
        row.constant[r] = (batch * n.query_heads + head) * n.queries + query;
    }
    row.seen_least = row.seen[0];
    row.seen_most = row.seen[row.count - 1];
    return row;
}

// The sums of ds of the heads of a group.
template <class T>
double* dbias_of(const BackwardCall<T>& call, T* scratch) {
    return reinterpret_cast<double*>(scratch + call.scratch.dbias);
}

template <class T>
void backward_begin(const BackwardCall<T>& call, std::int64_t batch, std::int64_t kv_head,
                    std::int64_t key_block, T* scratch) {
    const Extents& n = call.n;
    const Blocks& block = call.block;
    const BackwardScratch& at_scratch = call.scratch;
    const std::int64_t first = key_block * block.keys, keys = keys_of(n, block, key_block);
    if (!call.in_place) {
        const StridedRows<T> k = {at(call.k, batch, kv_head, first), call.k.row_stride};
        const StridedRows<T> v = {at(call.v, batch, kv_head, first), call.v.row_stride};
        pack_transposed(k, keys, n.key_dim, scratch + at_scratch.key_panels);
        pack_transposed(v, keys, n.value_dim, scratch + at_scratch.value_panels);
        const bool finite =
            pack_columns(k, keys, n.key_dim, block.keys * kPanel<T>, scratch + at_scratch.key_columns);
        scratch[at_scratch.key_odd] = !finite;
    }
    if (!call.dbias) return;
    for (std::int64_t h = 0; h < n.heads_per_kv; ++h) dbias_of(call, scratch)[h] = 0;
}

// Step 2 for one row; returns the sum of ds if asked to.
template <class T, class Act, bool sums>
[[gnu::noinline, gnu::flatten]] T differentiate(T* s, T* dp, std::int64_t seen, std::int64_t columns, T scale,
                                                RowConstants<T> row) {
    Group<T> sum(0);
    constexpr bool weighs = !Act::subtracts_maximum && (Act::normalised || Act::takes_weight);
    static_assert(weighs || Act::slope_unit == 1);
    const Group<T> a(scale), b(row.shift), d(row.delta);
    // Normalised: by half of e^-L twice, as phi may be near overflow where e^-L is no normal number; ds is
    // none there either.
    const Group<T> w(row.weight);
    const Group<T> slope_w((Act::normalised ? row.weight * row.weight : row.weight) *
                           static_cast<T>(Act::slope_unit));
    const auto prepare = [&](std::int64_t c) {
        return Act::template prepare<true>(argument<Act>(s + c, a, b));
    };
    for_visible<T>(seen, prepare, [&](std::int64_t c, const auto& x, const GroupMask<T>* visible) {
        Group<T> p = Act::value(x), slope = Act::slope(x), ds = load_group(dp + c);
        if constexpr (weighs) {
            p = w * p;
            if constexpr (Act::normalised) p = w * p;
            slope = slope_w * slope;  // before ds: softplus's weight alone may be near overflow
        }
        if constexpr (Act::normalised) ds = ds - d;
        ds = visible_or<T>(visible, slope * ds, 0);
        store(s + c, visible_or<T>(visible, p, 0));
        store(dp + c, ds);
        if constexpr (sums) sum = sum + ds;
    });
    clear_hidden(s, seen, columns);
    clear_hidden(dp, seen, columns);
    return sum_of(sum);
}

// Step 3 for one of the two: out[keys, features] += a^T b over the rows. Where b is odd (holds a NaN or inf,
// and some row does not see some key), each key reads just the rows that see it.
template <class T>
void add_transposed(const BackwardRows<T>& row, const Blocks& block, const T* a, Panels<T> b, bool odd,
                    std::int64_t features, T* out, std::int64_t out_stride) {
    const std::int64_t stride = block.score_stride;
    if (!odd) {
        multiply(ByColumn<T>{a, stride}, row.seen_most, b, features, out, out_stride, true);
        return;
    }
    std::int64_t first = 0;  // the first row that sees key j; all later ones do too
    for (std::int64_t j = 0; j < row.seen_most; ++j) {
        while (row.seen[first] <= j) ++first;
        const Panels<T> seeing = {b.data + first * kPanel<T>, b.stride, row.count - first, b.after};
        multiply(ByColumn<T>{a + first * stride + j, stride}, 1, seeing, features, out + j * out_stride,
                 out_stride, true);
    }
}

// Step 1.
template <class T>
void score_rows(const BackwardCall<T>& call, const BackwardRows<T>& row, const T* k, const T* v, T* scratch) {
    const Extents& n = call.n;
    const BackwardScratch& offset = call.scratch;
    const std::int64_t stride = call.block.score_stride, keys = row.seen_most;
    T *const s = scratch + offset.scores, *const dp = scratch + offset.dscores;
    if (call.in_place) {
        const Lines<T> k_lines = {k, call.k.row_stride, keys, v, call.v.row_stride};
        const Lines<T> v_lines = {v, call.v.row_stride, keys, k, call.k.row_stride};
        multiply_transposed(row.q, row.count, k_lines, n.key_dim, s, stride, scratch + offset.turned);
        multiply_transposed(row.dout, row.count, v_lines, n.value_dim, dp, stride, scratch + offset.turned);
        return;
    }
    const T *k_panels = scratch + offset.key_panels, *v_panels = scratch + offset.value_panels;
    multiply(ByRow<T>{row.q}, row.count, Panels<T>{k_panels, n.key_dim * kPanel<T>, n.key_dim, v_panels},
             keys, s, stride, false);
    multiply(ByRow<T>{row.dout}, row.count,
             Panels<T>{v_panels, n.value_dim * kPanel<T>, n.value_dim, v_panels}, keys, dp, stride, false);
}

// Steps 1 to 3, and dq, left in scratch.
template <class T, class Act>
void backward_step(const BackwardCall<T>& call, std::int64_t batch, std::int64_t kv_head,
                   std::int64_t key_block, std::int64_t row_block, T* scratch) {
    const Extents& n = call.n;
    const Blocks& block = call.block;
    const BackwardScratch& offset = call.scratch;
    const BackwardRows<T> row = gather_rows(call, batch, kv_head, key_block, row_block);
    T* const s = scratch + offset.scores;
    T* const ds = scratch + offset.dscores;
    const T* const k = at(call.k, batch, kv_head, key_block * block.keys);
    score_rows(call, row, k, at(call.v, batch, kv_head, key_block * block.keys), scratch);
    constexpr bool may_sum = Act::takes_shift || Act::takes_log_prior;
    const auto differentiate_row = call.dbias ? differentiate<T, Act, may_sum> : differentiate<T, Act, false>;
    for (std::int64_t r = 0; r < row.count; ++r) {
        const std::int64_t i = row.constant[r];
        const RowConstants<T> constants = {call.row_shift[i], call.row_weight[i], call.row_delta[i]};
        auto* differentiate_this = differentiate_row;
        if constexpr (Act::normalised && !Act::subtracts_maximum)
            if (constants.shift != 0) differentiate_this = differentiate<T, activation::Exponential, false>;
        const T sum = differentiate_this(s + r * block.score_stride, ds + r * block.score_stride, row.seen[r],
                                         row.seen_most, call.parameter.scale, constants);
        if (call.dbias) dbias_of(call, scratch)[(row_block * block.rows + r) % n.heads_per_kv] += sum;
    }
    const bool ragged = row.seen_least < row.seen_most;
    const std::int64_t row_stride = block.rows * kPanel<T>;
    if (call.dv) {
        T* const b = scratch + offset.dout_columns;
        const bool finite = pack_columns<T>([&](std::int64_t r) { return row.dout[r]; }, row.count,
                                            n.value_dim, row_stride, b);
        add_transposed(row, block, s, Panels<T>{b, row_stride, row.count, b}, ragged && !finite, n.value_dim,
                       scratch + offset.dv, block.value_width);
    }
    if (call.dk) {
        T* const b = scratch + offset.query_columns;
        const bool finite =
            pack_columns<T>([&](std::int64_t r) { return row.q[r]; }, row.count, n.key_dim, row_stride, b);
        add_transposed(row, block, ds, Panels<T>{b, row_stride, row.count, b}, ragged && !finite, n.key_dim,
                       scratch + offset.dk, block.key_width);
    }
    const auto multiply_by = [&](auto right, bool odd) {
        multiply_seen(
            ds, block.score_stride, row.count, right, ragged && odd,
            [&](std::int64_t r) { return row.seen[r]; }, n.key_dim, scratch + offset.dq, block.key_width,
            false);
    };
    if (!call.dq) return;
    if (call.in_place)
        multiply_by(Lines<T>{k, call.k.row_stride, row.seen_most, k, call.k.row_stride}, true);
    else
        multiply_by(Panels<T>{scratch + offset.key_columns, block.keys * kPanel<T>, row.seen_most,
                              scratch + offset.key_panels},
                    scratch[offset.key_odd] != 0);
}

template <class T>
void backward_end(const BackwardCall<T>& call, std::int64_t batch, std::int64_t kv_head,
                  std::int64_t key_block, T* scratch) {
    const Extents& n = call.n;
    if (!call.dbias) return;
    for (std::int64_t g = 0; g < n.heads_per_kv; ++g)
        call.dbias[(batch * n.query_heads + kv_head * n.heads_per_kv + g) * call.block.key_blocks +
                   key_block] = dbias_of(call, scratch)[g];
}

}  // namespace
}  // namespace hone
