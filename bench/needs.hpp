// needs.hpp: the words of hone/implementation.h, and those that a call needs.
#pragma once

#include <hone/hone.h>

#include <string>
#include <vector>

namespace hone::bench {

// All of them: the activations' names come last.
std::vector<std::string> known_words();

// What an implementation has to list to be given this call. Data is not read: a tensor or an array counts
// where its pointer is not null.
std::vector<std::string> needs(const hone_problem& problem, const hone_forward_args& args);
std::vector<std::string> needs(const hone_problem& problem, const hone_backward_args& args);

}  // namespace hone::bench
