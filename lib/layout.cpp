// layout.cpp: extents and strides of a call's tensors turned into spans of memory.
#include "layout.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace hone {
namespace {

std::int64_t magnitude(std::int64_t x) {
    return x < 0 ? -x : x;
}

}  // namespace

std::int64_t element_size(const hone_problem& p) {
    return p.dtype == HONE_FLOAT64 ? 8 : 4;
}

bool Operand::fits() const {
    constexpr std::int64_t most = std::int64_t{1} << 56;
    for (int axis = 0; axis < 3; ++axis) {
        const std::int64_t steps = std::max<std::int64_t>(extent[axis] - 1, 0);
        if (stride(axis) < -most || stride(axis) > most) return false;
        if (static_cast<__int128>(magnitude(stride(axis))) * steps > most) return false;
    }
    return true;
}

bool Operand::overlaps_itself() const {
    std::array<std::pair<std::int64_t, std::int64_t>, 3> axes;  // |stride|, steps
    for (int axis = 0; axis < 3; ++axis)
        axes[axis] = {magnitude(stride(axis)), std::max<std::int64_t>(extent[axis] - 1, 0)};
    std::sort(axes.begin(), axes.end());
    std::int64_t reach = features;
    for (const auto& [step, steps] : axes) {
        if (step == 0 || steps == 0) continue;
        if (step < reach) return true;
        reach += step * steps;
    }
    return false;
}

Span Operand::span() const {
    const auto base = reinterpret_cast<std::intptr_t>(tensor.data);
    if (!tensor.data || empty()) return {name, 0, 0, true};
    std::int64_t low = 0, high = features, elements = features;
    for (int axis = 0; axis < 3; ++axis) {
        const std::int64_t reach = stride(axis) * (extent[axis] - 1);
        (reach < 0 ? low : high) += reach;
        if (stride(axis) != 0) elements *= extent[axis];
    }
    return {name, base + low * element_size, base + high * element_size, high - low == elements};
}

Operand query_operand(const char* name, const hone_problem& p, const hone_tensor& tensor,
                      std::int64_t features) {
    return {name, tensor, {p.batch, p.query_heads, p.queries}, features, element_size(p)};
}

Operand key_operand(const char* name, const hone_problem& p, const hone_tensor& tensor,
                    std::int64_t features) {
    return {name, tensor, {p.batch, p.kv_heads, p.keys}, features, element_size(p)};
}

Sizes sizes_of(const hone_problem& p, const hone_activation_info& info) {
    const std::int64_t groups = p.query_heads / joint_heads(p, info), size = element_size(p);
    return {p.query_heads * size, groups * size, p.batch * groups * p.queries * size};
}

Span dense(const char* name, const void* data, std::int64_t bytes) {
    const auto base = reinterpret_cast<std::intptr_t>(data);
    return {name, base, data ? base + bytes : base, true};
}

std::int64_t joint_heads(const hone_problem& p, const hone_activation_info& info) {
    if (!info.joint) return 1;
    return p.group_heads > 0 ? p.group_heads : std::max<std::int64_t>(p.query_heads, 1);
}

}  // namespace hone
