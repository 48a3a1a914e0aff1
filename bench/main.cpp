// hone-bench: the command line.
#include <benchmark/benchmark.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <hone/hone.hpp>
#include <memory>
#include <string>

#include "bandwidth.hpp"
#include "cases.hpp"
#include "measure.hpp"
#include "peak.hpp"
#include "table.hpp"

namespace hone::bench {
namespace {

void print_help() {
    std::puts(
        "hone-bench: GFLOP/s, share of the FMA peak, speed-up over the naive reference, and error of the "
        "kernels.\n"
        "\n"
        "Without a filter it runs every activation at one size and prints a table. With one, as in\n"
        "    hone-bench --benchmark_filter='forward/softmax/f32/.*/d64/threads:1/'\n"
        "it runs what matches (all: everything, which takes hours); --benchmark_list_tests lists what there "
        "is.\n"
        "HONE_ISA chooses the implementation of the table, OMP_NUM_THREADS the most threads.\n"
        "\n"
        "    hone-bench --report --benchmark_out=report.json\n"
        "runs what bench/report/report.py draws, and prints nothing else.\n"
        "\n"
        "The options are Google Benchmark's:\n");
    benchmark::PrintDefaultHelp();
}

// The value of an option, "" where it is not there.
std::string option(int argc, char** argv, const std::string& name) {
    for (int n = 1; n < argc; ++n) {
        const std::string argument = argv[n];
        if (argument == name) return "true";
        if (argument.starts_with(name + "=")) return argument.substr(name.size() + 1);
    }
    return "";
}

// Takes the option out; whether it was there.
bool take(int& argc, char** argv, const std::string& name) {
    char** const end = std::remove_if(argv + 1, argv + argc, [&](const char* a) { return a == name; });
    const bool there = end != argv + argc;
    argc = end - argv;
    return there;
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
    return uname(&name) == 0 ? std::string(name.sysname) + " " + name.release + " " + name.machine
                             : "unknown";
}

// What the JSON says of the machine beside Google Benchmark's own: rates are per second.
void add_context(const std::string& isa) {
    benchmark::AddCustomContext("hone_version", hone_version());
    benchmark::AddCustomContext("cpu", cpu_model());
    benchmark::AddCustomContext("isa", isa);
    benchmark::AddCustomContext("flops",
                                "forward 4 B H Nq Nk D, backward 2.5 times that; for Nq Nk the pairs that "
                                "causality, windows, documents and lengths leave");
    benchmark::AddCustomContext("compiler", compiler());
    benchmark::AddCustomContext("operating_system", operating_system());
    for (const int threads : thread_counts()) {
        const auto add = [&](const std::string& name, double rate) {
            benchmark::AddCustomContext(name + "/threads:" + std::to_string(threads),
                                        std::to_string(std::llround(rate)));
        };
        add("peak_flops/f32/" + isa, peak_flops(isa, HONE_FLOAT32, threads));
        add("peak_flops/f64/" + isa, peak_flops(isa, HONE_FLOAT64, threads));
        add("read_bandwidth", read_bandwidth(threads));
    }
}

int run(int argc, char** argv) {
    const bool lists = !option(argc, argv, "--benchmark_list_tests").empty();
    const bool formats = !option(argc, argv, "--benchmark_format").empty();
    const std::string report = option(argc, argv, "--benchmark_out");
    const bool reports = take(argc, argv, "--report");
    benchmark::Initialize(&argc, argv, print_help);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;

    const char* isa = hone_isa_active();
    if (!isa) {
        std::fprintf(stderr, "hone-bench: %s\n", hone_last_error());
        return 1;
    }
    const bool by_default = !lists && !reports && benchmark::GetBenchmarkFilter().empty();
    const std::vector<Case> cases = reports      ? report_cases(isa)
                                    : by_default ? default_cases(isa)
                                                 : all_cases();
    std::unique_ptr<Progress> progress;
    if (reports && !lists && !formats) progress = std::make_unique<Progress>(cases);
    if (by_default && !formats) progress = std::make_unique<Table>(cases);

    bool failed = false;
    for (const Case& c : cases)
        benchmark::RegisterBenchmark(c.name().c_str(),
                                     [&failed, &progress, c](benchmark::State& state) {
                                         if (progress) progress->begin(c);
                                         measure(state, c);
                                         failed |= state.error_occurred();
                                     })
            ->UseRealTime()
            ->MeasureProcessCPUTime()
            ->Unit(benchmark::kMillisecond);
    if (!lists) add_context(isa);
    const bool any = benchmark::RunSpecifiedBenchmarks(progress.get()) > 0;
    if (by_default && !formats && !report.empty()) std::printf("\nThe full report: %s\n", report.c_str());
    benchmark::Shutdown();
    return any && !failed ? 0 : 1;
}

}  // namespace
}  // namespace hone::bench

int main(int argc, char** argv) {
    try {
        return hone::bench::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "hone-bench: %s\n", error.what());
        return 1;
    }
}
