// overlap.hpp: whether tensors share memory, with each other or within one.
#pragma once

#include <cstdint>

namespace hone {

inline constexpr int kMostAxes = 4;

// The memory of a tensor: rows of contiguous bytes, one at first + the sum of stride * i over the axes, for
// each 0 <= i <= steps. Offsets stay below 2^61 bytes, as Operand::fits() grants.
struct Footprint {
    struct Axis {
        std::int64_t stride, steps;  // bytes, not negative; the extent less 1
    };
    std::int64_t first, last;  // its bytes lie in [first, last)
    std::int64_t row_bytes;    // 0 where there is no memory
    Axis axes[kMostAxes];      // those that there are
};

// Whether a row of one and a row of the other meet, where [first, last) of both do.
bool rows_meet(const Footprint& a, const Footprint& b);

// Whether both have a byte in common. This answer and the next are exact, but for contrived strides on which
// the search gives up, after ten thousand tries. The answer is then no: a call is refused for an overlap that
// was found, never for one that was suspected.
inline bool share_memory(const Footprint& a, const Footprint& b) {
    return a.first < b.last && b.first < a.last && a.row_bytes > 0 && b.row_bytes > 0 && rows_meet(a, b);
}

// Whether two rows have a byte in common. Along an axis of stride 0 there is one row only.
bool overlaps_itself(const Footprint& footprint);

}  // namespace hone
