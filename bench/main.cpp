// main.cpp: hone-bench, the command line.
#include <benchmark/benchmark.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <hone/hone.hpp>
#include <iostream>
#include <optional>
#include <regex>
#include <string>
#include <system_error>

#include "cases.hpp"
#include "clock.hpp"
#include "format.hpp"
#include "implementation.hpp"
#include "machine.hpp"
#include "presets.hpp"
#include "table.hpp"
#include "turns.hpp"

namespace hone::bench {
namespace {

// Beyond this the host's other work shows in the figures.
constexpr double kMuchStolen = 0.01;

struct Arguments {
    std::vector<std::string> names;
    std::string preset, filter, implementation, format = "table", out;
    bool report = false, lists = false;
    int slices = 0;  // 0: as many as it takes
    Settings settings;
};

std::string footer() {
    std::string text =
        "NAME is the definition of a case (bench/cases.hpp has the words), and any will do:\n"
        "    hone-bench forward/softmax/f32/best/b2/h32/kv8/q77/k8192/d96/causal/window512/threads:2\n"
        "Several are timed in turns. Without any, every activation runs at one size.\n"
        "HONE_ISA chooses the instruction set where none is named, OMP_NUM_THREADS the most threads;\n"
        "OMP_PROC_BIND=true pins them.\n\nPresets:\n";
    for (const Preset& preset : presets())
        text += bench::format("    %-14s", preset.name.c_str()) + preset.what + "\n" + std::string(18, ' ') +
                preset.source + "\n";
    return text + "\nGoogle Benchmark's other options are taken, too.\n";
}

// (CLI11's own names the largest double in what it says.)
const CLI::Validator above_zero(
    [](const std::string& text) {
        double x = 0;
        const char* const end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, x);
        const bool is_number = error == std::errc() && rest == end && std::isfinite(x);
        return is_number && x > 0 ? "" : "'" + text + "' should be a number above 0";
    },
    "NUMBER");

// The options have Google Benchmark's names where it has them.
void add_options(CLI::App& app, Arguments& arguments) {
    app.add_option("NAME", arguments.names, "what is timed");
    app.add_option("--preset", arguments.preset, "times the shapes of a real model");
    app.add_option("--implementation", arguments.implementation,
                   "also times the kernels of this shared library, beside hone's: see hone/implementation.h");
    app.add_flag("--report", arguments.report,
                 "times what bench/report/report.py draws, and prints no table");
    app.add_option("--benchmark_filter", arguments.filter,
                   "times what matches this regular expression among several thousand cases; - before it: "
                   "what does not");
    app.add_flag("--benchmark_list_tests", arguments.lists, "lists the names instead");
    app.add_option("--benchmark_out", arguments.out, "also writes a report, as JSON, to this file");
    app.add_option("--benchmark_out_format", "of that file")->check(CLI::IsMember({"json"}));
    app.add_option("--benchmark_format", arguments.format, "of what is printed")
        ->check(CLI::IsMember({"table", "console", "json"}));
    app.add_option("--benchmark_min_time", arguments.settings.slice_seconds, "seconds of a slice of calls")
        ->check(above_zero)
        ->capture_default_str();
    app.add_option("--benchmark_repetitions", arguments.slices,
                   "times exactly so many slices; without it: until the median is known to 2.5%")
        ->check(above_zero);
    app.add_option("--time-limit", arguments.settings.case_seconds, "seconds that a case has for that")
        ->check(above_zero)
        ->capture_default_str();
}

std::vector<Case> filtered(std::vector<Case> cases, std::string filter) {
    if (filter.empty() || filter == "all") return cases;
    const bool inverts = filter.front() == '-';
    if (inverts) filter.erase(0, 1);
    try {
        const std::regex pattern(filter);
        std::erase_if(cases, [&](const Case& c) { return std::regex_search(c.name(), pattern) == inverts; });
    } catch (const std::regex_error& error) {
        throw Error(HONE_INVALID_ARGUMENT,
                    "--benchmark_filter: '" + filter + "' is no regular expression: " + error.what());
    }
    if (cases.empty())
        throw Error(HONE_INVALID_ARGUMENT, "--benchmark_filter: no case matches '" + filter + "'");
    return cases;
}

std::vector<Case> chosen(const Arguments& arguments) {
    std::vector<Case> cases;
    for (const std::string& name : arguments.names) cases.push_back(parse_case(name));
    if (!cases.empty() && arguments.preset.empty()) return filtered(cases, arguments.filter);
    const char* isa = hone_isa_active();
    if (!isa) throw Error(HONE_UNSUPPORTED, hone_last_error());
    if (!arguments.preset.empty())
        std::ranges::copy(preset_cases(arguments.preset, isa), std::back_inserter(cases));
    if (!cases.empty()) return filtered(cases, arguments.filter);
    if (arguments.report) return filtered(report_cases(isa), arguments.filter);
    if (arguments.filter.empty() && !arguments.lists) return default_cases(isa);
    return filtered(all_cases(), arguments.filter);
}

// What the figures may suffer from.
void print_warnings(double stolen, double check) {
    if (threads_move())
        std::fputs("Warning: threads are not pinned, so figures move: OMP_PROC_BIND=true pins them.\n",
                   stderr);
    if (stolen > kMuchStolen)
        std::fprintf(stderr, "Warning: the host took %.1f%% of the CPUs' time away meanwhile.\n",
                     100 * stolen);
    if (std::abs(check - 1) > kClockMoved)
        std::fprintf(stderr,
                     "Warning: a chain of adds gives %.2f times the clock that multiplications give: "
                     "take cycles with care.\n",
                     check);
}

// As Google Benchmark's reporters write it, after everything is measured.
void write(benchmark::BenchmarkReporter& reporter, const std::vector<Result>& results) {
    benchmark::BenchmarkReporter::Context context;
    context.name_field_width = 10;
    for (const Result& result : results)
        context.name_field_width = std::max(context.name_field_width, result.subject.name().size() + 13);
    if (!reporter.ReportContext(context)) return;
    for (const Result& result : results)
        if (result.error.empty()) reporter.ReportRuns(result.runs());
    reporter.Finalize();
}

void print(const std::string& format, const std::vector<Result>& results) {
    if (format == "table") return print_table(std::cout, results);
    if (format == "json") {
        benchmark::JSONReporter json;
        return write(json, results);
    }
    benchmark::ConsoleReporter console(benchmark::ConsoleReporter::OO_Tabular);
    write(console, results);
}

void write_report(const std::string& path, const std::vector<Result>& results) {
    if (path.empty()) return;
    std::ofstream file(path);
    benchmark::JSONReporter json;
    json.SetOutputStream(&file);
    json.SetErrorStream(&std::cerr);
    write(json, results);
    if (!file.flush()) throw Error(HONE_INVALID_ARGUMENT, "--benchmark_out: " + path + " cannot be written");
}

// Each case by hone, then by the other implementation where it computes that activation and direction.
std::vector<Subject> subjects(const std::vector<Case>& cases, const Implementation& hone,
                              const Implementation* other) {
    std::vector<Subject> all;
    for (const Case& c : cases) {
        all.push_back({c, &hone});
        const bool named = other && other->supports(describe(c.activation).name) &&
                           other->supports(c.direction == Direction::forward ? "forward" : "backward");
        if (named) all.push_back({c, other});
    }
    return all;
}

// 0 where every case was measured.
int measure(const std::vector<Case>& cases, const Arguments& arguments) {
    const Implementation hone;
    std::optional<Implementation> other;
    if (!arguments.implementation.empty()) other.emplace(arguments.implementation);
    const std::vector<Subject> all = subjects(cases, hone, other ? &*other : nullptr);
    if (!arguments.out.empty() && !std::ofstream(arguments.out, std::ios::app))
        throw Error(HONE_INVALID_ARGUMENT, "--benchmark_out: " + arguments.out + " cannot be written");
    const StolenTime stolen;
    const double check = clock_check();
    Progress progress(all.size());
    measure_in_turns(all, arguments.settings, progress);
    progress.finish();

    for (const auto& [key, value] : environment()) benchmark::AddCustomContext(key, value);
    benchmark::AddCustomContext("stolen_time", format("%.4f", stolen.share()));
    benchmark::AddCustomContext("clock_check", format("%.4f", check));
    if (!arguments.report) print(arguments.format, progress.results());
    write_report(arguments.out, progress.results());
    if (arguments.format == "table" && !arguments.out.empty() && !arguments.report)
        std::cout << "\nThe full report: " << arguments.out << "\n";
    std::cout.flush();
    print_warnings(stolen.share(), check);

    bool failed = false;
    for (const Result& result : progress.results())
        if (failed |= !result.error.empty(); !result.error.empty() && arguments.format != "table")
            std::fprintf(stderr, "%s: %s\n", result.subject.name().c_str(), result.error.c_str());
    return failed ? 1 : 0;
}

int run(int argc, char** argv) {
    CLI::App app("hone-bench: speed, share of the machine's peak, and error of the kernels.", "hone-bench");
    Arguments arguments;
    add_options(app, arguments);
    app.footer(footer());
    app.allow_extras();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int status = app.exit(error);
        return status == 0 ? 0 : 2;
    }
    // Google Benchmark's options begin with its name; what else is left is a case that was misspelt.
    std::vector<std::string> left = app.remaining();
    left.insert(left.begin(), argv[0]);
    std::vector<char*> words;
    for (std::string& word : left) words.push_back(word.data());
    int count = static_cast<int>(words.size());
    words.push_back(nullptr);
    benchmark::Initialize(&count, words.data());
    if (benchmark::ReportUnrecognizedArguments(count, words.data())) return 2;

    if (arguments.slices > 0)
        arguments.settings.least_slices = arguments.settings.most_slices = arguments.slices;
    const std::vector<Case> cases = chosen(arguments);
    if (!arguments.lists) return measure(cases, arguments);
    for (const Case& c : cases) std::puts(c.name().c_str());
    return 0;
}

}  // namespace
}  // namespace hone::bench

int main(int argc, char** argv) {
    try {
        return hone::bench::run(argc, argv);
    } catch (const hone::Error& error) {
        std::fprintf(stderr, "hone-bench: %s\n", error.what());
        return error.status() == HONE_INVALID_ARGUMENT ? 2 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "hone-bench: %s\n", error.what());
        return 1;
    }
}
