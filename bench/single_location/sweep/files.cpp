// files.cpp: CSV, results as CBOR, files replaced by renaming.
#include "sweep/files.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace single_location {
namespace {

using nlohmann::json;

template <class T>
std::string shortest(T value) {
    std::array<char, 32> text;
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

std::string csv_cell(std::int64_t value) {
    return shortest(value);
}

// The sign of a NaN differs between machines.
std::string csv_cell(double value) {
    return std::isnan(value) ? "nan" : shortest(value);
}

std::string csv_cell(const std::string& value) {
    if (value.find_first_of(",\"\r\n") == std::string::npos) return value;
    std::string quoted = "\"";
    for (const char c : value) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

Cell cell_of(const json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (value.is_number_float()) return value.get<double>();
    throw std::runtime_error("a cell is neither a number nor a string");
}

std::runtime_error write_error(const std::filesystem::path& path, const char* reason) {
    return std::runtime_error("cannot write " + path.string() + ": " + reason);
}

}  // namespace

std::string csv_line(const Row& row) {
    std::string line;
    for (const Cell& cell : row) {
        if (&cell != row.data()) line += ',';
        line += std::visit([](const auto& value) { return csv_cell(value); }, cell);
    }
    return line + '\n';
}

std::string csv_text(const std::vector<std::string>& columns,
                     const std::vector<std::optional<Result>>& results) {
    std::string text = csv_line(Row(columns.begin(), columns.end()));
    for (const std::optional<Result>& result : results) {
        if (!result) continue;
        for (const Row& row : result->rows) text += csv_line(row);
    }
    return text;
}

std::string encode(const Result& result) {
    json rows = json::array();
    for (const Row& row : result.rows) {
        json cells = json::array();
        for (const Cell& cell : row)
            std::visit([&](const auto& value) { cells.push_back(json(value)); }, cell);
        rows.push_back(std::move(cells));
    }
    std::string bytes;
    json::to_cbor({{"rows", std::move(rows)}, {"summary", result.summary}}, bytes);
    return bytes;
}

Result decode(const std::string& bytes, std::size_t columns) {
    const json whole = json::from_cbor(bytes);
    Result result;
    for (const json& cells : whole.at("rows")) {
        if (cells.size() != columns)
            throw std::runtime_error("a row has " + std::to_string(cells.size()) + " cells and the CSV has " +
                                     std::to_string(columns) + " columns");
        Row& row = result.rows.emplace_back();
        for (const json& cell : cells) row.push_back(cell_of(cell));
    }
    result.summary = whole.at("summary");
    return result;
}

void replace_file(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::path temporary = path;
    temporary += ".new";
    errno = 0;
    std::ofstream file(temporary, std::ios::binary);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    std::error_code error, ignored;
    const std::string reason = file ? "" : errno ? std::strerror(errno) : "the disk took less than all";
    if (file) std::filesystem::rename(temporary, path, error);
    if (file && !error) return;
    std::filesystem::remove(temporary, ignored);
    throw write_error(path, file ? error.message().c_str() : reason.c_str());
}

std::optional<std::string> read_file(const std::filesystem::path& path) {
    if (!std::filesystem::is_regular_file(path)) return {};
    std::ifstream file(path, std::ios::binary);
    if (!file) return {};
    return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string difference(const json& there, const json& here) {
    if (!there.is_object() || !here.is_object())
        return there == here ? "" : "is " + there.dump() + " there and " + here.dump() + " here";
    json both = there;
    both.update(here);
    for (const auto& [name, unused] : both.items()) {
        if (!there.contains(name)) return name + " is not set there and " + here[name].dump() + " here";
        if (!here.contains(name)) return name + " is " + there[name].dump() + " there and not set here";
        const std::string within = difference(there[name], here[name]);
        const bool nested = there[name].is_object() && here[name].is_object();
        if (!within.empty()) return name + (nested ? "." : " ") + within;
    }
    return "";
}

}  // namespace single_location
