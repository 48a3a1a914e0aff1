// forward.hpp: the forward tile: all keys that one block of rows sees, block by block, online.
//
//   1. s = q k^T, in the unit of the activation
//   2. s -> phi(s - m), the running maximum m and sum l updated (shifted family), or phi(s + b)
//   3. o = o * e^(m_old - m) + p v
//   4. o / l or w o; L = m + log l
#pragma once

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
void pack_keys(const ForwardCall<T>& call, std::int64_t slot, std::int64_t key_block) {
    const Extents& n = call.n;
    const std::int64_t first = key_block * call.block.keys, rows = smaller(call.block.keys, n.keys - first);
    pack_transposed(at(call.k, slot / call.k_heads, slot % call.k_heads, first), call.k.row_stride, rows,
                    n.key_dim, static_cast<T>(call.parameter.score_scale),
                    packed_keys(call, slot, key_block));
}

template <class T>
void pack_values(const ForwardCall<T>& call, std::int64_t slot, std::int64_t key_block) {
    const Extents& n = call.n;
    const std::int64_t first = key_block * call.block.keys, rows = smaller(call.block.keys, n.keys - first);
    const T* v = at(call.v, slot / call.v_heads, slot % call.v_heads, first);
    const bool finite =
        pack_columns<T>([&](std::int64_t j) { return v + j * call.v.row_stride; }, rows, n.value_dim,
                        call.block.keys * kPanel<T>, packed_values(call, slot, key_block));
    call.v_odd[slot * call.block.key_blocks + key_block] = !finite;
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

// Steps 2 and 3's rescale of o for one block of scores.
template <class T, class Act>
void weigh_block(T* s, const Blocks& block, ForwardRows<T>& row, std::int64_t rows, std::int64_t first_key,
                 std::int64_t columns, T* o, std::int64_t value_dim) {
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
                if (first_key > 0)
                    for (std::int64_t d = 0; d < value_dim; d += kWidth<T>)
                        store(o + d, load(o + d) * Vec<T>(shrink));
            }
            row.sum[r] += sum;
        }
    }
}

// c (+)= a b by rows, of which row r has seen(r) elements that are not 0. Where b is odd (holds a NaN or inf,
// and some row does not see some key), rows read just what they see: 0 * NaN is NaN.
template <class T, class Seen>
void multiply_seen(const T* a, std::int64_t a_stride, std::int64_t rows, Right<T> b, bool odd, Seen seen,
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

template <class T, class Act>
void begin_row(const ForwardCall<T>& call, std::int64_t query, std::int64_t head, ForwardRows<T>& row,
               std::int64_t r) {
    const RowConstants<T> constant = row_constants<T, Act>(call.n, call.parameter, query, head);
    row.end[r] = keys_seen(call.n, query);
    row.shift[r] = constant.shift;
    row.weight[r] = constant.weight;
    row.maximum[r] = -infinity<T>();
    row.sum[r] = 0;
    if constexpr (Act::subtracts_maximum) {
        const T offset = Act::offset(call.parameter, head) * static_cast<T>(Act::unit);
        row.maximum[r] = offset;
        row.sum[r] = offset == -infinity<T>() ? 0 : 1;
    }
}

// Step 4 for one row.
template <class T, class Act>
void end_row(const ForwardCall<T>& call, std::int64_t batch, std::int64_t head, std::int64_t query,
             const ForwardRows<T>& row, std::int64_t r, const T* from) {
    const T factor = !Act::normalised ? row.weight[r] : row.sum[r] == 0 ? T(0) : 1 / row.sum[r];
    scale_row(from, call.n.value_dim, factor, at(call.o, batch, head, query));
    if constexpr (Act::normalised)
        if (call.lse)
            call.lse[(batch * call.n.query_heads + head) * call.n.queries + query] =
                (Act::subtracts_maximum ? row.maximum[r] * static_cast<T>(kLn2) : T(0)) +
                natural_log(row.sum[r]);
}

template <class T, class Act>
void forward_block(const ForwardCall<T>& call, std::int64_t batch, std::int64_t kv_head,
                   std::int64_t row_block, T* scratch) {
    const Extents& n = call.n;
    const Blocks& block = call.block;
    const std::int64_t first_row = row_block * block.rows;
    const std::int64_t rows = smaller(block.rows, n.queries * n.heads_per_kv - first_row);
    T* const s = scratch + call.scratch.scores;
    T* const o = scratch + call.scratch.output;
    ForwardRows<T> row;
    for (std::int64_t r = 0; r < rows; ++r) {
        const auto [query, head] = row_at(n, kv_head, first_row + r);
        row.q[r] = at(call.q, batch, head, query);
        begin_row<T, Act>(call, query, head, row, r);
    }
    const std::int64_t least = row.end[0], most = row.end[rows - 1];  // ends do not fall from row to row
    if (most == 0)
        for (std::int64_t i = 0; i < rows * block.value_width; ++i) o[i] = 0;
    const std::int64_t k_slot = slot_of(batch, kv_head, call.k_batches, call.k_heads);
    const std::int64_t v_slot = slot_of(batch, kv_head, call.v_batches, call.v_heads);
    for (std::int64_t first = 0, kb = 0; first < most; first += block.keys, ++kb) {
        const std::int64_t columns = smaller(block.keys, most - first);
        const T *k = packed_keys(call, k_slot, kb), *v = packed_values(call, v_slot, kb);
        const T* next_k = first + block.keys < most ? packed_keys(call, k_slot, kb + 1) : k;
        multiply(ByRow<T>{row.q}, rows, Right<T>{k, n.key_dim * kPanel<T>, n.key_dim, v}, columns, s,
                 block.score_stride, false);
        weigh_block<T, Act>(s, block, row, rows, first, columns, o, n.value_dim);
        const bool odd = call.v_odd[v_slot * block.key_blocks + kb] && least < first + columns;
        multiply_seen(
            s, block.score_stride, rows, Right<T>{v, block.keys * kPanel<T>, columns, next_k}, odd,
            [&](std::int64_t r) { return seen_of(row.end[r], first, columns); }, n.value_dim, o,
            block.value_width, first > 0);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
        const auto [query, head] = row_at(n, kv_head, first_row + r);
        end_row<T, Act>(call, batch, head, query, row, r, o + r * block.value_width);
    }
}

}  // namespace
}  // namespace hone
