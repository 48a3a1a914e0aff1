// main.cpp: hone-check, the program: the command line, and the loop over the cases.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <hone/hone.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/check/report.hpp"
#include "tests/check/watch.hpp"

namespace hone::test {
namespace {

struct Command {
    std::string implementation;  // a file; "": hone
    Selection selection;
    double tolerance = 1;
    bool list = false;
};

// Null where there is nothing to run; then `status` is the exit status.
std::optional<Command> parse(int argc, char** argv, int& status) {
    Command command;
    Selection& selection = command.selection;
    bool quick = false;
    CLI::App app(
        "Checks attention kernels against plain loops in a wider type, within bounds from the data of each\n"
        "call: hone's own (HONE_ISA chooses), or those of a shared library that exports the functions of\n"
        "hone/implementation.h. What a library does not list is left out of the problems.",
        "hone-check");
    app.add_option("--implementation", command.implementation, "the shared library");
    app.add_option("--family", selection.families, "a part of the cases, as in the table; repeatable");
    app.add_option("--case", selection.name,
                   "one case, as in backward/softmax/f32/gqa, or the last part of its name: then for all "
                   "directions, activations and types");
    app.add_option("--search", selection.problems, "how many random problems")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1000000000}))
        ->capture_default_str();
    app.add_option("--tolerance", command.tolerance, "how many times the error that is allowed to hone")
        ->check(CLI::Range(0.01, 1e6))
        ->capture_default_str();
    CLI::Option* const quick_option =
        app.add_flag("--quick", quick, "a few cases of each family, 50 random problems");
    app.add_flag("--list", command.list, "the names of the cases, which are not run");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        status = app.exit(error) == 0 ? 0 : 2;
        return {};
    }
    if (*quick_option) {
        selection.effort = Effort::quick;
        if (app.count("--search") == 0) selection.problems = 50;
    }
    return command;
}

bench::Implementation open(const std::string& file) {
    if (!file.empty()) return bench::Implementation(file);
    if (!hone_isa_active())
        throw std::invalid_argument("HONE_ISA names an implementation that this machine does not run");
    return {};
}

std::string title_of(const bench::Implementation& implementation) {
    if (!implementation.is_hone()) return implementation.name();
    return implementation.name() + " " + hone_version() + ", " + hone_isa_active();
}

// The command that runs one case, but for its name.
std::string command_line(const std::string& program, const Command& command) {
    std::string line = program;
    if (!command.implementation.empty()) line += " --implementation '" + command.implementation + "'";
    return line + " --case ";
}

// The last line of a terminal; nothing elsewhere.
void show_progress(const std::string& text) {
    static const bool terminal = isatty(STDERR_FILENO);
    if (terminal) std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

// The truths about some cases at a time are computed by all threads; the implementation is then called from
// this thread alone, so that it is known which case it fails in.
bool check_all(const std::vector<Case>& cases, const bench::Implementation& implementation,
               const Command& command, const std::string& line) {
    constexpr std::size_t at_a_time = 64;
    Report report(line);
    std::printf("%s\n\n", title_of(implementation).c_str());
    std::fflush(stdout);
    watch_for_crashes();
    for (std::size_t first = 0; first < cases.size(); first += at_a_time) {
        std::vector<std::unique_ptr<Check>> checks(std::min(at_a_time, cases.size() - first));
#pragma omp parallel for schedule(dynamic)
        for (std::size_t n = 0; n < checks.size(); ++n) checks[n] = std::make_unique<Check>(cases[first + n]);
        for (std::size_t n = 0; n < checks.size(); ++n) {
            const Case& one = cases[first + n];
            show_progress(std::to_string(first + n) + " of " + std::to_string(cases.size()) + ": " +
                          one.name());
            const Watched watched(one.name() + "; by itself: " + line + one.name());
            report.add(one, checks[n]->run(implementation, command.tolerance));
        }
    }
    show_progress("");
    report.print();
    return report.passed();
}

}  // namespace
}  // namespace hone::test

int main(int argc, char** argv) {
    using namespace hone::test;
    int status = 0;
    const std::optional<Command> command = parse(argc, argv, status);
    if (!command) return status;
    try {
        const hone::bench::Implementation implementation = open(command->implementation);
        const std::vector<Case> cases = cases_of(command->selection, implementation);
        if (command->list) {
            for (const Case& one : cases)
                if (one.listed) std::printf("%s\n", one.name().c_str());
            return 0;
        }
        return check_all(cases, implementation, *command, command_line(argv[0], *command)) ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "hone-check: %s\n", error.what());
        return 2;
    }
}
