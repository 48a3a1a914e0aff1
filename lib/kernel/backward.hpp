// backward.hpp: the backward tiles. One task owns one key block: it holds k and v packed, and dk and dv,
// and goes through the blocks of rows that see it.
//
//   1. s = q k^T, dp = do v^T                            (forward's step 1, and its mirror)
//   2. p = w phi(scale s + b), ds = w phi' (dp - delta)  (forward's step 2: the row's L is in b)
//   3. dv += p^T do, dk += ds^T q
//   4. dq = ds k, left for the accumulator
#pragma once

#include "kernel/activations.hpp"
#include "kernel/masked.hpp"
#include "kernel/pack.hpp"
#include "kernel/seen.hpp"

namespace hone {
namespace {

// One block of rows, as one key block sees it: all its columns from the first to the last that a row sees.
template <class T>
struct BackwardRows {
    const BackwardCall<T>& call;
    const RowFunctions<T>& activation;
    const KeyBlockTask& task;
    T* const scratch;
    const Range rows;         // of the kv head
    const Range keys;         // of the block
    Range columns;            // of the block
    Seen seen;                // of the columns
    bool masked;              // the mask hides some of the columns from some of the rows
    QueryHead at[kMostRows];  // of each row of the block, from here on
    TensorRows<T> q, dout;
    Range seen_columns[kMostRows];
    RowConstants<T> constant[kMostRows];

    BackwardRows(const BackwardCall<T>& call, const KeyBlockTask& task, std::int64_t row_block, T* scratch)
        : call(call),
          activation(kActivations<T>[call.activation]),
          task(task),
          scratch(scratch),
          rows(rows_of_block(call, row_block)),
          keys(keys_of_block(call, task.key_block)) {
        list_rows(call.n, task.kv_head, rows, at);
    }

    // A block of scores in the scratch, from the first column on.
    Matrix<T> scores(std::int64_t at) const {
        return {scratch + at + columns.begin, call.block.score_stride};
    }
};

// Which columns the rows see. None where the mask hides all of them.
template <class T>
void find_columns(BackwardRows<T>& row) {
    const BackwardCall<T>& call = row.call;
    const Range queries = queries_of(call.n, row.rows);
    const Range seen = common(keys_seen(call.visibility, queries), row.keys);
    const Remaining remaining =
        remaining_keys(call.mask, row.task.batch, row.at, count(row.rows), seen, row.keys.begin);
    const std::int64_t first =
        call.in_place ? remaining.keys.begin : round_down(remaining.keys.begin, kPanel<T>);
    row.columns = empty(remaining.keys) ? Range{0, 0} : relative({first, remaining.keys.end}, row.keys.begin);
    row.seen = seen_of(call.visibility, queries, {first, remaining.keys.end});
    row.masked = remaining.hides;
}

template <class T>
void gather_rows(BackwardRows<T>& row) {
    const BackwardCall<T>& call = row.call;
    const RowConstants<T>* const constants =
        reinterpret_cast<const RowConstants<T>*>(call.workspace + call.row_constants);
    for (std::int64_t r = 0; r < count(row.rows); ++r) {
        const QueryHead at = row.at[r];
        const RowIndex index = {row.task.batch, at.head, at.query};
        row.q.row[r] = scalars_of(call.q, index);
        row.dout.row[r] = scalars_of(call.dout, index);
        row.seen_columns[r] =
            common(relative(keys_seen(call.visibility, at.query), row.keys.begin), row.columns);
        row.constant[r] = constants[row_index(call.n, row.task.batch, at)];
    }
    if (call.in_place) return;
    row.q.gather(count(row.rows), call.n.key_dim, {row.scratch + call.scratch.q, call.block.key_width});
    row.dout.gather(count(row.rows), call.n.value_dim,
                    {row.scratch + call.scratch.dout, call.block.value_width});
}

template <class T>
inline ScoreRow score_row(const BackwardRows<T>& row, std::int64_t r) {
    const auto [query, head] = row.at[r];
    const ScoreRow at = {row.task.batch, head, query, row.keys.begin, row.seen_columns[r]};
    return row.masked ? with_mask(row.call.mask, at) : at;
}

// The sums of ds of the heads of a kv head.
template <class T>
double* dbias_of(const BackwardCall<T>& call, T* scratch) {
    return reinterpret_cast<double*>(scratch + call.scratch.dbias);
}

template <class T>
void backward_begin(const BackwardCall<T>& call, const KeyBlockTask& task, T* scratch) {
    const Extents& n = call.n;
    const Range keys = keys_of_block(call, task.key_block);
    if (!call.in_place) {
        const RowIndex first = {task.batch, task.kv_head, keys.begin};
        with_rows(call.k, first, [&](const auto& k) {
            pack_transposed(k, count(keys), n.key_dim, scratch + call.scratch.key_panels);
            const Values found = pack_columns(k, count(keys), n.key_dim, call.block.keys * kPanel<T>,
                                              scratch + call.scratch.key_columns);
            scratch[call.scratch.k_non_finite] = found == Values::non_finite;
        });
        with_rows(call.v, first, [&](const auto& v) {
            pack_transposed(v, count(keys), n.value_dim, scratch + call.scratch.value_panels);
        });
    }
    if (!call.wants_dbias) return;
    for (std::int64_t h = 0; h < n.heads_per_kv; ++h) dbias_of(call, scratch)[h] = 0;
}

// Step 1.
template <class T>
void score_rows(BackwardRows<T>& row) {
    const BackwardCall<T>& call = row.call;
    const Extents& n = call.n;
    const std::int64_t rows = count(row.rows), columns = count(row.columns), first = row.columns.begin;
    const Matrix<T> s = row.scores(call.scratch.scores), dp = row.scores(call.scratch.dscores);
    if (call.in_place) {
        const RowIndex at = {row.task.batch, row.task.kv_head, row.keys.begin + first};
        T* const room = row.scratch + call.scratch.transposed;
        with_rows(call.k, at, [&](const auto& k) {
            multiply_transposed(row.q.row, rows, lines_at(k, columns, addresses_of(call.v, at)), n.key_dim, s,
                                room);
        });
        with_rows(call.v, at, [&](const auto& v) {
            multiply_transposed(row.dout.row, rows, lines_at(v, columns, addresses_of(call.k, at)),
                                n.value_dim, dp, room);
        });
        return;
    }
    const std::int64_t k_stride = n.key_dim * kPanel<T>, v_stride = n.value_dim * kPanel<T>;
    const T* const k = row.scratch + call.scratch.key_panels + first / kPanel<T> * k_stride;
    const T* const v = row.scratch + call.scratch.value_panels + first / kPanel<T> * v_stride;
    multiply(row.q.together, rows, Panels<T>{k, k_stride, n.key_dim, v}, columns, s, Join::store);
    multiply(row.dout.together, rows, Panels<T>{v, v_stride, n.value_dim, v}, columns, dp, Join::store);
}

// Step 2 for one row; gives the sum of ds if that is wanted.
template <class T>
T differentiate_row(const BackwardRows<T>& row, std::int64_t r, const Scores<T>& scores, T* dp) {
    const auto differentiate =
        row.call.wants_dbias ? row.activation.differentiate_and_sum : row.activation.differentiate;
    return differentiate(scores, dp, row.constant[r]);
}

// The sum of the elements that no stage hides.
template <class T>
[[gnu::noinline, gnu::cold]] T sum_of_seen(const Stages<T>& stages, const ScoreRow& row, const T* ds) {
    T sum = 0;
    for (Range run = next_seen(stages, row, row.seen.begin); !empty(run);
         run = next_seen(stages, row, run.end))
        for (std::int64_t e = run.begin; e < run.end; ++e) sum += ds[e];
    return sum;
}

// The same between the stages.
template <class T>
T differentiate_staged(const BackwardRows<T>& row, const ScoreRow& at, std::int64_t r, Scores<T> scores,
                       T* dp) {
    const Stages<T>& stages = row.call.stages;
    KeptScores<T> kept;
    before_activation(stages, at, scores.scale, scores.s, &kept);
    after_activation_backward(stages, at, dp);
    scores.scale = 1;
    T sum = differentiate_row(row, r, scores, dp);
    if (__builtin_isnan(sum) && may_hide(stages)) sum = sum_of_seen(stages, at, dp);
    after_activation(stages, at, scores.s);
    before_activation_backward(stages, at, dp, kept);
    return sum;
}

// Step 2: s -> p, dp -> ds.
template <class T>
void differentiate_rows(const BackwardRows<T>& row) {
    const BackwardCall<T>& call = row.call;
    T *s = row.scratch + call.scratch.scores, *dp = row.scratch + call.scratch.dscores;
    MaskRow<T> mask;
    for (std::int64_t r = 0; r < count(row.rows);
         ++r, s += call.block.score_stride, dp += call.block.score_stride) {
        const ScoreRow at = score_row(row, r);
        const Scores<T> scores = {s, row.columns, at.seen, call.parameter.scale, mask.take(at)};
        const T sum = call.stages.count > 0 ? differentiate_staged(row, at, r, scores, dp)
                                            : differentiate_row(row, r, scores, dp);
        if (call.wants_dbias) dbias_of(call, row.scratch)[(row.rows.begin + r) % call.n.heads_per_kv] += sum;
    }
}

// Whether a product may take all rows of a block at once, as what they do not see is 0 times a finite value.
template <class T>
inline bool takes_all(const BackwardRows<T>& row, Values values) {
    return values == Values::finite ||
           (row.seen == Seen::wholly && !row.masked && !may_hide(row.call.stages));
}

// Step 3 for one of the two: out[columns, features] += a^T b over the rows, a being a block of scores and b
// those of q or of dout, which are packed in `room` if they cannot be read in place.
template <class T>
void add_transposed(const BackwardRows<T>& row, Matrix<T> a, const TensorRows<T>& from, std::int64_t features,
                    T* room, Matrix<T> out) {
    const std::int64_t rows = count(row.rows), columns = count(row.columns),
                       stride = row.call.block.rows * kPanel<T>;
    const ByColumn<T> left = {a.data, a.stride};
    const ByRow<T>& together = from.together;
    const bool near = !row.call.in_place && are_panels<T>(together.stride, features);
    if (near && takes_all(row, Values::non_finite)) {
        const Panels<T> lines = {together.data, kPanel<T>, rows, nullptr, together.stride};
        return multiply(left, columns, lines, features, out, Join::add);
    }
    const Values values = pack_columns(RowPointers<T>{from.row}, rows, features, stride, room);
    const Panels<T> b = {room, stride, rows, room};
    if (takes_all(row, values)) return multiply(left, columns, b, features, out, Join::add);
    for (std::int64_t j = 0; j < columns; ++j) {
        const std::int64_t element = row.columns.begin + j;
        const auto seen = [&](std::int64_t r) { return sees(row.call.stages, score_row(row, r), element); };
        multiply_seen(
            [&](std::int64_t r) {
                return ByColumn<T>{a.row(r) + j, a.stride};
            },
            b, features, out.row(j), Join::add,
            [&](std::int64_t r) {
                return next_range({0, rows}, r, seen);
            });
    }
}

// Step 4. b holds the lines of k of the columns.
template <class T, class B>
void multiply_keys(const BackwardRows<T>& row, const B& b, Values values) {
    const BackwardCall<T>& call = row.call;
    const std::int64_t rows = count(row.rows), features = call.n.key_dim;
    const Matrix<T> ds = row.scores(call.scratch.dscores);
    const Matrix<T> dq = {row.scratch + call.scratch.dq, call.block.key_width};
    if (takes_all(row, values)) return multiply(by_row(ds), rows, b, features, dq, Join::store);
    for (std::int64_t r = 0; r < rows; ++r) {
        ScoreRow seen = score_row(row, r);
        seen.first_key += row.columns.begin;
        seen.seen = relative(seen.seen, row.columns.begin);
        if (seen.mask) seen.mask += row.columns.begin * seen.mask_stride;
        multiply_seen([&](std::int64_t k) { return by_row(ds.at(r, k)); }, b, features, dq.row(r),
                      Join::store, [&](std::int64_t k) { return next_seen(call.stages, seen, k); });
    }
}

// Step 3.
template <class T>
void add_key_gradients(const BackwardRows<T>& row) {
    const BackwardCall<T>& call = row.call;
    const Extents& n = call.n;
    const BackwardScratch& at = call.scratch;
    const std::int64_t first = row.columns.begin;
    const Matrix<T> dk = {row.scratch + at.dk, call.block.key_width};
    const Matrix<T> dv = {row.scratch + at.dv, call.block.value_width};
    if (call.dv.wanted)
        add_transposed(row, row.scores(at.scores), row.dout, n.value_dim, row.scratch + at.dout_columns,
                       dv.at(first, 0));
    if (call.dk.wanted)
        add_transposed(row, row.scores(at.dscores), row.q, n.key_dim, row.scratch + at.query_columns,
                       dk.at(first, 0));
}

template <class T>
void backward_step(const BackwardCall<T>& call, const KeyBlockTask& task, std::int64_t row_block,
                   T* scratch) {
    BackwardRows<T> row(call, task, row_block, scratch);
    find_columns(row);
    if (empty(row.columns)) {
        if (call.dq.wanted)
            clear_rows(Matrix<T>{scratch + call.scratch.dq, call.block.key_width}, count(row.rows),
                       call.n.key_dim);
        return;
    }
    gather_rows(row);
    score_rows(row);
    differentiate_rows(row);
    add_key_gradients(row);
    if (!call.dq.wanted) return;
    const std::int64_t first = row.columns.begin, columns = count(row.columns);
    if (call.in_place) {
        const RowIndex at = {task.batch, task.kv_head, row.keys.begin + first};
        with_rows(call.k, at, [&](const auto& k) {
            multiply_keys(row, lines_at(k, columns, addresses_of(k)), Values::non_finite);
        });
    } else {
        const T* const panels = scratch + call.scratch.key_columns + first * kPanel<T>;
        const Values values = scratch[call.scratch.k_non_finite] != 0 ? Values::non_finite : Values::finite;
        multiply_keys(
            row, Panels<T>{panels, call.block.keys * kPanel<T>, columns, scratch + call.scratch.key_panels},
            values);
    }
}

template <class T>
void backward_end(const BackwardCall<T>& call, const KeyBlockTask& task, T* scratch) {
    if (!call.wants_dbias) return;
    double* const dbias = reinterpret_cast<double*>(call.workspace + call.dbias);
    const std::int64_t first_head = task.batch * call.n.query_heads + task.kv_head * call.n.heads_per_kv;
    const Range blocks = call.block.key_blocks;
    for (std::int64_t h = 0; h < call.n.heads_per_kv; ++h)
        dbias[(first_head + h) * count(blocks) + task.key_block - blocks.begin] = dbias_of(call, scratch)[h];
}

}  // namespace
}  // namespace hone
