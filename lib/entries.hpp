// entries.hpp: batch entries that have queries and keys of their own: which rows of the tensors are an
// entry's, and the call that it is by itself. Lengths and offsets are read here, and nowhere else.
#pragma once

#include <array>

#include "hone/hone.h"
#include "range.hpp"

namespace hone {

// Rows of the queries or of the keys that belong to a batch entry, counted within its tensors' batch entry:
// `count` of them from `first` on, and then `padding`, which are not read and whose results are 0.
struct EntryRows {
    std::int64_t first, count, padding;
};

struct Entry {
    std::int64_t batch;
    EntryRows queries, keys;
};

// Flags by which batch entries may differ.
inline constexpr std::uint32_t kQueriesDiffer = HONE_RAGGED_QUERIES | HONE_QUERY_LENGTHS;
inline constexpr std::uint32_t kKeysDiffer = HONE_RAGGED_KEYS | HONE_KEY_LENGTHS;

inline bool entries_differ(const hone_problem& p) {
    return p.batch > 0 && (p.flags & (kQueriesDiffer | kKeysDiffer)) != 0;
}
inline bool ragged_queries(const hone_problem& p) {
    return (p.flags & HONE_RAGGED_QUERIES) != 0;
}
inline bool ragged_keys(const hone_problem& p) {
    return (p.flags & HONE_RAGGED_KEYS) != 0;
}

// Lengths or offsets, and whether their flag announces them.
struct Integers {
    const char *name, *flag_name;
    const hone_const_integers& of;
    std::int64_t count;
    bool announced;
    bool missing;  // announced, and not there though there are entries
};
std::array<Integers, 4> integers_of(const hone_problem& p);

// Whether all lengths and offsets that the flags announce are there.
bool extents_known(const hone_problem& p);

// Batch entries that the tensors have, and rows of each: one, and all rows, where they are ragged.
inline std::int64_t query_batches(const hone_problem& p) {
    return ragged_queries(p) ? smaller(p.batch, 1) : p.batch;
}
inline std::int64_t key_batches(const hone_problem& p) {
    return ragged_keys(p) ? smaller(p.batch, 1) : p.batch;
}
inline std::int64_t query_rows(const hone_problem& p) {
    return ragged_queries(p) ? p.total_queries : p.queries;
}
inline std::int64_t key_rows(const hone_problem& p) {
    return ragged_keys(p) ? p.total_keys : p.keys;
}

// Those of them that belong to an entry, where all lengths and offsets are there.
std::int64_t query_rows_of_entries(const hone_problem& p);
std::int64_t key_rows_of_entries(const hone_problem& p);

std::int64_t integer_at(const hone_const_integers& integers, std::int64_t index);
Entry entry_of(const hone_problem& p, std::int64_t batch);

// The call of one entry: batch entries of tensors before it, and rows of other entries, are left out. Strides
// stay as they are.
hone_problem problem_of(const hone_problem& p, const Entry& entry);
hone_forward_args args_of(const hone_problem& p, const hone_forward_args& a, const Entry& entry);
hone_backward_args args_of(const hone_problem& p, const hone_backward_args& a, const Entry& entry);

}  // namespace hone
