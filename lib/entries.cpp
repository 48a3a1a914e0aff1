// entries.cpp: where the rows of an entry begin.
#include "entries.hpp"

#include <algorithm>
#include <type_traits>

#include "dispatch.hpp"
#include "operands.hpp"

namespace hone {
namespace {

EntryRows rows_of(const hone_const_integers* lengths, const hone_const_integers* offsets, std::int64_t extent,
                  std::int64_t batch) {
    EntryRows rows = {0, extent, 0};
    if (offsets) {
        rows.first = integer_at(*offsets, batch);
        rows.count = integer_at(*offsets, batch + 1) - rows.first;
    }
    if (lengths) {
        const std::int64_t length = integer_at(*lengths, batch);
        rows.padding = rows.count - length, rows.count = length;
    }
    return rows;
}

// Lets a pointer begin so many elements later, if it points anywhere.
template <class Pointer>
void move(Pointer& data, std::int64_t elements, std::int64_t element_size) {
    using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<Pointer>>, const char, char>;
    if (data) data = static_cast<Byte*>(data) + elements * element_size;
}

// Moves the tensors and arrays of a call to the rows of one entry.
struct Mover {
    const hone_problem& p;
    const Entry& entry;
    const std::int64_t element = element_size(p);

    template <class Tensor>
    void move_rows(Tensor& t, const EntryRows& rows, bool ragged) const {
        move(t.data, ragged ? rows.first * t.row_stride : entry.batch * t.batch_stride, element);
        t.batch_stride = 0;
    }
    template <class Tensor>
    void query_tensor(Tensor& t) const {
        move_rows(t, entry.queries, ragged_queries(p));
    }
    template <class Tensor>
    void key_tensor(Tensor& t) const {
        move_rows(t, entry.keys, ragged_keys(p));
    }
    // Numbers of rows: [batch, groups, queries], or [groups, rows].
    template <class Pointer>
    void row_numbers(Pointer& data, std::int64_t groups) const {
        move(data, ragged_queries(p) ? entry.queries.first : entry.batch * groups * p.queries, element);
    }
    void mask(hone_const_scores& mask) const {
        if (mask.batch != 1) move(mask.data, entry.batch * mask.batch_stride, 1);
        mask.batch = 1;
    }
};

std::int64_t groups_of(const hone_problem& p) {
    return p.query_heads / group_heads(p, *activation_info(p.activation));
}

}  // namespace

std::array<Integers, 4> integers_of(const hone_problem& p) {
    const auto integers = [&](const char* name, const char* flag_name, const hone_const_integers& of,
                              std::uint32_t flag, std::int64_t count) {
        const bool announced = (p.flags & flag) != 0;
        return Integers{name, flag_name, of, count, announced, announced && !of.data && p.batch > 0};
    };
    const std::int64_t b = p.batch;
    return {integers("query_lengths", "HONE_QUERY_LENGTHS", p.query_lengths, HONE_QUERY_LENGTHS, b),
            integers("key_lengths", "HONE_KEY_LENGTHS", p.key_lengths, HONE_KEY_LENGTHS, b),
            integers("query_offsets", "HONE_RAGGED_QUERIES", p.query_offsets, HONE_RAGGED_QUERIES, b + 1),
            integers("key_offsets", "HONE_RAGGED_KEYS", p.key_offsets, HONE_RAGGED_KEYS, b + 1)};
}

bool extents_known(const hone_problem& p) {
    return std::ranges::none_of(integers_of(p), &Integers::missing);
}

std::int64_t integer_at(const hone_const_integers& integers, std::int64_t index) {
    return integers.dtype == HONE_INT32 ? static_cast<const std::int32_t*>(integers.data)[index]
                                        : static_cast<const std::int64_t*>(integers.data)[index];
}

std::int64_t query_rows_of_entries(const hone_problem& p) {
    return ragged_queries(p) ? integer_at(p.query_offsets, p.batch) - integer_at(p.query_offsets, 0)
                             : p.queries;
}
std::int64_t key_rows_of_entries(const hone_problem& p) {
    return ragged_keys(p) ? integer_at(p.key_offsets, p.batch) - integer_at(p.key_offsets, 0) : p.keys;
}

Entry entry_of(const hone_problem& p, std::int64_t batch) {
    const auto if_set = [&](std::uint32_t flag, const hone_const_integers& of) {
        return p.flags & flag ? &of : nullptr;
    };
    return {batch,
            rows_of(if_set(HONE_QUERY_LENGTHS, p.query_lengths), if_set(HONE_RAGGED_QUERIES, p.query_offsets),
                    p.queries, batch),
            rows_of(if_set(HONE_KEY_LENGTHS, p.key_lengths), if_set(HONE_RAGGED_KEYS, p.key_offsets), p.keys,
                    batch)};
}

hone_problem problem_of(const hone_problem& p, const Entry& entry) {
    hone_problem alone = p;
    alone.flags &= ~(kQueriesDiffer | kKeysDiffer);
    alone.batch = 1;
    alone.queries = entry.queries.count, alone.keys = entry.keys.count;
    return alone;
}

hone_forward_args args_of(const hone_problem& p, const hone_forward_args& a, const Entry& entry) {
    hone_forward_args alone = a;
    const Mover mover = {p, entry};
    mover.query_tensor(alone.q), mover.query_tensor(alone.o);
    mover.key_tensor(alone.k), mover.key_tensor(alone.v);
    mover.row_numbers(alone.lse, groups_of(p));
    mover.mask(alone.mask);
    return alone;
}

hone_backward_args args_of(const hone_problem& p, const hone_backward_args& a, const Entry& entry) {
    hone_backward_args alone = a;
    const Mover mover = {p, entry};
    for (hone_const_tensor* t : {&alone.q, &alone.o, &alone.dout}) mover.query_tensor(*t);
    for (hone_const_tensor* t : {&alone.k, &alone.v}) mover.key_tensor(*t);
    mover.query_tensor(alone.dq);
    for (hone_tensor* t : {&alone.dk, &alone.dv}) mover.key_tensor(*t);
    mover.row_numbers(alone.lse, groups_of(p)), mover.row_numbers(alone.dlse, groups_of(p));
    mover.mask(alone.mask);
    return alone;
}

}  // namespace hone
