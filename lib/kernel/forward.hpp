// forward.hpp: the forward tile: all keys that one block of rows sees, block by block, online.
//
//   1. s = q k^T, in the unit of the activation
//   2. s -> phi(s - m), the running maximum m and sum l updated (shifted family), or phi(s + b)
//   3. o = o * e^(m_old - m) + p v
//   4. o / l or w o; L = m + log l
//
// Where the keys are cut into chunks, each leaves its m, l and o, and 4 comes when they are joined.
#pragma once

#include "kernel/in_place.hpp"
#include "kernel/pack.hpp"
#include "kernel/rows.hpp"

namespace hone {
namespace {

// Rows that are treated together along the edge of a causal mask: whole register tiles of 6 and of 8 rows.
inline constexpr std::int64_t kRaggedRows = 48;

// What a block of rows carries from one key block to the next.
template <class T>
struct ForwardRows {
    const T* q[kMaxRows];
    std::int64_t end[kMaxRows];  // keys that the row sees
    T maximum[kMaxRows];         // in the unit of the scores
    T sum[kMaxRows];
    T shift[kMaxRows], weight[kMaxRows];
};

template <class T>
void pack_keys(const ForwardCall<T>& call, std::int64_t batch, std::int64_t head, std::int64_t key_block,
               T* to) {
    const Extents& n = call.n;
    const std::int64_t first = key_block * call.block.keys, rows = smaller(call.block.keys, n.keys - first);
    pack_transposed(StridedRows<T>{at(call.k, batch, head, first), call.k.row_stride}, rows, n.key_dim,
                    static_cast<T>(call.parameter.score_scale), to);
}

// Whether a value is not finite.
template <class T>
bool pack_values(const ForwardCall<T>& call, std::int64_t batch, std::int64_t head, std::int64_t key_block,
                 T* to) {
    const Extents& n = call.n;
    const std::int64_t first = key_block * call.block.keys, rows = smaller(call.block.keys, n.keys - first);
    return !pack_columns(StridedRows<T>{at(call.v, batch, head, first), call.v.row_stride}, rows, n.value_dim,
                         call.block.keys * kPanel<T>, to);
}

// Packs for all blocks of rows.
template <class T>
void share_keys(const ForwardCall<T>& call, std::int64_t slot, std::int64_t key_block) {
    pack_keys(call, slot / call.k_heads, slot % call.k_heads, key_block, packed_keys(call, slot, key_block));
}
template <class T>
void share_values(const ForwardCall<T>& call, std::int64_t slot, std::int64_t key_block) {
    call.v_odd[slot * call.block.key_blocks + key_block] = pack_values(
        call, slot / call.v_heads, slot % call.v_heads, key_block, packed_values(call, slot, key_block));
}

// Calls body(c, prepare(c), visible) for each group of vectors of a row of which the first `seen` elements
// are visible; visible is null where the whole group is. The next group is prepared before body is called for
// this one.
template <class T, class Prepare, class Body>
inline void for_visible(std::int64_t seen, Prepare prepare, Body body) {
    constexpr int w = Group<T>::width;
    if (seen <= 0) return;
    std::int64_t c = 0;
    auto prepared = prepare(c);
    for (; c + w < seen; c += w) {
        const auto next = prepare(c + w);
        body(c, prepared, static_cast<const GroupMask<T>*>(nullptr));
        prepared = next;
    }
    if (c + w == seen) {
        body(c, prepared, static_cast<const GroupMask<T>*>(nullptr));
    } else {
        const GroupMask<T> visible = first_of<T>(seen - c);
        body(c, prepared, &visible);
    }
}
template <class T, class Body>
inline void for_visible(std::int64_t seen, Body body) {
    for_visible<T>(
        seen, [](std::int64_t) { return 0; },
        [&](std::int64_t c, int, const GroupMask<T>* visible) { body(c, visible); });
}

// Zeroes the whole groups beyond the visible ones, up to `columns`.
template <class T>
inline void clear_hidden(T* row, std::int64_t seen, std::int64_t columns) {
    constexpr int w = Group<T>::width;
    for (std::int64_t c = round_up(seen, w); c < columns; c += w) store(row + c, Group<T>(0));
}

template <class T>
inline Group<T> visible_or(const GroupMask<T>* visible, Group<T> x, T otherwise) {
    return visible ? select(*visible, x, Group<T>(otherwise)) : x;
}

template <class Act>
inline constexpr bool shifts = Act::subtracts_maximum || Act::takes_shift;

// Step 2 for one row: s -> phi, and its sum. Flattened, as the activation is worth its speed only when all of
// it is inlined: shared parts of value and slope are then computed once.
template <class T, class Act>
[[gnu::noinline, gnu::flatten]] T weigh(T* s, std::int64_t seen, std::int64_t columns, T shift) {
    Group<T> sum(0);
    const Group<T> b(shift);
    const auto prepare = [&](std::int64_t c) {
        return Act::template prepare<false>(shifts<Act> ? load_group(s + c) + b : load_group(s + c));
    };
    for_visible<T>(seen, prepare, [&](std::int64_t c, const auto& x, const GroupMask<T>* visible) {
        const Group<T> p = visible_or<T>(visible, Act::value(x), 0);
        store(s + c, p);
        if constexpr (Act::normalised) sum = sum + p;
    });
    clear_hidden(s, seen, columns);
    return Act::normalised ? sum_of(sum) : T(0);
}

template <class T>
inline T row_maximum(const T* s, std::int64_t seen) {
    Group<T> most(-infinity<T>());
    for_visible<T>(seen, [&](std::int64_t c, const GroupMask<T>* visible) {
        most = at_least(most, visible_or<T>(visible, load_group(s + c), -infinity<T>()));
    });
    return max_of(most);
}

// Of `columns` keys from first_key on, those that a row sees that sees `end` keys in all.
inline std::int64_t seen_of(std::int64_t end, std::int64_t first_key, std::int64_t columns) {
    return end <= first_key ? 0 : smaller(end - first_key, columns);
}

// Steps 2 and 3's rescale of o, where it has begun, for one block of scores of rows [first_row, last_row).
template <class T, class Act>
void weigh_block(T* s, const Blocks& block, ForwardRows<T>& row, std::int64_t first_row,
                 std::int64_t last_row, std::int64_t first_key, std::int64_t columns, T* o,
                 std::int64_t value_dim, bool begun) {
    for (std::int64_t r = first_row; r < last_row; ++r, s += block.score_stride, o += block.value_width) {
        const std::int64_t seen = seen_of(row.end[r], first_key, columns);
        if constexpr (!Act::subtracts_maximum) {
            row.sum[r] += weigh<T, Act>(s, seen, columns, row.shift[r]);
        } else {
            const T old = row.maximum[r], here = row_maximum(s, seen);
            const T most = here > old ? here : old;
            // Where every score so far is -inf, any finite maximum gives weights of 0.
            const T sum = weigh<T, Act>(s, seen, columns, most == -infinity<T>() ? T(0) : -most);
            if (most != old) {
                const T shrink = power_of_two(old - most);
                row.sum[r] *= shrink;
                row.maximum[r] = most;
                if (begun)
                    for (std::int64_t d = 0; d < value_dim; d += kWidth<T>)
                        store(o + d, load(o + d) * Vec<T>(shrink));
            }
            row.sum[r] += sum;
        }
    }
}

// c (+)= a b by rows, of which row r has seen(r) elements that are not 0. Where b is odd (holds a NaN or inf,
// and some row does not see some key), rows read just what they see: 0 * NaN is NaN.
template <class T, class B, class Seen>
void multiply_seen(const T* a, std::int64_t a_stride, std::int64_t rows, B b, bool odd, Seen seen,
                   std::int64_t columns, T* c, std::int64_t c_stride, bool add) {
    const T* row[kMaxRows];
    for (std::int64_t r = 0; r < rows; ++r) row[r] = a + r * a_stride;
    if (!odd) {
        multiply(ByRow<T>{row}, rows, b, columns, c, c_stride, add);
        return;
    }
    for (std::int64_t r = 0; r < rows; ++r) {
        b.depth = seen(r);
        multiply(ByRow<T>{row + r}, 1, b, columns, c + r * c_stride, c_stride, add);
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
        const T offset = Act::offset(call.parameter, head) * static_cast<T>(Act::unit);
        row.maximum[r] = offset;
        row.sum[r] = offset == -infinity<T>() ? 0 : 1;
    }
}

// Step 4 for one row.
template <class T, class Act>
void end_row(const ForwardCall<T>& call, std::int64_t batch, std::int64_t head, std::int64_t query, T maximum,
             T sum, T weight, const T* from) {
    const T factor = !Act::normalised ? weight * static_cast<T>(Act::value_unit) : sum == 0 ? T(0) : 1 / sum;
    scale_row(from, call.n.value_dim, factor, at(call.o, batch, head, query));
    if constexpr (Act::normalised)
        if (call.lse)
            call.lse[(batch * call.n.query_heads + head) * call.n.queries + query] =
                (Act::subtracts_maximum ? maximum * static_cast<T>(kLn2) : T(0)) +
                natural_log(sum * static_cast<T>(Act::value_unit));
}

// One block of keys as a task reads it: where k and v lie, or their panels; and what is read after each.
template <class T>
struct KeyBlock {
    std::int64_t first, columns;  // keys
    bool begun;                   // o holds something
    const T *k, *v, *after_k, *after_v;
    bool odd;  // v may hold a NaN or inf
};

template <class T>
KeyBlock<T> read_key_block(const ForwardCall<T>& call, std::int64_t batch, std::int64_t kv_head,
                           std::int64_t key_block, bool last, T* scratch) {
    const std::int64_t first = key_block * call.block.keys;
    KeyBlock<T> keys = {first, 0, false, nullptr, nullptr, nullptr, nullptr, true};
    if (call.reading == Reading::in_place) {
        keys.k = at(call.k, batch, kv_head, first);
        keys.v = keys.after_k = at(call.v, batch, kv_head, first);
        keys.after_v = last ? keys.v : at(call.k, batch, kv_head, first + call.block.keys);
    } else if (call.reading == Reading::own) {
        T *const k = scratch + call.scratch.packed_k, *const v = scratch + call.scratch.packed_v;
        pack_keys(call, batch, kv_head, key_block, k);
        keys.odd = pack_values(call, batch, kv_head, key_block, v);
        keys.k = keys.after_v = k;
        keys.v = keys.after_k = v;
    } else {
        const std::int64_t k_slot = slot_of(batch, kv_head, call.k_batches, call.k_heads);
        const std::int64_t v_slot = slot_of(batch, kv_head, call.v_batches, call.v_heads);
        keys.k = packed_keys(call, k_slot, key_block);
        keys.v = keys.after_k = packed_values(call, v_slot, key_block);
        keys.after_v = last ? keys.v : packed_keys(call, k_slot, key_block + 1);
        keys.odd = call.v_odd[v_slot * call.block.key_blocks + key_block] != 0;
    }
    return keys;
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
    const auto weigh_rows = [&] {
        weigh_block<T, Act>(s, block, row, first_row, last_row, keys.first, columns, o, value_dim,
                            keys.begun);
    };
    if (call.reading == Reading::in_place) {
        const Lines<T> k = {keys.k, call.k.row_stride, columns, keys.after_k, call.v.row_stride};
        const Lines<T> v = {keys.v, call.v.row_stride, columns, keys.after_v, call.k.row_stride};
        multiply_transposed(row.q + first_row, rows, k, key_dim, static_cast<T>(call.parameter.score_scale),
                            s, block.score_stride, scratch + call.scratch.turned);
        weigh_rows();
        multiply_seen(s, block.score_stride, rows, v, odd, seen, value_dim, o, block.value_width, keys.begun);
    } else {
        const Panels<T> k = {keys.k, key_dim * kPanel<T>, key_dim, keys.after_k};
        const Panels<T> v = {keys.v, block.keys * kPanel<T>, columns, keys.after_v};
        multiply(ByRow<T>{row.q + first_row}, rows, k, columns, s, block.score_stride, false);
        weigh_rows();
        multiply_seen(s, block.score_stride, rows, v, odd, seen, value_dim, o, block.value_width, keys.begun);
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
        const T factor = maximum == most ? T(1) : power_of_two(maximum - most);
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
