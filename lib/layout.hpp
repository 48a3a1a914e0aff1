// layout.hpp: where the tensors of a call lie in memory, and whether two of them meet.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hone/hone.h"

namespace hone {

// The bytes from a tensor's first element to its last.
struct Span {
    const char* name;
    std::intptr_t first, last;  // [first, last); empty where the tensor is absent
    bool dense;                 // every byte between belongs to the tensor

    // Whether both certainly have an element in common. Interleaved views (q, k, v of one buffer) do not.
    bool collides(const Span& other) const {
        if (first >= last || other.first >= other.last) return false;
        if (first == other.first) return true;
        return dense && other.dense && first < other.last && other.first < last;
    }
};

// A tensor of the call with its extents.
struct Operand {
    const char* name;
    hone_tensor tensor;
    std::int64_t extent[3];  // batch, heads, rows
    std::int64_t features;
    std::int64_t element_size;

    std::int64_t stride(int axis) const {
        return axis == 0 ? tensor.batch_stride : axis == 1 ? tensor.head_stride : tensor.row_stride;
    }
    bool empty() const { return extent[0] == 0 || extent[1] == 0 || extent[2] == 0; }
    // Whether every offset stays far inside 64 bits.
    bool fits() const;
    // Whether two rows meet, axes of stride 0 aside.
    bool overlaps_itself() const;
    Span span() const;
};

Operand query_operand(const char* name, const hone_problem& p, const hone_tensor& tensor,
                      std::int64_t features);
Operand key_operand(const char* name, const hone_problem& p, const hone_tensor& tensor,
                    std::int64_t features);

// The bytes of one element.
std::int64_t element_size(const hone_problem& p);

// The bytes of the arrays that are not tensors.
struct Sizes {
    std::int64_t heads, sink, lse;
};
Sizes sizes_of(const hone_problem& p, const hone_activation_info& info);

Span dense(const char* name, const void* data, std::int64_t bytes);

// Query heads that share a normaliser.
std::int64_t joint_heads(const hone_problem& p, const hone_activation_info& info);

}  // namespace hone
