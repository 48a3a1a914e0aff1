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

// Calls body(c, visible) for each group of vectors of a row of which the first `seen` elements are visible;
// visible is null where the whole group is.
template <class T, class Body>
inline void for_visible(std::int64_t seen, Body body) {
    constexpr int w = Group<T>::width;
    std::int64_t c = 0;
    for (; c + w <= seen; c += w) body(c, static_cast<const GroupMask<T>*>(nullptr));
    if (c < seen) {
        const GroupMask<T> visible = first_of<T>(seen - c);
        body(c, &visible);
    }
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

// Step 2 for one row: s -> phi, and its sum. Flattened, as the activation is worth its speed only when all of
// it is inlined: shared parts of value and slope are then computed once.
template <class T, class Act>
[[gnu::noinline, gnu::flatten]] T weigh(T* s, std::int64_t seen, std::int64_t columns, T shift) {
    Group<T> sum(0);
    const Group<T> b(shift);
    for_visible<T>(seen, [&](std::int64_t c, const GroupMask<T>* visible) {
        const Group<T> p = visible_or<T>(visible, Act::value(load_group(s + c) + b), 0);
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

// Steps 2 and 3's rescale of o, where it has begun, for one block of scores.
template <class T, class Act>
void weigh_block(T* s, const Blocks& block, ForwardRows<T>& row, std::int64_t rows, std::int64_t first_key,
                 std::int64_t columns, T* o, std::int64_t value_dim, bool begun) {
    for (std::int64_t r = 0; r < rows; ++r, s += block.score_stride, o += block.value_width) {
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
    const T factor = !Act::normalised ? weight : sum == 0 ? T(0) : 1 / sum;
    scale_row(from, call.n.value_dim, factor, at(call.o, batch, head, query));
    if constexpr (Act::normalised)
        if (call.lse)
            call.lse[(batch * call.n.query_heads + head) * call.n.queries + query] =
                (Act::subtracts_maximum ? maximum * static_cast<T>(kLn2) : T(0)) + natural_log(sum);
}

// Where one task is: a block of rows, and of the keys, those of one block.
template <class T>
struct ForwardPlace {
    std::int64_t batch, kv_head, rows;
    std::int64_t key_block, first, columns;
    bool begun, last;  // o holds something; no key block follows
    T* scratch;
};

// Step 1.
template <class T>
void score_block(const ForwardCall<T>& call, const ForwardPlace<T>& here, const ForwardRows<T>& row, T* s) {
    const std::int64_t stride = call.block.score_stride, dim = call.n.key_dim;
    if (call.reading == Reading::in_place) {
        const Lines<T> k = {at(call.k, here.batch, here.kv_head, here.first), call.k.row_stride, here.columns,
                            at(call.v, here.batch, here.kv_head, here.first), call.v.row_stride};
        multiply_transposed(row.q, here.rows, k, dim, static_cast<T>(call.parameter.score_scale), s, stride,
                            here.scratch + call.scratch.turned);
        return;
    }
    T* k = here.scratch + call.scratch.packed_k;
    const T* after = k;
    if (call.reading == Reading::own) {
        pack_keys(call, here.batch, here.kv_head, here.key_block, k);
    } else {
        k = packed_keys(call, slot_of(here.batch, here.kv_head, call.k_batches, call.k_heads),
                        here.key_block);
        after = packed_values(call, slot_of(here.batch, here.kv_head, call.v_batches, call.v_heads),
                              here.key_block);
    }
    multiply(ByRow<T>{row.q}, here.rows, Panels<T>{k, dim * kPanel<T>, dim, after}, here.columns, s, stride,
             false);
}

// Step 3's o += p v.
template <class T>
void value_block(const ForwardCall<T>& call, const ForwardPlace<T>& here, const ForwardRows<T>& row,
                 const T* p, T* o) {
    const Blocks& block = call.block;
    const std::int64_t v_slot = slot_of(here.batch, here.kv_head, call.v_batches, call.v_heads);
    const bool ragged = row.end[0] < here.first + here.columns;  // ends do not fall from row to row
    const auto multiply_by = [&](auto v, bool odd) {
        multiply_seen(
            p, block.score_stride, here.rows, v, ragged && odd,
            [&](std::int64_t r) { return seen_of(row.end[r], here.first, here.columns); }, call.n.value_dim,
            o, block.value_width, here.begun);
    };
    if (call.reading == Reading::in_place) {
        const T* v = at(call.v, here.batch, here.kv_head, here.first);
        const T* next = here.last ? v : at(call.k, here.batch, here.kv_head, here.first + block.keys);
        multiply_by(Lines<T>{v, call.v.row_stride, here.columns, next, call.k.row_stride}, true);
    } else if (call.reading == Reading::own) {
        T* v = here.scratch + call.scratch.packed_v;
        const bool odd = pack_values(call, here.batch, here.kv_head, here.key_block, v);
        multiply_by(Panels<T>{v, block.keys * kPanel<T>, here.columns, v}, odd);
    } else {
        const T* v = packed_values(call, v_slot, here.key_block);
        const std::int64_t k_slot = slot_of(here.batch, here.kv_head, call.k_batches, call.k_heads);
        const T* next = here.last ? v : packed_keys(call, k_slot, here.key_block + 1);
        multiply_by(Panels<T>{v, block.keys * kPanel<T>, here.columns, next},
                    call.v_odd[v_slot * block.key_blocks + here.key_block] != 0);
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
    T* const s = scratch + call.scratch.scores;
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
        const std::int64_t first = kb * block.keys, columns = smaller(block.keys, end - first);
        const ForwardPlace<T> here = {
            batch, kv_head, rows, kb, first, columns, kb > from, first + block.keys >= end, scratch};
        score_block(call, here, row, s);
        weigh_block<T, Act>(s, block, row, rows, first, columns, o, n.value_dim, here.begun);
        value_block(call, here, row, s, o);
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
        T factor = 1;
        if (Act::subtracts_maximum && most > -infinity<T>())
            factor = power_of_two(call.part_maximum[part(c)] - most);
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
