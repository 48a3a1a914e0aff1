// source.hpp: where the rows of a tensor lie, and how they become scalars of the kernel.
//
// Others ask for a row by its batch entry, head and index. They do not compute its address, and do not assume
// that it is stored as the kernel's scalars.
#pragma once

#include "hone/hone.h"
#include "range.hpp"

namespace hone {

// A tensor [batch, heads, rows, features] that a call reads, for kernels that compute in T. Strides are in
// elements of its storage; features are contiguous.
template <class T>
struct Source {
    const void* data;
    std::int64_t batch_stride, head_stride, row_stride;
};

// A tensor that a call writes.
template <class T>
struct Target {
    T* data;
    std::int64_t batch_stride, head_stride, row_stride;
};

// An array [batch, heads or head groups, queries] of a number for each row; null where there is none.
template <class T>
struct RowNumbers {
    T* data;
    std::int64_t batch_stride, head_stride;
};

// A row of a tensor.
struct RowIndex {
    std::int64_t batch, head, row;
};

// The axes along which a tensor is broadcast.
struct Broadcast {
    bool batch, heads, rows;
};

// How many batch entries and heads of a tensor have memory of their own: a broadcast axis counts as 1.
struct DistinctHeads {
    std::int64_t batches, heads;
};

// Rows of one head, S being the type of their storage.
template <class S>
struct StridedRows {
    const S* first;
    std::int64_t stride;
};

// The addresses of rows, `stride` bytes apart, for prefetching.
struct RowAddresses {
    const char* first;
    std::int64_t stride;
};

namespace {

template <class T>
inline Source<T> source_of(const hone_const_tensor& t) {
    return {t.data, t.batch_stride, t.head_stride, t.row_stride};
}
template <class T>
inline Target<T> target_of(const hone_tensor& t) {
    return {static_cast<T*>(t.data), t.batch_stride, t.head_stride, t.row_stride};
}

inline Broadcast broadcast_of(const hone_const_tensor& t) {
    return {t.batch_stride == 0, t.head_stride == 0, t.row_stride == 0};
}
// How many along an axis of this extent have memory of their own.
inline std::int64_t distinct_along(bool is_broadcast, std::int64_t extent) {
    return is_broadcast ? smaller(extent, 1) : extent;
}
inline DistinctHeads distinct_heads(const hone_const_tensor& t, std::int64_t batch, std::int64_t heads) {
    const Broadcast broadcast = broadcast_of(t);
    return {distinct_along(broadcast.batch, batch), distinct_along(broadcast.heads, heads)};
}
inline std::int64_t count(const DistinctHeads& d) {
    return d.batches * d.heads;
}
// Which of them a head of a batch entry is.
inline std::int64_t index_of(const DistinctHeads& d, std::int64_t batch, std::int64_t head) {
    return batch % d.batches * d.heads + head % d.heads;
}
// Row `row` of one of them.
inline RowIndex row_of(const DistinctHeads& d, std::int64_t index, std::int64_t row) {
    return {index / d.heads, index % d.heads, row};
}

template <class S>
inline const S* row_of(const StridedRows<S>& rows, std::int64_t row) {
    return rows.first + row * rows.stride;
}
template <class S>
inline StridedRows<S> rows_from(const StridedRows<S>& rows, std::int64_t row) {
    return {row_of(rows, row), rows.stride};
}

template <class S>
inline RowAddresses addresses_of(const StridedRows<S>& rows) {
    return {reinterpret_cast<const char*>(rows.first), rows.stride * static_cast<std::int64_t>(sizeof(S))};
}
inline const char* row_of(const RowAddresses& rows, std::int64_t row) {
    return rows.first + row * rows.stride;
}

// Calls body(rows) with the rows of a head from `at` on; their type says how they lie and are stored.
template <class T, class Body>
inline auto with_rows(const Source<T>& source, const RowIndex& at, Body body) {
    return body(StridedRows<T>{static_cast<const T*>(source.data) + at.batch * source.batch_stride +
                                   at.head * source.head_stride + at.row * source.row_stride,
                               source.row_stride});
}

template <class T>
inline RowAddresses addresses_of(const Source<T>& source, const RowIndex& at) {
    return with_rows(source, at, [](const auto& rows) { return addresses_of(rows); });
}

// A row as scalars of the kernel. (Every tensor is stored as such today.)
template <class T>
inline const T* scalars_of(const Source<T>& source, const RowIndex& at) {
    return with_rows(source, at, [](const StridedRows<T>& rows) { return rows.first; });
}

template <class T>
inline T& number_of(const RowNumbers<T>& numbers, const RowIndex& at) {
    return numbers.data[at.batch * numbers.batch_stride + at.head * numbers.head_stride + at.row];
}

template <class T>
inline T* row_of(const Target<T>& target, const RowIndex& at) {
    return target.data + at.batch * target.batch_stride + at.head * target.head_stride +
           at.row * target.row_stride;
}

}  // namespace
}  // namespace hone
