// checkpoint.cpp: files of a checksum, the job's name, and bytes.
#include "sweep/checkpoint.hpp"

#include <boost/crc.hpp>
#include <cstdio>
#include <utility>

#include "sweep/files.hpp"

namespace single_location {
namespace {

constexpr const char* kIdentity = "run.json";

std::string checksum(const std::string& bytes) {
    boost::crc_32_type crc;
    crc.process_bytes(bytes.data(), bytes.size());
    char text[16];
    std::snprintf(text, sizeof text, "%08x\n", static_cast<unsigned>(crc.checksum()));
    return text;
}

constexpr std::size_t kChecksumLength = 9;

}  // namespace

Checkpoint::Checkpoint(const Sweep& sweep, const std::filesystem::path& out, Warn warn)
    : sweep_(sweep), directory_(out / (sweep.name + ".checkpoint")), warn_(std::move(warn)) {}

bool Checkpoint::exists() const {
    return std::filesystem::exists(directory_);
}

std::optional<nlohmann::json> Checkpoint::identity() const {
    const std::optional<std::string> text = read_file(directory_ / kIdentity);
    if (!text) return {};
    nlohmann::json identity = nlohmann::json::parse(*text, nullptr, false);
    if (identity.is_object() && identity.contains("hone") && identity.contains("settings")) return identity;
    warn_("warning: " + (directory_ / kIdentity).string() + " is damaged and taken as not there");
    return {};
}

void Checkpoint::begin(const nlohmann::json& identity, bool fresh) {
    if (fresh) std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    replace_file(directory_ / kIdentity, identity.dump(2) + "\n");
}

std::optional<std::string> Checkpoint::result(std::size_t job) const {
    return read(job, "result");
}

std::optional<std::string> Checkpoint::state(std::size_t job) const {
    return read(job, "state");
}

void Checkpoint::keep_result(std::size_t job, const std::string& bytes) {
    write(job, "result", bytes);
    std::error_code ignored;
    std::filesystem::remove(file(job, "state"), ignored);
}

void Checkpoint::keep_state(std::size_t job, const std::string& bytes) {
    write(job, "state", bytes);
}

// Without its identity first, so that half of it is not taken for a run.
void Checkpoint::remove() {
    std::error_code ignored;
    std::filesystem::remove(directory_ / kIdentity, ignored);
    std::filesystem::remove_all(directory_, ignored);
}

std::filesystem::path Checkpoint::file(std::size_t job, const char* kind) const {
    return directory_ / (std::to_string(job) + "." + kind);
}

std::optional<std::string> Checkpoint::read(std::size_t job, const char* kind) const {
    const std::filesystem::path path = file(job, kind);
    const std::optional<std::string> text = read_file(path);
    if (!text) return {};
    const std::string name = sweep_.jobs[job].name + "\n";
    const std::string body = text->substr(std::min(kChecksumLength, text->size()));
    if (text->starts_with(checksum(body)) && body.starts_with(name)) return body.substr(name.size());
    warn_("warning: " + path.string() + " is damaged or of another job, and taken as not there");
    return {};
}

void Checkpoint::write(std::size_t job, const char* kind, const std::string& bytes) {
    const std::string body = sweep_.jobs[job].name + "\n" + bytes;
    try {
        replace_file(file(job, kind), checksum(body) + body);
    } catch (const std::exception& error) {
        if (!std::exchange(warned_, true))
            warn_(std::string("warning: what is finished may be lost on an interruption: ") + error.what());
    }
}

}  // namespace single_location
