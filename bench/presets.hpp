// presets.hpp owns the interface of the shapes of real models.
#pragma once

#include <string>
#include <vector>

#include "cases.hpp"

namespace hone::bench {

struct Preset {
    std::string name;
    std::string what;    // one line
    std::string source;  // where the numbers of heads, dimensions and windows are from
    // Cases less the instruction set and the threads, as "forward/softmax/f32/*/b1/...".
    std::vector<std::string> cases;
};

const std::vector<Preset>& presets();

// Its cases on the ISA of that name, with one and with all threads. Throws Error where there is no such
// preset.
std::vector<Case> preset_cases(const std::string& name, const std::string& isa);

}  // namespace hone::bench
