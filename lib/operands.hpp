// operands.hpp: where the arguments of a call lie in memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "entries.hpp"
#include "hone/hone.h"
#include "overlap.hpp"

namespace hone {

// The memory of one argument of the call.
struct Span {
    const char* name;
    Footprint memory;
};

// A tensor of the call with its extents.
struct Operand {
    const char* name;
    hone_const_tensor tensor;
    std::int64_t extent[3];  // batch, heads, rows
    std::int64_t features;
    std::int64_t element_size;

    std::int64_t stride(int axis) const {
        return axis == 0 ? tensor.batch_stride : axis == 1 ? tensor.head_stride : tensor.row_stride;
    }
    bool empty() const { return extent[0] == 0 || extent[1] == 0 || extent[2] == 0; }
    // Whether every offset stays far inside 64 bits.
    bool fits() const;
    Footprint footprint() const;
    Span span() const { return {name, footprint()}; }
};

Operand query_operand(const char* name, const hone_problem& p, const hone_const_tensor& tensor,
                      std::int64_t features);
Operand key_operand(const char* name, const hone_problem& p, const hone_const_tensor& tensor,
                    std::int64_t features);

inline hone_const_tensor as_const(const hone_tensor& tensor) {
    return hone_const(tensor);
}
inline const hone_const_tensor& as_const(const hone_const_tensor& tensor) {
    return tensor;
}

// A mask with its extents, [batch, query_heads, queries, keys]: an axis is as long as the problem says, or
// broadcast.
struct MaskOperand {
    const hone_const_scores& mask;
    std::int64_t extent[4];

    std::int64_t stride(int axis) const;
    bool fits() const;
    Span span() const;
};
MaskOperand mask_operand(const hone_problem& p, const hone_const_scores& mask);

// Lengths or offsets: no memory where the flag does not announce them.
Span integers_span(const Integers& integers);

// The bytes of one element.
std::int64_t element_size(const hone_problem& p);

// The bytes of the arrays that are not tensors.
struct Sizes {
    std::int64_t heads, sink, lse;
};
Sizes sizes_of(const hone_problem& p, const hone_activation_info& info);

// Bytes that a caller promises may be more than there are; they count as 2^60 at most.
Span dense(const char* name, const void* data, std::uint64_t bytes);

// Query heads that share a normaliser.
std::int64_t group_heads(const hone_problem& p, const hone_activation_info& info);

}  // namespace hone
