// report.hpp: the summary of an experiment in words.
#pragma once

#include <filesystem>
#include <string>

namespace single_location {

// Of OUT/NAME.json, on stdout.
void print_summary(const std::string& experiment, const std::filesystem::path& out);

}  // namespace single_location
