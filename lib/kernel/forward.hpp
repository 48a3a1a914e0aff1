// forward.hpp: the forward tile: all keys that one block of rows sees, block by block, online.
//
//   1. s = q k^T
//   2. s -> phi(scale s - m), the running maximum m and sum l updated (shifted family), or phi(scale s + b)
//   3. o = o * e^(m_old - m) + p v
//   4. o / l or w o; L = m + log l
//
// Where the keys are cut into chunks, each leaves its m, l and o, and 4 comes when they are joined.
#pragma once

#include "kernel/key_block.hpp"
#include "kernel/weigh.hpp"

namespace hone {
namespace {

// Rows that are treated together along the edge of a causal mask: whole register tiles of 6 and of 8 rows.
inline constexpr std::int64_t kRaggedRows = 48;

// What a block of rows carries from one key block to the next.
template <class T>
struct ForwardRows {
    const T* q[kMaxRows];
    std::int64_t end[kMaxRows];  // keys that the row sees
    T maximum[kMaxRows];
    T sum[kMaxRows];
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
        if constexpr (!Act::subtracts_maximum) {
            T sum = weigh<T, Act>(s, seen, columns, scale, row.shift[r]);
            if (Act::normalised && (sum > kLarge<T> || row.maximum[r] != 0)) {
                if (row.maximum[r] == 0) raise_maximum(row, r, kLowered<T>, o, features);
                sum = lower_weights(s, seen);
            }
            row.sum[r] += sum;
        } else {
            const T old = row.maximum[r], here = row_maximum(s, seen, scale);
            const T most = here > old ? here : old;
            // Where every score so far is -inf, any finite maximum gives weights of 0.
            const T sum = weigh<T, Act>(s, seen, columns, scale, most == -infinity<T>() ? T(0) : -most);
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
    row.maximum[r] = Act::subtracts_maximum ? -infinity<T>() : T(0);
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
             T sum, T weight, const T* from) {
    const T factor = !Act::normalised ? weight : sum == 0 ? T(0) : 1 / sum;
    scale_row(from, call.n.value_dim, factor, at(call.o, batch, head, query));
    if constexpr (Act::normalised)
        if (call.lse)
            call.lse[(batch * call.n.query_heads + head) * call.n.queries + query] =
                maximum + natural_log(sum);
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

// The index of the first row of a kv head among the rows of all chunks.
template <class T>
std::int64_t part_of(const ForwardCall<T>& call, std::int64_t batch, std::int64_t kv_head,
                     std::int64_t chunk) {
    const Extents& n = call.n;
    return ((batch * n.kv_heads + kv_head) * call.chunks + chunk) * n.queries * n.heads_per_kv;
}

template <class T, class Act>
void forward_block(const ForwardCall<T>& call, std::int64_t batch, std::int64_t kv_head,
                   std::int64_t row_block, std::int64_t chunk, T* scratch) {
    const Extents& n = call.n;
    const Blocks& block = call.block;
    const std::int64_t first_row = row_block * block.rows;
    const std::int64_t rows = smaller(block.rows, n.queries * n.heads_per_kv - first_row);
    const std::int64_t part = part_of(call, batch, kv_head, chunk) + first_row;
    T* const o = call.chunks > 1 ? call.part_o + part * block.value_width : scratch + call.scratch.output;
    ForwardRows<T> row;
    for (std::int64_t r = 0; r < rows; ++r) {
        const auto [query, head] = row_at(n, kv_head, first_row + r);
        row.q[r] = at(call.q, batch, head, query);
        begin_row<T, Act>(call, query, head, chunk == 0, row, r);
    }
    const std::int64_t from = chunk * call.chunk_blocks;
    const std::int64_t end = smaller(row.end[rows - 1], (from + call.chunk_blocks) * block.keys);
    if (end <= from * block.keys)
        for (std::int64_t i = 0; i < rows * block.value_width; ++i) o[i] = 0;
    for (std::int64_t kb = from; kb * block.keys < end; ++kb) {
        KeyBlock<T> keys = read_key_block(call, batch, kv_head, kb, (kb + 1) * block.keys >= end, scratch);
        keys.columns = smaller(block.keys, end - keys.first);
        keys.begun = kb > from;
        // Where not all rows see all keys, a few at a time: those that see less are then spared more.
        const bool ragged = row.end[0] < keys.first + keys.columns;
        const std::int64_t step = ragged ? smaller(kRaggedRows, rows) : rows;
        for (std::int64_t r = 0; r < rows; r += step)
            attend<T, Act>(call, keys, row, r, smaller(r + step, rows), o + r * block.value_width, scratch);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
        const auto [query, head] = row_at(n, kv_head, first_row + r);
        if (call.chunks > 1)
            call.part_maximum[part + r] = row.maximum[r], call.part_sum[part + r] = row.sum[r];
        else
            end_row<T, Act>(call, batch, head, query, row.maximum[r], row.sum[r], row.weight[r],
                            o + r * block.value_width);
    }
}

// Joins the chunks of one row.
template <class T, class Act>
void join_chunks(const ForwardCall<T>& call, std::int64_t batch, std::int64_t kv_head, std::int64_t row) {
    const Extents& n = call.n;
    const auto [query, head] = row_at(n, kv_head, row);
    const auto part = [&](std::int64_t chunk) { return part_of(call, batch, kv_head, chunk) + row; };
    const std::int64_t width = call.block.value_width;
    T most = -infinity<T>();
    for (std::int64_t c = 0; c < call.chunks; ++c)
        if (call.part_maximum[part(c)] > most) most = call.part_maximum[part(c)];
    T sum = 0;
    T* const o = call.part_o + part(0) * width;
    for (std::int64_t c = 0; c < call.chunks; ++c) {
        const T maximum = call.part_maximum[part(c)];
        const T factor = maximum == most ? T(1) : natural_exp(maximum - most);
        sum += factor * call.part_sum[part(c)];
        if (c == 0)
            scale_row(o, n.value_dim, factor, o);
        else
            add_row(call.part_o + part(c) * width, n.value_dim, factor, o);
    }
    end_row<T, Act>(call, batch, head, query, most, sum,
                    row_constants<T, Act>(n, call.parameter, query, head).weight, o);
}

}  // namespace
}  // namespace hone
