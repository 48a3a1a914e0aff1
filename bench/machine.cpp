// machine.cpp: reads what the system tells in /proc and /sys.
#include "machine.hpp"

#include <benchmark/benchmark.h>
#include <omp.h>
#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <hone/hone.hpp>
#include <set>
#include <sstream>

#include "revision.hpp"

namespace hone::bench {
namespace {

namespace fs = std::filesystem;

const char* const kUnknown = "unknown";

// The file's first line.
std::string line_of(const fs::path& path) {
    std::ifstream file(path);
    std::string line;
    return std::getline(file, line) && !line.empty() ? line : kUnknown;
}

// The value of the first line "name : value" of /proc/cpuinfo.
std::string cpuinfo(const std::string& name) {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (const auto colon = line.find(':'); colon != std::string::npos && line.starts_with(name))
            return line.find_first_not_of(" \t", name.size()) == colon ? line.substr(colon + 2) : "";
    return "";
}

// Entries of a folder that are a word and a number, as cpu7 and node0.
std::vector<fs::path> numbered(const fs::path& folder, const std::string& word) {
    std::vector<fs::path> found;
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, none)) {
        const std::string name = entry.path().filename();
        if (name.starts_with(word) && name.size() > word.size() &&
            name.find_first_not_of("0123456789", word.size()) == std::string::npos)
            found.push_back(entry.path());
    }
    return found;
}

// Of all CPUs, the different values of a file: one, as a rule.
std::string of_cpus(const fs::path& file) {
    std::set<std::string> values;
    for (const fs::path& cpu : numbered("/sys/devices/system/cpu", "cpu")) values.insert(line_of(cpu / file));
    std::string text;
    for (const std::string& value : values) text += (text.empty() ? "" : ", ") + value;
    return text.empty() ? kUnknown : text;
}

std::string cores() {
    std::set<std::string> siblings;
    for (const fs::path& cpu : numbered("/sys/devices/system/cpu", "cpu"))
        siblings.insert(line_of(cpu / "topology/thread_siblings_list"));
    return std::to_string(siblings.size());
}

std::string caches() {
    std::ostringstream text;
    for (const auto& cache : benchmark::CPUInfo::Get().caches)
        if (cache.type != "Instruction")
            text << (text.str().empty() ? "" : ", ") << "L" << cache.level << " " << cache.size / 1024
                 << " KiB for " << cache.num_sharing << (cache.num_sharing == 1 ? " CPU" : " CPUs");
    return text.str().empty() ? kUnknown : text.str();
}

std::string compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

std::string operating_system() {
    utsname name;
    return uname(&name) == 0 ? std::string(name.sysname) + " " + name.release + " " + name.machine : kUnknown;
}

}  // namespace

std::string cpu_model() {
    const std::string name = cpuinfo("model name"), family = cpuinfo("cpu family"), model = cpuinfo("model");
    if (name.empty()) return "a CPU without a name";
    return family.empty() ? name : name + " (family " + family + ", model " + model + ")";
}

std::vector<std::pair<std::string, std::string>> environment() {
    return {
        {"hone_version", hone_version()},
        {"revision", kRevision},
        {"xsimd", HONE_XSIMD_VERSION},
        {"compiler", compiler()},
        {"operating_system", operating_system()},
        {"cpu", cpu_model()},
        {"cpus", std::to_string(benchmark::CPUInfo::Get().num_cpus)},
        {"cores", cores()},
        {"smt", line_of("/sys/devices/system/cpu/smt/control")},
        {"numa_nodes", std::to_string(numbered("/sys/devices/system/node", "node").size())},
        {"data_caches", caches()},
        {"governor", of_cpus("cpufreq/scaling_governor")},
        {"huge_pages", line_of("/sys/kernel/mm/transparent_hugepage/enabled")},
        {"threads", std::to_string(omp_get_max_threads())},
        {"pinned", threads_move() ? "no" : "yes"},
    };
}

bool threads_move() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    const bool one_cpu = sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) == 1;
    return omp_get_proc_bind() == omp_proc_bind_false && !one_cpu;
}

std::string place_of(double bytes, int threads) {
    std::vector<benchmark::CPUInfo::CacheInfo> levels = benchmark::CPUInfo::Get().caches;
    std::ranges::stable_sort(levels, {}, &benchmark::CPUInfo::CacheInfo::level);
    for (const auto& cache : levels) {
        const int instances = (threads + cache.num_sharing - 1) / std::max(cache.num_sharing, 1);
        if (cache.type != "Instruction" && bytes <= static_cast<double>(cache.size) * instances)
            return "in L" + std::to_string(cache.level);
    }
    return "in memory";
}

StolenTime::StolenTime() : begin_(now()) {}

double StolenTime::share() const {
    const Ticks end = now();
    return end.all > begin_.all ? (end.stolen - begin_.stolen) / (end.all - begin_.all) : 0;
}

// user nice system idle iowait irq softirq steal; what follows is counted among these.
StolenTime::Ticks StolenTime::now() {
    std::istringstream line(line_of("/proc/stat"));
    std::string cpu;
    line >> cpu;
    Ticks ticks;
    for (int n = 0; n < 8; ++n) {
        double count = 0;
        line >> count;
        ticks.all += count;
        ticks.stolen = count;
    }
    return ticks;
}

}  // namespace hone::bench
