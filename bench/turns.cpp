// turns.cpp: groups of cases whose data fits in memory, and rounds over each group.
#include "turns.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "machine.hpp"

namespace hone::bench {
namespace {

using Run = Result::Run;

double seconds_per_call(const Run& run) {
    return run.real_accumulated_time / static_cast<double>(run.iterations);
}

std::vector<double> seconds_of(const std::vector<Run>& slices) {
    std::vector<double> all;
    for (const Run& run : slices) all.push_back(seconds_per_call(run));
    return all;
}

std::vector<double> values(const std::vector<Run>& slices, const std::string& counter) {
    std::vector<double> all;
    for (const Run& run : slices) all.push_back(run.counters.at(counter));
    return all;
}

// A case while it is timed.
struct Timing {
    Result result;
    std::unique_ptr<Timed> timed;
    benchmark::IterationCount calls = 1;  // of a slice
    double seconds = 0;                   // of its slices
    bool repeated = false;

    bool is_settled(const Settings& settings) const {
        const int slices = static_cast<int>(result.slices.size());
        if (!result.error.empty()) return true;
        if (slices < settings.least_slices) return false;
        return slices >= settings.most_slices || seconds >= settings.case_seconds ||
               result.seconds().cv_of_median < kSettled;
    }
};

void prepare(Timing& timing, Preparation& preparation, const Settings& settings) {
    try {
        timing.timed = preparation.prepare(timing.result.subject);
        timing.calls =
            std::max<std::int64_t>(1, std::llround(settings.slice_seconds / timing.timed->seconds()));
    } catch (const std::exception& error) {
        timing.result.error = error.what();
    }
}

// Takes what Google Benchmark measured: one slice of one case.
class Collector : public benchmark::BenchmarkReporter {
  public:
    explicit Collector(std::vector<Timing*> timings) : timings_(std::move(timings)) {}

    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            Timing& timing = *timings_[next_++];
            if (run.error_occurred)
                timing.result.error = run.error_message;
            else
                timing.result.slices.push_back(run), timing.seconds += run.real_accumulated_time;
        }
    }

  private:
    std::vector<Timing*> timings_;
    std::size_t next_ = 0;
};

// A slice of each.
void run_round(const std::vector<Timing*>& timings) {
    for (Timing* timing : timings)
        benchmark::RegisterBenchmark(timing->result.subject.name().c_str(),
                                     [timing](benchmark::State& state) {
                                         try {
                                             timing->timed->slice(state);
                                         } catch (const std::exception& error) {
                                             state.SkipWithError(error.what());
                                         }
                                     })
            ->Iterations(timing->calls)
            ->UseRealTime()
            ->MeasureProcessCPUTime()
            ->Unit(benchmark::kMillisecond);
    Collector collector(timings);
    benchmark::RunSpecifiedBenchmarks(&collector, "all");
    benchmark::ClearRegisteredBenchmarks();
}

// Those that are to be timed on. One that is settled but for its clock starts again, once.
std::vector<Timing*> unsettled(std::vector<Timing>& group, const Settings& settings) {
    std::vector<Timing*> left;
    for (Timing& timing : group) {
        if (timing.is_settled(settings)) {
            if (!timing.result.error.empty() || !timing.result.clock_moved() || timing.repeated) continue;
            timing.repeated = true;
            timing.seconds = 0;
            timing.result.slices.clear();
        }
        left.push_back(&timing);
    }
    return left;
}

void measure_group(std::vector<Timing>& group, const Settings& settings, Observer& observer) {
    std::mt19937 random(1);
    std::size_t slices = 0;
    for (std::vector<Timing*> left; !(left = unsettled(group, settings)).empty(); ++slices) {
        observer.times(left.size(), slices);
        std::ranges::shuffle(left, random);
        run_round(left);
    }
    for (Timing& timing : group) {
        if (timing.result.error.empty()) {
            const double error = timing.timed->max_error();
            for (Run& run : timing.result.slices) run.counters["max_error"] = error;
        }
        observer.finished(timing.result);
    }
    group.clear();
}

// What is the same in every run of a case. Google Benchmark's name says how it measured, too.
Run labelled(Run run, const Result& result) {
    run.run_name = {};
    run.run_name.function_name = result.subject.name();
    run.repetitions = static_cast<std::int64_t>(result.slices.size());
    run.report_label = place_of(result.working_set(), result.subject.c.threads);
    run.statistics = nullptr;  // the registered benchmark is gone
    return run;
}

// An aggregate of all slices: of its time, and of each counter.
template <class Statistic>
Run aggregate(const Result& result, const char* name, benchmark::StatisticUnit unit, Statistic statistic) {
    const Run& first = result.slices.front();
    Run run = labelled(first, result);
    run.run_type = Run::RT_Aggregate;
    run.aggregate_name = name;
    run.aggregate_unit = unit;
    run.iterations = run.repetitions;
    std::vector<double> cpu;
    for (const Run& slice : result.slices)
        cpu.push_back(slice.cpu_accumulated_time / static_cast<double>(slice.iterations));
    // A reporter divides by the iterations, but where the unit is a percentage.
    const double calls = unit == benchmark::kTime ? static_cast<double>(run.iterations) : 1;
    run.real_accumulated_time = statistic(seconds_of(result.slices)) * calls;
    run.cpu_accumulated_time = statistic(cpu) * calls;
    for (auto& [counter, value] : run.counters) value = statistic(values(result.slices, counter));
    return run;
}

}  // namespace

Summary Result::seconds() const {
    return Summary(seconds_of(slices));
}

double Result::median(const std::string& counter) const {
    return bench::median(values(slices, counter));
}

bool Result::is_noisy() const {
    return bench::is_noisy(seconds_of(slices), values(slices, "on_cpu"));
}

bool Result::clock_moved() const {
    return bench::clock_moved(values(slices, "clock"), values(slices, "clock_moved"));
}

double Result::working_set() const {
    return slices.front().counters.at("working_set");
}

std::vector<Run> Result::runs() const {
    std::vector<Run> all;
    for (const Run& slice : slices) {
        all.push_back(labelled(slice, *this));
        all.back().repetition_index = static_cast<std::int64_t>(all.size()) - 1;
    }
    const auto add = [&](const char* name, benchmark::StatisticUnit unit, auto statistic) {
        all.push_back(aggregate(*this, name, unit, statistic));
    };
    add("median", benchmark::kTime, [](const auto& x) { return bench::median(x); });
    all.back().counters["noisy"] = is_noisy();
    all.back().counters["clock_moved"] = clock_moved();
    add("min", benchmark::kTime, [](const auto& x) { return Summary(x).minimum; });
    add("spread", benchmark::kPercentage, [](const auto& x) { return Summary(x).spread; });
    add("median_cv", benchmark::kPercentage, [](const auto& x) { return Summary(x).cv_of_median; });
    return all;
}

void measure_in_turns(const std::vector<Subject>& subjects, const Settings& settings, Observer& observer) {
    Preparation preparation;
    std::vector<Timing> group;
    std::size_t memory = 0;
    for (const Subject& subject : subjects) {
        observer.prepares(subject);
        group.emplace_back().result.subject = subject;
        prepare(group.back(), preparation, settings);
        if (group.back().timed) memory += group.back().timed->memory();
        if (memory < settings.memory) continue;
        measure_group(group, settings, observer);
        memory = 0;
    }
    measure_group(group, settings, observer);
}

}  // namespace hone::bench
