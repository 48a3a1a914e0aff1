// table.cpp: the progress line and the table.
#include "table.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <hone/hone.hpp>
#include <ostream>

#include "format.hpp"

namespace hone::bench {
namespace {

std::string count(int n, const std::string& noun) {
    return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

// Shows a line on stderr: on a terminal in place of the one before.
void show(const std::string& line) {
    if (isatty(STDERR_FILENO))
        std::fprintf(stderr, "\r\033[K%s", line.c_str());
    else if (!line.empty())
        std::fprintf(stderr, "%s\n", line.c_str());
    std::fflush(stderr);
}

double seconds_since_start() {
    static const auto start = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string cpu_model() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    return "a CPU without a name";
}

void Progress::begin(const Case& c) {
    const std::string name = c.name();
    if (name == running_) return;
    running_ = name;
    show(format("[%2zu/%zu] %3.0f s  %s", ++begun_, cases_.size(), seconds_since_start(), name.c_str()));
}

void Progress::ReportRuns(const std::vector<Run>& runs) {
    for (const Run& run : runs)
        if (run.error_occurred)
            std::fprintf(stderr, "%s: %s\n", run.run_name.function_name.c_str(), run.error_message.c_str());
}

void Progress::Finalize() {
    show("");
}

// Of several repetitions, the median is kept.
void Table::ReportRuns(const std::vector<Run>& runs) {
    for (const Run& run : runs)
        if (run.run_type == Run::RT_Iteration || run.aggregate_name == "median")
            runs_[run.run_name.function_name] = run;
}

// The largest peak seen beside a case with that many threads.
double Table::peak(int threads) const {
    double most = 0;
    for (const Case& c : cases_) {
        const auto run = runs_.find(c.name());
        if (c.threads == threads && run != runs_.end() && !run->second.error_occurred)
            most = std::max(most, run->second.counters.at("flops") / run->second.counters.at("peak_share"));
    }
    return most;
}

void Table::print_header(std::ostream& out) const {
    const Case& c = cases_.front();
    const Shape& s = c.shape;
    const int all = all_threads();
    out << "hone " << hone_version() << ", " << c.isa << ", on " << cpu_model() << ", "
        << count(all, "thread") << "\n"
        << format("float32, B %ld, H %ld, N %ld, D %ld; FMA peak %.0f GFLOP/s on 1 thread", long(s.batch),
                  long(s.query_heads), long(s.queries), long(s.dim), peak(1) / 1e9);
    if (all > 1) out << format(", %.0f on %d", peak(all) / 1e9, all);
    out << "\npeak: share of it; naive: times as fast as the naive reference on one thread;\n"
           "error: the largest against the reference in double, over the largest value\n\n";

    const std::string threads = count(all, "thread");
    std::string first = format("%-13s", ""), second = first, third = format("%-13s", "activation");
    for (const char* direction : {"forward", "backward"}) {
        first += format(" | %-*s", all > 1 ? 45 : 30, direction);
        second += format(" | %-21s", "1 thread");
        third += " | GFLOP/s  peak   naive";
        if (all > 1) {
            second += format(" %14s", threads.c_str());
            third += " GFLOP/s  naive";
        }
        second += format(" %8s", "");
        third += "    error";
    }
    out << first << "\n" << second << "\n" << third << "\n";
}

void Table::print_row(std::ostream& out, hone_activation activation) const {
    out << format("%-13s", describe(activation).name);
    std::string failures;
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        double error = 0;  // the same for every number of threads, since the bits are
        out << " |";
        for (const Case& c : cases_) {
            if (c.activation != activation || c.direction != direction) continue;
            const Run& run = runs_.at(c.name());
            if (run.error_occurred) {
                failures += "\n    " + c.name() + ": " + run.error_message;
                error = std::nan("");
                out << format(" %*s", c.threads == 1 ? 21 : 14, "failed");
                continue;
            }
            const auto& counters = run.counters;
            out << format(" %7.1f", counters.at("flops") / 1e9);
            if (c.threads == 1) out << format(" %4.0f%%", 100 * counters.at("peak_share"));
            out << format(" %6.1fx", double(counters.at("speedup")));
            error = counters.at("max_error");
        }
        out << format(" %8.1e", error);
    }
    out << failures << "\n";
}

void Table::Finalize() {
    show("");
    std::ostream& out = GetOutputStream();
    print_header(out);
    for (int a = 0; a < hone_activation_count(); ++a) print_row(out, hone_activation(a));
    out.flush();
}

}  // namespace hone::bench
