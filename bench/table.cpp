// table.cpp: the progress line and the table.
#include "table.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <hone/hone.hpp>
#include <ostream>
#include <sstream>

#include "format.hpp"
#include "machine.hpp"

namespace hone::bench {
namespace {

double seconds_since_start() {
    static const auto start = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<std::string> words_of(const std::string& name) {
    std::istringstream text(name);
    std::vector<std::string> words;
    for (std::string word; std::getline(text, word, '/');) words.push_back(word);
    return words;
}

// The words of the names that all have, and for each name the others. Of one name all are common.
struct Names {
    explicit Names(const std::vector<Result>& results) {
        std::vector<std::vector<std::string>> all;
        for (const Result& result : results) all.push_back(words_of(result.subject.name()));
        const auto is_common = [&](const std::string& word) {
            return std::ranges::all_of(
                all, [&](const auto& words) { return std::ranges::find(words, word) != words.end(); });
        };
        for (const auto& words : all) {
            std::string& label = labels.emplace_back();
            for (const std::string& word : words)
                if (!is_common(word)) label += (label.empty() ? "" : "/") + word;
            width = std::max(width, label.size());
        }
        for (const std::string& word : all.front())
            if (is_common(word)) common += (common.empty() ? "" : "/") + word;
    }

    std::string common;
    std::vector<std::string> labels;
    std::size_t width = 4;
};

std::string time(double seconds) {
    if (seconds < 1e-3) return format("%.2f us", seconds * 1e6);
    return seconds < 1 ? format("%.2f ms", seconds * 1e3) : format("%.2f s", seconds);
}

void print_row(std::ostream& out, const Result& result, const std::string& label, std::size_t width) {
    out << format("%-*s ", int(width), label.c_str());
    if (!result.error.empty()) {
        out << " not timed: " << result.error;
        return;
    }
    const Summary seconds = result.seconds();
    const auto value = [&](const char* counter) { return result.median(counter); };
    out << format("%9s %9s %5.1f%%%s%s", time(seconds.median).c_str(), time(seconds.minimum).c_str(),
                  100 * seconds.spread, result.is_noisy() ? "~" : " ", result.clock_moved() ? "*" : " ")
        << format(" %8.1f %8.1f %4.0f%%", value("flops") / 1e9, value("flop_per_cycle"),
                  100 * value("peak_share"))
        << format(" %7.1f %4.0f%% %-9s %6.1fx %8.1e", value("bandwidth") / 1e9,
                  100 * value("bandwidth_share"),
                  place_of(result.working_set(), result.subject.c.threads).c_str(), value("speedup"),
                  value("max_error"));
}

// hone's result of the same case, where it is another's and both are there.
const Result* beside(const Result& result, const std::vector<Result>& results) {
    const auto is_hones = [&](const Result& other) {
        return other.subject.by->is_hone() && other.subject.c == result.subject.c;
    };
    const auto found = std::ranges::find_if(results, is_hones);
    const bool both = found != results.end() && found->error.empty() && result.error.empty();
    return both && !result.subject.by->is_hone() ? &*found : nullptr;
}

void print_key(std::ostream& out, const std::vector<Result>& results) {
    out << "\ntime: median of the slices; spread: between their quartiles; FLOP/cycle: of one core; peak: "
           "share of the\nmultiply-adds per cycle that a loop of nothing else does; GB/s: of data that a "
           "call cannot do without; read:\nshare of what as many threads read from memory; data: where all "
           "that a call uses fits; naive: times as fast\nas the naive reference on one thread; error: the "
           "largest against the reference in double, over the largest value\n";
    const auto any = [&](auto test) {
        return std::ranges::any_of(results, [&](const Result& r) { return r.error.empty() && test(r); });
    };
    if (any([](const Result& r) { return r.is_noisy(); }))
        out << format("~ the median is not known to %.1f%%, or other processes took part of its time\n",
                      100 * kSettled);
    if (any([](const Result& r) { return r.clock_moved(); }))
        out << format("* the clock moved by more than %.0f%% meanwhile\n", 100 * kClockMoved);
}

double clock_of(const std::vector<Result>& results) {
    std::vector<double> clocks;
    for (const Result& result : results)
        if (result.error.empty()) clocks.push_back(result.median("clock"));
    return clocks.empty() ? 0 : median(clocks);
}

}  // namespace

// On a terminal in place of the line before.
void Progress::show(const std::string& line) {
    if (isatty(STDERR_FILENO))
        std::fprintf(stderr, "\r\033[K%s", line.c_str());
    else if (!line.empty())
        std::fprintf(stderr, "%s\n", line.c_str());
    std::fflush(stderr);
}

void Progress::prepares(const Subject& subject) {
    show(
        format("[%2zu/%zu] %3.0f s  %s", ++prepared_, cases_, seconds_since_start(), subject.name().c_str()));
}

void Progress::times(std::size_t cases, std::size_t slices) {
    if (isatty(STDERR_FILENO))
        show(format("[%2zu/%zu] %3.0f s  %zu cases in turns, turn %zu", prepared_, cases_,
                    seconds_since_start(), cases, slices + 1));
}

void Progress::finished(const Result& result) {
    results_.push_back(result);
}

void Progress::finish() {
    show("");
}

void print_table(std::ostream& out, const std::vector<Result>& results) {
    if (results.empty()) return;
    const Names names(results);
    out << "hone " << hone_version() << " on " << cpu_model()
        << format(", %.2f GHz, %d threads\n", clock_of(results) / 1e9, all_threads()) << names.common
        << "\n\n";
    out << format("%-*s %9s %9s %8s %8s %8s %5s %7s %5s %-9s %7s %8s\n", int(names.width), "case", "time",
                  "fastest", "spread", "GFLOP/s", "FLOP/cyc", "peak", "GB/s", "read", "data", "naive",
                  "error");
    for (std::size_t n = 0; n < results.size(); ++n) {
        print_row(out, results[n], names.labels[n], names.width);
        if (const Result* const hone = beside(results[n], results))
            out << format("  %.2f of hone's time", results[n].seconds().median / hone->seconds().median);
        out << "\n";
    }
    print_key(out, results);
}

}  // namespace hone::bench
