// key_block.hpp: where forward finds one block of k and v: where they lie, in panels that it packs, or in
// shared ones.
#pragma once

#include "kernel/pack.hpp"
#include "kernel/rows.hpp"

namespace hone {
namespace {

// Keys [first, first + count) of a head.
struct KeyRange {
    std::int64_t first, count;
};

// Those of part `part` of a key block; all of the block where a part is as large.
inline KeyRange keys_of_part(const Extents& n, const Blocks& block, std::int64_t key_block, std::int64_t part,
                             std::int64_t part_keys) {
    const std::int64_t begin = key_block * block.keys + part * part_keys;
    const std::int64_t end = smaller(smaller(begin + part_keys, (key_block + 1) * block.keys), n.keys);
    return {begin, end > begin ? end - begin : 0};
}

template <class T>
void pack_keys(const ForwardCall<T>& call, std::int64_t batch, std::int64_t head, const KeyRange& keys,
               T* to) {
    pack_transposed(StridedRows<T>{at(call.k, batch, head, keys.first), call.k.row_stride}, keys.count,
                    call.n.key_dim, to);
}

// Whether a value is not finite.
template <class T>
bool pack_values(const ForwardCall<T>& call, std::int64_t batch, std::int64_t head, const KeyRange& keys,
                 T* to) {
    return !pack_columns(StridedRows<T>{at(call.v, batch, head, keys.first), call.v.row_stride}, keys.count,
                         call.n.value_dim, call.block.keys * kPanel<T>, to);
}

// Packs a part of a key block for all blocks of rows.
template <class T>
void share_keys(const ForwardCall<T>& call, std::int64_t copy, std::int64_t key_block, std::int64_t part) {
    static_assert(kPackKeys % kPanel<T> == 0);
    pack_keys(call, copy / call.k_heads, copy % call.k_heads,
              keys_of_part(call.n, call.block, key_block, part, kPackKeys),
              packed_keys(call, copy, key_block) + part * kPackKeys * call.n.key_dim);
}
template <class T>
void share_values(const ForwardCall<T>& call, std::int64_t copy, std::int64_t key_block, std::int64_t part) {
    call.v_odd[odd_index(call, copy, key_block) + part] =
        pack_values(call, copy / call.v_heads, copy % call.v_heads,
                    keys_of_part(call.n, call.block, key_block, part, kPackKeys),
                    packed_values(call, copy, key_block) + part * kPackKeys * kPanel<T>);
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
        const KeyRange all = keys_of_part(call.n, call.block, key_block, 0, call.block.keys);
        pack_keys(call, batch, kv_head, all, k);
        keys.odd = pack_values(call, batch, kv_head, all, v);
        keys.k = keys.after_v = k;
        keys.v = keys.after_k = v;
    } else {
        const std::int64_t k_copy = copy_of(batch, kv_head, call.k_batches, call.k_heads);
        const std::int64_t v_copy = copy_of(batch, kv_head, call.v_batches, call.v_heads);
        keys.k = packed_keys(call, k_copy, key_block);
        keys.v = keys.after_k = packed_values(call, v_copy, key_block);
        keys.after_v = last ? keys.v : packed_keys(call, k_copy, key_block + 1);
        keys.odd = false;
        for (std::int64_t part = 0; part < pack_parts(call.block); ++part)
            keys.odd |= call.v_odd[odd_index(call, v_copy, key_block) + part] != 0;
    }
    return keys;
}

}  // namespace
}  // namespace hone
