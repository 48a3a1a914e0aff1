// key_panels.hpp: blocks of k and v as panels: packed, for one task or for all, or where they lie.
#pragma once

#include "kernel/pack.hpp"

namespace hone {
namespace {

// The number of a packed block among those of all distinct heads.
inline std::int64_t packed_index(const Shape& shape, std::int64_t distinct_head, std::int64_t key_block) {
    return distinct_head * count(shape.block.key_blocks) + key_block - shape.block.key_blocks.begin;
}

template <class T>
inline T* packed_keys(const ForwardCall<T>& call, std::int64_t distinct_head, std::int64_t key_block) {
    return reinterpret_cast<T*>(call.workspace + call.packed_k) +
           packed_index(call, distinct_head, key_block) * call.block.keys * call.n.key_dim;
}
template <class T>
inline T* packed_values(const ForwardCall<T>& call, std::int64_t distinct_head, std::int64_t key_block) {
    return reinterpret_cast<T*>(call.workspace + call.packed_v) +
           packed_index(call, distinct_head, key_block) * call.block.keys * call.block.value_width;
}
// What packing found in the slices of a key block: 1 where a value is not finite.
template <class T>
inline unsigned char* non_finite_slices(const ForwardCall<T>& call, std::int64_t distinct_head,
                                        std::int64_t key_block) {
    return reinterpret_cast<unsigned char*>(call.workspace + call.v_non_finite) +
           packed_index(call, distinct_head, key_block) * slices_of_block(call.block);
}

// Keys of a head into panels of keys, and of features.
template <class T>
void pack_key_panels(const ForwardCall<T>& call, const RowIndex& first, std::int64_t keys, T* to) {
    with_rows(call.k, first, [&](const auto& rows) { pack_transposed(rows, keys, call.n.key_dim, to); });
}
template <class T>
Values pack_value_panels(const ForwardCall<T>& call, const RowIndex& first, std::int64_t keys, T* to) {
    return with_rows(call.v, first, [&](const auto& rows) {
        return pack_columns(rows, keys, call.n.value_dim, call.block.keys * kPanel<T>, to);
    });
}

template <class T>
void pack_keys(const ForwardCall<T>& call, std::int64_t distinct_head, std::int64_t slice) {
    static_assert(kSliceKeys % kPanel<T> == 0);
    const auto [key_block, index, keys] = slice_at(call, slice);
    pack_key_panels(call, row_of(call.distinct_k, distinct_head, keys.begin), count(keys),
                    packed_keys(call, distinct_head, key_block) + index * kSliceKeys * call.n.key_dim);
}
template <class T>
void pack_values(const ForwardCall<T>& call, std::int64_t distinct_head, std::int64_t slice) {
    const auto [key_block, index, keys] = slice_at(call, slice);
    const Values found =
        pack_value_panels(call, row_of(call.distinct_v, distinct_head, keys.begin), count(keys),
                          packed_values(call, distinct_head, key_block) + index * kSliceKeys * kPanel<T>);
    non_finite_slices(call, distinct_head, key_block)[index] = found == Values::non_finite;
}

// The panels of one key block.
template <class T>
struct KeyPanels {
    const T* k;
    Panels<T> v;
    Values v_values;
};

template <class T>
inline Panels<T> packed_panels(const ForwardCall<T>& call, const T* v, std::int64_t keys, const T* after) {
    return {v, call.block.keys * kPanel<T>, keys, after};
}

// v as panels where its rows lie, if they are near each other and all rows of the block see all keys; else
// none.
template <class T>
Panels<T> panels_in_place(const ForwardCall<T>& call, const RowIndex& first, Range rows, Range keys) {
    const bool all = seen_of(call.visibility, queries_of(call.n, rows), keys) == Seen::wholly &&
                     !may_hide(call.stages) && !call.mask.data;
    return with_rows(call.v, first, [&](const auto& v) {
        if (!all || !are_panels<T>(v.stride, call.n.value_dim)) return Panels<T>{};
        return Panels<T>{v.first, kPanel<T>, count(keys), nullptr, v.stride};
    });
}

template <class T>
KeyPanels<T> own_panels(const ForwardCall<T>& call, const AttendTask& task, std::int64_t key_block,
                        T* scratch) {
    T *const k = scratch + call.scratch.packed_k, *const v = scratch + call.scratch.packed_v;
    const Range keys = keys_of_block(call, key_block);
    const RowIndex first = {task.batch, task.kv_head, keys.begin};
    pack_key_panels(call, first, count(keys), k);
    if (const Panels<T> lines = panels_in_place(call, first, rows_of_block(call, task.row_block), keys);
        lines.data)
        return {k, lines, Values::non_finite};  // not looked at, which is as good where all is seen
    const Values values = pack_value_panels(call, first, count(keys), v);
    return {k, packed_panels(call, v, count(keys), k), values};
}

template <class T>
KeyPanels<T> shared_panels(const ForwardCall<T>& call, const AttendTask& task, std::int64_t key_block,
                           Range key_blocks) {
    const std::int64_t k_head = index_of(call.distinct_k, task.batch, task.kv_head);
    const std::int64_t v_head = index_of(call.distinct_v, task.batch, task.kv_head);
    const unsigned char* const slices = non_finite_slices(call, v_head, key_block);
    bool non_finite = false;
    for (std::int64_t i = 0; i < slices_of_block(call.block); ++i) non_finite |= slices[i] != 0;
    const T* const v = packed_values(call, v_head, key_block);
    const T* const after = key_block + 1 < key_blocks.end ? packed_keys(call, k_head, key_block + 1) : v;
    return {packed_keys(call, k_head, key_block),
            packed_panels(call, v, count(keys_of_block(call, key_block)), after),
            non_finite ? Values::non_finite : Values::finite};
}

}  // namespace
}  // namespace hone
