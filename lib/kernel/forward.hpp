// forward.hpp: the forward tile: all keys that one block of rows sees, block by block, online.
//
//   1. s = q k^T
//   2. s -> phi(scale s - m), the running maximum m and sum l updated (shifted family), or phi(scale s + b)
//   3. o = o * e^(m_old - m) + p v
//   4. o / l or w o; L = m + log l
//
// Where keys are many, they are cut into parts, each with an m, l and o of its own, which are joined before
// 4: by the task itself, or, where the parts are tasks, afterwards.
#pragma once

#include "kernel/add.hpp"
#include "kernel/key_block.hpp"
#include "kernel/weigh.hpp"

namespace hone {
namespace {

// What a block of rows carries from one key block to the next.
template <class T>
struct ForwardRows {
    const T* q[kMaxRows];
    std::int64_t end[kMaxRows];  // keys that the row sees
    T maximum[kMaxRows];
    double sum[kMaxRows];
    T shift[kMaxRows], weight[kMaxRows];
};

// Takes the maximum of row r to `most`: what its sum and its o (`features` of them) hold becomes less.
template <class T>
inline void raise_maximum(ForwardRows<T>& row, std::int64_t r, T most, T* o, std::int64_t features) {
    const T shrink = natural_exp(row.maximum[r] - most);
    row.maximum[r] = most;
    row.sum[r] *= shrink;
    for (std::int64_t d = 0; d < features; d += kWidth<T>) store(o + d, load(o + d) * Vec<T>(shrink));
}

// Steps 2 and 3's rescale of o, where it has begun, for one block of scores of rows [first_row, last_row).
template <class T, class Act>
void weigh_block(const ForwardCall<T>& call, const KeyBlock<T>& keys, std::int64_t columns,
                 ForwardRows<T>& row, std::int64_t first_row, std::int64_t last_row, T* s, T* o) {
    const T scale = call.parameter.scale;
    const std::int64_t features = keys.begun ? call.n.value_dim : 0;
    for (std::int64_t r = first_row; r < last_row;
         ++r, s += call.block.score_stride, o += call.block.value_width) {
        const std::int64_t seen = seen_of(row.end[r], keys.first, columns);
        if constexpr (!Act::normalised) {
            weigh<T, Act>(s, seen, columns, scale, row.shift[r]);
        } else {
            const T old = row.maximum[r], here = row_maximum(s, seen, scale);
            T most = here > old ? here : old, sum;
            // Where every score so far is -inf, any finite maximum gives weights of 0.
            const T shift = most == -infinity<T>() ? T(0) : -most;
            if constexpr (Act::subtracts_maximum) {
                sum = weigh<T, Act>(s, seen, columns, scale, shift);
            } else if (most < static_cast<T>(Act::exponential_below)) {
                sum = weigh<T, activation::Exponential>(s, seen, columns, scale, shift);
            } else {
                sum = weigh<T, Act>(s, seen, columns, scale, T(0));
                most = sum > kLarge<T> || old > 0 ? kLowered<T> : T(0);
                if (most > 0) sum = lower_weights(s, seen);
            }
            if (most != old) raise_maximum(row, r, most, o, features);
            row.sum[r] += sum;
        }
    }
}

// The normaliser's offset is counted once, by the first chunk.
template <class T, class Act>
void begin_row(const ForwardCall<T>& call, std::int64_t query, std::int64_t head, bool first_chunk,
               ForwardRows<T>& row, std::int64_t r) {
    const RowConstants<T> constant = row_constants<T, Act>(call.n, call.parameter, query, head);
    row.end[r] = keys_seen(call.n, query);
    row.shift[r] = constant.shift;
    row.weight[r] = constant.weight;
    row.maximum[r] = -infinity<T>();
    row.sum[r] = 0;
    if constexpr (Act::subtracts_maximum) {
        if (!first_chunk) return;
        const T offset = Act::offset(call.parameter, head);
        row.maximum[r] = offset;
        row.sum[r] = offset == -infinity<T>() ? 0 : 1;
    }
}

// Step 4 for one row.
template <class T, class Act>
void end_row(const ForwardCall<T>& call, std::int64_t batch, std::int64_t head, std::int64_t query, T maximum,
             double sum, T weight, const T* from) {
    const T factor = !Act::normalised ? weight : sum == 0 ? T(0) : static_cast<T>(1 / sum);
    scale_row(from, call.n.value_dim, factor, at(call.o, batch, head, query));
    if constexpr (Act::normalised)
        if (call.lse)
            call.lse[(batch * call.n.query_heads + head) * call.n.queries + query] =
                maximum + natural_log(static_cast<T>(sum));
}

// Steps 1 to 3 for rows [first_row, last_row) of a task.
template <class T, class Act>
void attend(const ForwardCall<T>& call, const KeyBlock<T>& keys, ForwardRows<T>& row, std::int64_t first_row,
            std::int64_t last_row, T* o, T* scratch) {
    const Blocks& block = call.block;
    const std::int64_t key_dim = call.n.key_dim, value_dim = call.n.value_dim, rows = last_row - first_row;
    const std::int64_t* const end = row.end + first_row;  // they do not fall from row to row
    const std::int64_t columns = seen_of(end[rows - 1], keys.first, keys.columns);
    if (columns == 0 && keys.begun) return;
    T* const s = scratch + call.scratch.scores;
    const bool odd = keys.odd && end[0] < keys.first + columns;
    const auto seen = [&](std::int64_t r) { return seen_of(end[r], keys.first, columns); };
    const auto weigh_and_add = [&](auto v) {
        weigh_block<T, Act>(call, keys, columns, row, first_row, last_row, s, o);
        multiply_seen(s, block.score_stride, rows, v, odd, seen, value_dim, o, block.value_width, keys.begun);
    };
    if (call.reading == Reading::in_place) {
        const Lines<T> k = {keys.k, call.k.row_stride, columns, keys.after_k, call.v.row_stride};
        multiply_transposed(row.q + first_row, rows, k, key_dim, s, block.score_stride,
                            scratch + call.scratch.turned);
        weigh_and_add(Lines<T>{keys.v, call.v.row_stride, columns, keys.after_v, call.k.row_stride});
    } else {
        const Panels<T> k = {keys.k, key_dim * kPanel<T>, key_dim, keys.after_k};
        multiply(ByRow<T>{row.q + first_row}, rows, k, columns, s, block.score_stride, false);
        weigh_and_add(Panels<T>{keys.v, block.keys * kPanel<T>, columns, keys.after_v});
    }
}

// What some of the keys give to a row: the largest score, the sum of weights, and o, both times e^-maximum.
template <class T>
struct Part {
    T maximum;
    double sum;
    T* o;
};

// Adds `part` to `total`, whose o is compensated by `lost`.
template <class T>
void join_part(Part<T>& total, const Part<T>& part, std::int64_t features, T* lost) {
    const T most = part.maximum > total.maximum ? part.maximum : total.maximum;
    const auto factor = [&](T maximum) { return maximum == most ? T(1) : natural_exp(maximum - most); };
    const T kept = factor(total.maximum), added = factor(part.maximum);
    if (kept != 1) {
        scale_row(total.o, features, kept, total.o);
        scale_row(lost, features, kept, lost);
    }
    compensate_row(part.o, features, added, total.o, lost);
    total.sum = total.sum * static_cast<double>(kept) + part.sum * static_cast<double>(added);
    total.maximum = most;
}

// The index of the first row of a kv head among the rows of all chunks.
template <class T>
std::int64_t part_of(const ForwardCall<T>& call, std::int64_t batch, std::int64_t kv_head,
                     std::int64_t chunk) {
    const Extents& n = call.n;
    return ((batch * n.kv_heads + kv_head) * call.chunks + chunk) * n.queries * n.heads_per_kv;
}

// A block of rows of a kv head.
struct RowRange {
    std::int64_t batch, kv_head, first, count;
};

struct KeyBlockRange {
    std::int64_t first, end;
};

// Steps 1 to 3 over some key blocks: fills row and o.
template <class T, class Act>
void attend_part(const ForwardCall<T>& call, const RowRange& rows, const KeyBlockRange& blocks,
                 ForwardRows<T>& row, T* o, T* scratch) {
    const Extents& n = call.n;
    const Blocks& block = call.block;
    for (std::int64_t r = 0; r < rows.count; ++r) {
        const auto [query, head] = row_at(n, rows.kv_head, rows.first + r);
        row.q[r] = at(call.q, rows.batch, head, query);
        begin_row<T, Act>(call, query, head, blocks.first == 0, row, r);
    }
    const std::int64_t end_key = smaller(row.end[rows.count - 1], blocks.end * block.keys);
    if (end_key <= blocks.first * block.keys)
        for (std::int64_t i = 0; i < rows.count * block.value_width; ++i) o[i] = 0;
    for (std::int64_t kb = blocks.first; kb * block.keys < end_key; ++kb) {
        const bool last = (kb + 1) * block.keys >= end_key;
        KeyBlock<T> keys = read_key_block(call, rows.batch, rows.kv_head, kb, last, scratch);
        keys.columns = smaller(block.keys, end_key - keys.first);
        keys.begun = kb > blocks.first;
        // Where not all rows see all keys, a few at a time: those that see less are then spared more.
        const bool ragged = row.end[0] < keys.first + keys.columns;
        const std::int64_t step = ragged ? smaller(kRaggedRows, rows.count) : rows.count;
        for (std::int64_t r = 0; r < rows.count; r += step)
            attend<T, Act>(call, keys, row, r, smaller(r + step, rows.count), o + r * block.value_width,
                           scratch);
    }
}

// Where the rows of a block keep what their parts give together.
template <class T>
Part<T> total_of(const ForwardCall<T>& call, const ForwardRows<T>& total, std::int64_t r, T* scratch) {
    return {total.maximum[r], total.sum[r], scratch + call.scratch.total + r * call.block.value_width};
}

// The first part is the total.
template <class T>
void begin_total(const ForwardCall<T>& call, std::int64_t rows, ForwardRows<T>& total,
                 const ForwardRows<T>& row, T* o, T* scratch) {
    const std::int64_t width = call.block.value_width;
    for (std::int64_t r = 0; r < rows; ++r) {
        total.maximum[r] = row.maximum[r], total.sum[r] = row.sum[r];
        scale_row(o + r * width, call.n.value_dim, T(1), total_of(call, total, r, scratch).o);
        clear_rows(scratch + call.scratch.lost + r * width, 0, 1, call.n.value_dim);
    }
}

// Each further part is joined to it.
template <class T>
void join_total(const ForwardCall<T>& call, std::int64_t rows, ForwardRows<T>& total,
                const ForwardRows<T>& row, T* o, T* scratch) {
    const std::int64_t width = call.block.value_width;
    for (std::int64_t r = 0; r < rows; ++r) {
        Part<T> whole = total_of(call, total, r, scratch);
        join_part(whole, {row.maximum[r], row.sum[r], o + r * width}, call.n.value_dim,
                  scratch + call.scratch.lost + r * width);
        total.maximum[r] = whole.maximum, total.sum[r] = whole.sum;
    }
}

template <class T, class Act>
void forward_block(const ForwardCall<T>& call, std::int64_t batch, std::int64_t kv_head,
                   std::int64_t row_block, std::int64_t chunk, T* scratch) {
    const Extents& n = call.n;
    const Blocks& block = call.block;
    const std::int64_t first_row = row_block * block.rows;
    const RowRange rows = {batch, kv_head, first_row,
                           smaller(block.rows, n.queries * n.heads_per_kv - first_row)};
    const std::int64_t part = part_of(call, batch, kv_head, chunk) + first_row;
    T* o = call.chunks > 1 ? call.part_o + part * block.value_width : scratch + call.scratch.output;
    ForwardRows<T> row, total;
    const std::int64_t from = chunk * call.chunk_blocks;
    const std::int64_t end = smaller(from + call.chunk_blocks, block.key_blocks);
    const bool joins = needs_parts(end - from);
    std::int64_t kb = from;
    do {
        attend_part<T, Act>(call, rows, {kb, smaller(kb + kPlainTerms, end)}, row, o, scratch);
        if (joins) (kb == from ? begin_total<T> : join_total<T>)(call, rows.count, total, row, o, scratch);
        kb += kPlainTerms;
    } while (kb < end);
    if (joins) o = scratch + call.scratch.total;
    const ForwardRows<T>& result = joins ? total : row;
    for (std::int64_t r = 0; r < rows.count; ++r) {
        const auto [query, head] = row_at(n, kv_head, first_row + r);
        if (call.chunks > 1)
            call.part_maximum[part + r] = result.maximum[r], call.part_sum[part + r] = result.sum[r];
        else
            end_row<T, Act>(call, batch, head, query, result.maximum[r], result.sum[r], row.weight[r],
                            o + r * block.value_width);
    }
}

// Joins the chunks of one row.
template <class T, class Act>
void join_chunks(const ForwardCall<T>& call, std::int64_t batch, std::int64_t kv_head, std::int64_t row,
                 T* scratch) {
    const Extents& n = call.n;
    const auto [query, head] = row_at(n, kv_head, row);
    const std::int64_t width = call.block.value_width;
    const auto part = [&](std::int64_t chunk) -> Part<T> {
        const std::int64_t i = part_of(call, batch, kv_head, chunk) + row;
        return {call.part_maximum[i], call.part_sum[i], call.part_o + i * width};
    };
    T* const lost = scratch + call.scratch.lost;
    clear_rows(lost, 0, 1, n.value_dim);
    Part<T> total = part(0);
    for (std::int64_t c = 1; c < call.chunks; ++c) join_part(total, part(c), n.value_dim, lost);
    end_row<T, Act>(call, batch, head, query, total.maximum, total.sum,
                    row_constants<T, Act>(n, call.parameter, query, head).weight, total.o);
}

}  // namespace
}  // namespace hone
