// work.hpp owns what a case counts as work: the entries of its batch, and the operations and bytes of it or
// of a part.
#pragma once

#include <cstdint>
#include <vector>

#include "cases.hpp"

namespace hone::bench {

// The queries and keys of one entry of a batch; in a ragged one, its first row in the tensors.
struct Entry {
    std::int64_t queries, keys, first = 0;
};

std::vector<Entry> entries(const Shape& shape);

// The kv heads [kv_head, kv_head + kv_heads), with the query heads that read them, and the queries
// [query, query + queries), of the whole batch or of one entry.
struct Part {
    static constexpr std::int64_t whole_batch = -1;

    std::int64_t kv_head, kv_heads, query, queries;
    std::int64_t entry = whole_batch;
};

// The entry that a part is of; of the whole batch, the largest that there could be.
Entry entry_of(const Shape& shape, const Part& part);

// The floating point operations of the products that the outputs need, a multiply-add being two: forward
// 2 Hq (Dk + Dv) and backward 2 Hq (3 Dk + 2 Dv), or 2 Hq (2 Dk + Dv) where dq alone is asked for, for each
// (query, key) pair that causality, the window, documents and lengths leave; keys that are hidden by
// themselves count.
double flops(const Shape& shape, Direction direction);
double flops(const Shape& shape, Direction direction, const Part& part);

// The bytes that a call cannot do without: each input read once and each output written once, k and v once
// for each kv head, once where they are the same memory, and one entry of what is broadcast. Keys that no
// query may see are not read.
double bytes(const Case& c);

}  // namespace hone::bench
