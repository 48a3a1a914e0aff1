// forward.hpp: the forward tile: all keys that one block of rows sees, block by block, online.
//
//   1. s = q k^T
//   2. s -> weights, and what the row carries follows (normaliser.hpp)
//   3. o = rescale o + p v
//   4. o is divided by what the row carries, or weighted; L
//
// Where keys are many, their sums are cut into partial ones, each with an o and a state of its own, which are
// joined before 4: by the task itself, or, where a split of the keys is a task, afterwards.
#pragma once

#include "kernel/add.hpp"
#include "kernel/seen.hpp"
#include "kernel/strips.hpp"

namespace hone {
namespace {

// Step 2. With stages or a mask it goes row by row, so that a row stays in L1.
template <class T>
void weigh_strip(ForwardRows<T>& row, const KeyBlock<T>& block, const Strip& strip, T* rescale) {
    const ForwardCall<T>& call = row.call;
    const Matrix<T> s = {row.scratch + call.scratch.scores, call.block.score_stride};
    const std::int64_t first = strip.rows.begin;
    ScoreRows<T> rows = {count(strip.rows),
                         s,
                         strip.columns,
                         block.keys.begin,
                         call.parameter.scale,
                         row.seen + first,
                         row.constant + first,
                         row.state + first,
                         rescale};
    if (call.stages.count == 0 && !strip.masked) return row.activation.weigh(rows);
    const std::int64_t all = rows.rows;
    MaskRow<T> mask;
    rows.rows = 1;
    for (std::int64_t r = 0; r < all; ++r, rows.s.data += s.stride) {
        ScoreRow at = score_row(row, first + r, block.keys.begin, strip.columns);
        if (strip.masked) at = with_mask(call.mask, at);
        rows.shown = mask.take(at);
        if (call.stages.count > 0) {
            before_activation<T>(call.stages, at, call.parameter.scale, rows.s.data, nullptr);
            rows.scale = 1;
        }
        row.activation.weigh(rows);
        if (call.stages.count > 0) after_activation(call.stages, at, rows.s.data);
        ++rows.seen, ++rows.constant, ++rows.state, ++rows.rescale;
    }
}

// Step 3's rescale of o.
template <class T>
void scale_output(ForwardRows<T>& row, const Strip& strip, const T* rescale) {
    const std::int64_t features = row.call.n.value_dim;
    for (std::int64_t r = strip.rows.begin; r < strip.rows.end; ++r, ++rescale) {
        if (*rescale == 1) continue;
        T* const o = row.o.row(r);
        for (std::int64_t d = 0; d < features; d += kWidth<T>) store(o + d, load(o + d) * Vec<T>(*rescale));
    }
}

// Step 2, and step 3's rescale of o, unless this is the first block.
template <class T>
void weigh(ForwardRows<T>& row, const KeyBlock<T>& block, const Strip& strip) {
    T rescale[kMostRows];
    weigh_strip(row, block, strip, rescale);
    if (block.join != Join::store) scale_output(row, strip, rescale);
}

// What v holds: known of panels, found out of lines.
template <class T>
Values values_of(const KeyBlock<T>& block, const Panels<T>&, std::int64_t) {
    return block.panels.v_values;
}
template <class T, class Rows>
Values values_of(const KeyBlock<T>&, const Lines<Rows>& v, std::int64_t features) {
    return values_in<T>(v.rows, v.depth, features);
}

// Step 3: o (+)= p v, v being the lines of the strip's columns.
template <class T, class V>
void add_values(ForwardRows<T>& row, const KeyBlock<T>& block, const Strip& strip, const V& v) {
    const ForwardCall<T>& call = row.call;
    const std::int64_t rows = count(strip.rows), first = strip.columns.begin, features = call.n.value_dim;
    const Matrix<T> p = {row.scratch + call.scratch.scores + first, call.block.score_stride};
    const Matrix<T> o = row.o.at(strip.rows.begin, 0);
    const Range queries =
        queries_of(call.n, {row.rows.begin + strip.rows.begin, row.rows.begin + strip.rows.end});
    const Range keys = {block.keys.begin + first, block.keys.begin + strip.columns.end};
    const bool all =
        seen_of(call.visibility, queries, keys) == Seen::wholly && !may_hide(call.stages) && !strip.masked;
    if (all || values_of(block, v, features) == Values::finite) {
        multiply(by_row(p), rows, v, features, o, block.join);
        return;
    }
    for (std::int64_t r = 0; r < rows; ++r) {
        ScoreRow seen = score_row(row, strip.rows.begin + r, keys.begin, {0, count(keys)});
        if (strip.masked) seen = with_mask(call.mask, seen);
        multiply_seen([&](std::int64_t k) { return by_row(p.at(r, k)); }, v, features, o.row(r), block.join,
                      [&](std::int64_t k) { return next_seen(call.stages, seen, k); });
    }
}

// Steps 1 to 3.
template <class T>
void attend_strip(ForwardRows<T>& row, const KeyBlock<T>& block, const Strip& strip) {
    const ForwardCall<T>& call = row.call;
    const std::int64_t rows = count(strip.rows), first = strip.columns.begin, columns = count(strip.columns);
    const Matrix<T> s = {row.scratch + call.scratch.scores + first, call.block.score_stride};
    if (call.reading != Reading::in_place) {
        const std::int64_t k_stride = call.n.key_dim * kPanel<T>;
        const Panels<T> k = {block.panels.k + first / kPanel<T> * k_stride, k_stride, call.n.key_dim,
                             block.panels.v.data};
        multiply(rows_from(row.q.together, strip.rows.begin), rows, k, columns, s, Join::store);
        weigh(row, block, strip);
        add_values(row, block, strip, lines_of(block.panels.v, strip.columns));
        return;
    }
    const RowIndex at = {row.task.batch, row.task.kv_head, block.keys.begin + first};
    with_rows(call.k, at, [&](const auto& k) {
        multiply_transposed(row.q.row + strip.rows.begin, rows,
                            lines_at(k, columns, addresses_of(call.v, at)), call.n.key_dim, s,
                            row.scratch + call.scratch.transposed);
    });
    weigh(row, block, strip);
    with_rows(call.v, at,
              [&](const auto& v) { add_values(row, block, strip, lines_at(v, columns, block.after)); });
}

// Steps 1 to 3 over some key blocks. The sink's logit is counted once, with the first of them.
template <class T>
void attend_blocks(ForwardRows<T>& row, Range key_blocks) {
    const ForwardCall<T>& call = row.call;
    const bool first = key_blocks.begin == call.block.key_blocks.begin;
    if (first)
        row.activation.begin(call.parameter, row.at, count(row.rows), row.state);
    else
        for (std::int64_t r = 0; r < count(row.rows); ++r) row.state[r] = kNoState<T>;
    for_strips(row, key_blocks,
               [&](const KeyBlock<T>& block, const Strip& strip) { attend_strip(row, block, strip); });
}

// What some of the keys give to a row.
template <class T>
struct Partial {
    RowState<T>& state;
    T* o;
};

// Adds `part` to `total`, whose o is compensated by `lost`.
template <class T>
void join_partial(const ForwardCall<T>& call, const Partial<T>& total, const Partial<T>& part, T* lost) {
    const std::int64_t features = call.n.value_dim;
    const Rescale<T> rescale = kActivations<T>[call.activation].join(total.state, part.state);
    if (rescale.kept != 1) {
        scale_row(total.o, features, rescale.kept, total.o);
        scale_row(lost, features, rescale.kept, lost);
    }
    compensate_row(part.o, features, rescale.added, total.o, lost);
}

// Steps 1 to 3 over many key blocks: partial sums of kPlainTerms blocks each, the first of which is the total
// that the others join.
template <class T>
void attend_partially(ForwardRows<T>& row, Range key_blocks) {
    const ForwardCall<T>& call = row.call;
    const std::int64_t width = call.block.value_width, features = call.n.value_dim;
    const Matrix<T> o = {row.scratch + call.scratch.total, width},
                    lost = {row.scratch + call.scratch.lost, width};
    RowState<T> total[kMostRows];
    for (std::int64_t kb = key_blocks.begin; kb < key_blocks.end; kb += kPlainTerms) {
        attend_blocks(row, {kb, smaller(kb + kPlainTerms, key_blocks.end)});
        for (std::int64_t r = 0; r < count(row.rows); ++r) {
            if (kb == key_blocks.begin) {
                total[r] = row.state[r];
                scale_row(row.o.row(r), features, T(1), o.row(r));
                clear_rows(lost.at(r, 0), 1, features);
            } else {
                join_partial<T>(call, {total[r], o.row(r)}, {row.state[r], row.o.row(r)}, lost.row(r));
            }
        }
    }
    for (std::int64_t r = 0; r < count(row.rows); ++r) row.state[r] = total[r];
    row.o = o;
}

// Rows that have been through all their keys.
template <class T>
struct EndedRows {
    std::int64_t batch, rows;
    const QueryHead* at;
    const RowState<T>* state;
    const RowConstants<T>* constant;
    Matrix<T> o;
};

// Step 4.
template <class T>
void end_rows(const ForwardCall<T>& call, const EndedRows<T>& row) {
    const RowFunctions<T>& activation = kActivations<T>[call.activation];
    const RowNumbers<T> lse = head_lse(call);
    T factor[kMostRows];
    activation.factors(row.state, row.constant, row.rows, factor);
    for (std::int64_t r = 0; r < row.rows; ++r) {
        const RowIndex at = {row.batch, row.at[r].head, row.at[r].query};
        scale_row(row.o.row(r), call.n.value_dim, factor[r], row_of(call.o, at));
        if (lse.data && activation.lse) number_of(lse, at) = activation.lse(row.state[r]);
    }
}

// What a split gives to a row of a kv head.
template <class T>
Partial<T> partial_of(const ForwardCall<T>& call, const KvRow& at, std::int64_t split) {
    const std::int64_t head = at.batch * call.n.kv_heads + at.kv_head;
    const std::int64_t i = (head * call.splits + split) * row_count(call.n) + at.row;
    return {reinterpret_cast<RowState<T>*>(call.workspace + call.partial_state)[i],
            reinterpret_cast<T*>(call.workspace + call.partial_o) + i * call.block.value_width};
}

template <class T>
[[gnu::always_inline]] inline RowConstants<T> constants_of(const ForwardCall<T>& call, std::int64_t batch,
                                                           const QueryHead& at) {
    const RowFunctions<T>& activation = kActivations<T>[call.activation];
    if (!activation.constants) return {};
    return activation.constants(call.parameter, at.head, key_count_of<T>(call, batch, at));
}

template <class T>
void attend(const ForwardCall<T>& call, const AttendTask& task, T* scratch) {
    ForwardRows<T> row(call, task, scratch);
    const std::int64_t rows = count(row.rows),
                       first_block = call.block.key_blocks.begin + task.split * call.split_blocks;
    const Range key_blocks = {first_block,
                              smaller(first_block + call.split_blocks, call.block.key_blocks.end)};
    const auto index = [&](std::int64_t r) { return KvRow{task.batch, task.kv_head, row.rows.begin + r}; };
    row.o = {call.splits > 1 ? partial_of(call, index(0), task.split).o : scratch + call.scratch.o,
             call.block.value_width};
    list_rows(call.n, task.kv_head, row.rows, row.at);
    for (std::int64_t r = 0; r < rows; ++r) {
        const QueryHead at = row.at[r];
        row.q.row[r] = scalars_of(call.q, {task.batch, at.head, at.query});
        row.seen[r] = keys_seen(call.visibility, at.query);
        row.constant[r] = constants_of(call, task.batch, at);
    }
    if (call.reading != Reading::in_place)
        row.q.gather(rows, call.n.key_dim, {scratch + call.scratch.q, call.block.key_width});
    needs_compensation(count(key_blocks)) ? attend_partially(row, key_blocks)
                                          : attend_blocks(row, key_blocks);
    if (call.splits == 1)
        return end_rows<T>(call, {task.batch, rows, row.at, row.state, row.constant, row.o});
    for (std::int64_t r = 0; r < rows; ++r) partial_of(call, index(r), task.split).state = row.state[r];
}

// Joins the splits of one row of a kv head.
template <class T>
void join_splits(const ForwardCall<T>& call, const KvRow& at, T* scratch) {
    const Matrix<T> lost = {scratch + call.scratch.lost, 0};
    clear_rows(lost, 1, call.n.value_dim);
    const Partial<T> total = partial_of(call, at, 0);
    for (std::int64_t split = 1; split < call.splits; ++split)
        join_partial(call, total, partial_of(call, at, split), lost.data);
    const QueryHead row = row_at(call.n, at.kv_head, at.row);
    const RowConstants<T> constant = constants_of(call, at.batch, row);
    end_rows<T>(call, {at.batch, 1, &row, &total.state, &constant, {total.o, 0}});
}

}  // namespace
}  // namespace hone
