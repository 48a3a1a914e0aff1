// random.cpp: the definition of the random words, and the choice of the ISA that makes normals of them.
#include "random/random.hpp"

#include <cstring>
#include <hone/hone.hpp>
#include <stdexcept>
#include <string>

#include "random/normals_isa.hpp"
#include "random/philox.hpp"

namespace single_location {

#define ISA(name) extern FillNormals fill_normals_##name;
SINGLE_LOCATION_ISAS
#undef ISA

namespace {

struct Row {
    const char* name;
    FillNormals* fill;
};

constexpr Row kRows[] = {
#define ISA(name) {#name, fill_normals_##name},
    SINGLE_LOCATION_ISAS
#undef ISA
};

bool available(const char* isa) {
    for (std::int32_t i = 0; i < hone_isa_count(); ++i)
        if (hone_isa_available(i) && std::strcmp(hone_isa_name(i), isa) == 0) return true;
    return false;
}

FillNormals& fill_of(const char* isa) {
    if (!isa) {
        isa = hone_isa_active();
        if (!isa) throw std::invalid_argument(hone_last_error());
    }
    if (available(isa))
        for (const Row& row : kRows)
            if (std::strcmp(row.name, isa) == 0) return *row.fill;
    std::string names;
    for (const std::string& name : hone::available_isas()) names += (names.empty() ? "" : ", ") + name;
    throw std::invalid_argument("isa: is '" + std::string(isa) + "'; should be one of " + names);
}

void check_extent(const char* argument, std::int64_t value, std::int64_t largest) {
    if (value < 0 || value > largest)
        throw std::invalid_argument(std::string(argument) + ": is " + std::to_string(value) +
                                    "; should be from 0 to " + std::to_string(largest));
}

}  // namespace

std::array<std::uint32_t, 4> random_words(std::uint64_t seed, std::uint32_t stream, std::uint64_t sample,
                                          std::uint32_t block) {
    return philox4x32(
        {block, stream, static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(sample >> 32)},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

void fill_normals(std::uint64_t seed, std::uint32_t stream, std::uint64_t first_sample, std::int64_t samples,
                  std::int64_t count, float* out, const char* isa) {
    check_extent("samples", samples, INT64_MAX);
    check_extent("count", count, std::int64_t{1} << 34);
    fill_of(isa)(seed, stream, first_sample, samples, count, out);
}

}  // namespace single_location
