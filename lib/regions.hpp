// regions.hpp: regions of a workspace, one after the other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace hone {

// Offsets in the workspace are in bytes; it is aligned to kAlignment.
inline constexpr std::size_t kAlignment = 64;

// What no allocation can give, for sizes that 64 bits cannot hold.
inline constexpr std::int64_t kTooManyBytes = std::int64_t{1} << 62;

// Hands out aligned regions of memory, one after the other.
class Regions {
  public:
    std::size_t take(std::int64_t count, std::size_t element) {
        const std::size_t at = bytes_;
        std::size_t size = 0, end = 0;
        if (__builtin_mul_overflow(static_cast<std::size_t>(count), element, &size) || size > kTooMuch ||
            __builtin_add_overflow(bytes_, (size + kAlignment - 1) / kAlignment * kAlignment, &end))
            end = kTooMuch;
        bytes_ = std::min(end, kTooMuch);
        return at;
    }
    // The same as an offset in elements.
    std::int64_t take_elements(std::int64_t count, std::size_t element) {
        return static_cast<std::int64_t>(take(count, element) / element);
    }
    std::size_t bytes() const { return bytes_; }

  private:
    static constexpr std::size_t kTooMuch = kTooManyBytes;
    std::size_t bytes_ = 0;
};

}  // namespace hone
