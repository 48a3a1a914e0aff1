// operands.cpp: extents and strides of a call's tensors turned into memory.
#include "operands.hpp"

#include <algorithm>
#include <array>

#include "entries.hpp"

namespace hone {
namespace {

std::int64_t magnitude(std::int64_t x) {
    return x < 0 ? -x : x;
}

// Whether offsets along an axis stay far inside 64 bits.
bool fits(std::int64_t stride, std::int64_t extent) {
    constexpr std::int64_t most = std::int64_t{1} << 56;
    if (stride < -most || stride > most) return false;
    return static_cast<__int128>(magnitude(stride)) * std::max<std::int64_t>(extent - 1, 0) <= most;
}

// Adds an axis; strides are in bytes.
void add_axis(Footprint& memory, int axis, std::int64_t stride, std::int64_t extent) {
    const std::int64_t steps = extent - 1, reach = stride * steps;
    (reach < 0 ? memory.first : memory.last) += reach;
    memory.axes[axis] = {magnitude(stride), steps};
}

// Ragged tensors have no batch axis.
Operand operand(const char* name, const hone_const_tensor& tensor, const std::array<std::int64_t, 4>& extents,
                bool ragged, std::int64_t element) {
    Operand t = {name, tensor, {extents[0], extents[1], extents[2]}, extents[3], element};
    if (ragged) t.tensor.batch_stride = 0;
    return t;
}

}  // namespace

std::int64_t element_size(const hone_problem& p) {
    return p.dtype == HONE_FLOAT64 ? 8 : 4;
}

bool Operand::fits() const {
    for (int axis = 0; axis < 3; ++axis)
        if (!hone::fits(stride(axis), extent[axis])) return false;
    return true;
}

Footprint Operand::footprint() const {
    if (!tensor.data || empty()) return {};
    Footprint memory = dense(name, tensor.data, features * element_size).memory;
    for (int axis = 0; axis < 3; ++axis) add_axis(memory, axis, stride(axis) * element_size, extent[axis]);
    return memory;
}

std::int64_t MaskOperand::stride(int axis) const {
    const std::int64_t strides[] = {mask.batch_stride, mask.head_stride, mask.query_stride, mask.key_stride};
    return extent[axis] == 1 ? 0 : strides[axis];
}

bool MaskOperand::fits() const {
    for (int axis = 0; axis < 4; ++axis)
        if (!hone::fits(stride(axis), extent[axis])) return false;
    return true;
}

Span MaskOperand::span() const {
    Span span = dense("mask", mask.data, 1);
    for (int axis = 0; axis < 4; ++axis)
        if (extent[axis] == 0) return {span.name, {}};
    for (int axis = 0; mask.data && axis < 4; ++axis) add_axis(span.memory, axis, stride(axis), extent[axis]);
    return span;
}

Span integers_span(const Integers& integers) {
    if (!integers.announced) return {integers.name, {}};
    const std::int64_t size = integers.of.dtype == HONE_INT32 ? 4 : 8;
    return dense(integers.name, integers.of.data, static_cast<std::uint64_t>(integers.count * size));
}

MaskOperand mask_operand(const hone_problem& p, const hone_const_scores& mask) {
    const auto extent = [](std::int64_t own, std::int64_t of_problem) { return own == 0 ? of_problem : own; };
    return {mask,
            {extent(mask.batch, p.batch), extent(mask.heads, p.query_heads), extent(mask.queries, p.queries),
             extent(mask.keys, p.keys)}};
}

Operand query_operand(const char* name, const hone_problem& p, const hone_const_tensor& tensor,
                      std::int64_t features) {
    return operand(name, tensor, {query_batches(p), p.query_heads, query_rows(p), features},
                   ragged_queries(p), element_size(p));
}

Operand key_operand(const char* name, const hone_problem& p, const hone_const_tensor& tensor,
                    std::int64_t features) {
    return operand(name, tensor, {key_batches(p), p.kv_heads, key_rows(p), features}, ragged_keys(p),
                   element_size(p));
}

Sizes sizes_of(const hone_problem& p, const hone_activation_info& info) {
    const std::int64_t groups = p.query_heads / group_heads(p, info), size = element_size(p);
    return {p.query_heads * size, groups * size, query_batches(p) * groups * query_rows(p) * size};
}

Span dense(const char* name, const void* data, std::uint64_t bytes) {
    if (!data) return {name, {}};
    const std::int64_t base = reinterpret_cast<std::intptr_t>(data);
    const auto length = static_cast<std::int64_t>(std::min(bytes, std::uint64_t{1} << 60));
    return {name, {base, base + length, length, {}}};
}

std::int64_t group_heads(const hone_problem& p, const hone_activation_info& info) {
    if (!info.joint) return 1;
    return p.group_heads > 0 ? p.group_heads : std::max<std::int64_t>(p.query_heads, 1);
}

}  // namespace hone
