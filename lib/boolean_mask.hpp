// boolean_mask.hpp: where the bytes of a boolean mask lie. kernel/masked.hpp reads them.
#pragma once

#include "hone/hone.h"
#include "range.hpp"

namespace hone {

// A mask [batch, query_heads, queries, keys]; a query does not see a key whose byte is 0. The data is null
// where there is none. Strides are 0 along broadcast axes.
struct BooleanMask {
    const unsigned char* data;
    std::int64_t batch_stride, head_stride, query_stride, key_stride;
};

namespace {

inline BooleanMask mask_of(const hone_const_scores& m) {
    const auto stride = [](std::int64_t extent, std::int64_t s) { return extent == 1 ? 0 : s; };
    return {static_cast<const unsigned char*>(m.data), stride(m.batch, m.batch_stride),
            stride(m.heads, m.head_stride), stride(m.queries, m.query_stride), stride(m.keys, m.key_stride)};
}

// The byte of key 0.
inline const unsigned char* row_of(const BooleanMask& mask, std::int64_t batch, std::int64_t head,
                                   std::int64_t query) {
    return mask.data + batch * mask.batch_stride + head * mask.head_stride + query * mask.query_stride;
}

}  // namespace
}  // namespace hone
