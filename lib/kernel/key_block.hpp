// key_block.hpp: where forward finds one block of k and v: where they lie, in panels that it packs, or in
// shared ones.
#pragma once

#include "kernel/pack.hpp"
#include "kernel/rows.hpp"

namespace hone {
namespace {

template <class T>
void pack_keys(const ForwardCall<T>& call, std::int64_t batch, std::int64_t head, std::int64_t key_block,
               T* to) {
    const Extents& n = call.n;
    const std::int64_t first = key_block * call.block.keys, rows = smaller(call.block.keys, n.keys - first);
    pack_transposed(StridedRows<T>{at(call.k, batch, head, first), call.k.row_stride}, rows, n.key_dim, to);
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

}  // namespace
}  // namespace hone
