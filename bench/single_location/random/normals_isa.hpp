// normals_isa.hpp: what each ISA's normals offer to random.cpp.
#pragma once

#include <cstdint>

namespace single_location {

// fill_normals() of random.hpp, its arguments checked.
using FillNormals = void(std::uint64_t seed, std::uint32_t stream, std::uint64_t first_sample,
                         std::int64_t samples, std::int64_t count, float* out);

}  // namespace single_location
