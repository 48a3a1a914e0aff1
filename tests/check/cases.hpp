// cases.hpp: the calls that hone-check makes, and the choice among them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/implementation.hpp"
#include "tests/call.hpp"
#include "tests/search_spec.hpp"

namespace hone::test {

struct Case {
    std::string family;
    Direction direction = Direction::forward;
    SearchProblem problem;
    bool listed = true;  // what its family is about

    // As in backward/softmax/f32/bnhd_padded.
    std::string name() const;
};

enum class Effort { quick, full };

struct Selection {
    std::vector<std::string> families;  // none: all of them
    std::string name;                   // of a case, or the last part of the names of some; "": all
    std::int64_t problems = 500;        // of the search
    Effort effort = Effort::full;
};

// The cases that are chosen, of the directions, activations and types that an implementation lists. Throws
// std::invalid_argument for a name that there is not.
std::vector<Case> cases_of(const Selection& selection, const bench::Implementation& implementation);

}  // namespace hone::test
