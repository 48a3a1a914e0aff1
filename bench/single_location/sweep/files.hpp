// files.hpp owns the interface of the texts of a sweep's files, and of how files are replaced.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sweep/sweep.hpp"

namespace single_location {

// One line with its end. A number is the shortest that reads back as the same; nan, inf and -inf are words.
std::string csv_line(const Row& row);

// The whole file: the header, and the rows of the results that are there.
std::string csv_text(const std::vector<std::string>& columns,
                     const std::vector<std::optional<Result>>& results);

// A result as bytes and back, nothing lost; decode() throws where they are none with rows of `columns` cells.
std::string encode(const Result& result);
Result decode(const std::string& bytes, std::size_t columns);

// Replaces the file as a whole or not at all. Throws a sentence with the path and the reason.
void replace_file(const std::filesystem::path& path, const std::string& text);

// Nothing where it is not there.
std::optional<std::string> read_file(const std::filesystem::path& path);

// How the settings of an earlier run differ from those of this one, by the first that does: "dim is 500 there
// and 1000 here"; "" where they agree.
std::string difference(const nlohmann::json& there, const nlohmann::json& here);

}  // namespace single_location
