// families.hpp: the sweep over kernels, sorted by what each part of it is about.
#pragma once

#include <string>
#include <vector>

#include "tests/options.hpp"

namespace hone::test {

struct Family {
    std::string name;
    // The word of hone/implementation.h that all of it is about; "" where it is asked of everybody.
    std::string word;
    std::vector<Spec> specs;
};

// What is plain comes first, so that the first failure says the most.
std::vector<Family> families();

// The name of one more, of random problems: see cases.hpp.
inline constexpr const char* kSearch = "search";

}  // namespace hone::test
