// measure.cpp: the timed calls of one case, beside the clock and the peak.
#include "measure.hpp"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <hone/hone.hpp>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "bandwidth.hpp"
#include "call.hpp"
#include "clock.hpp"
#include "peak.hpp"
#include "tensors.hpp"
#include "truth.hpp"
#include "work.hpp"

namespace hone::bench {
namespace {

using Clock = std::chrono::steady_clock;

// The inputs of a case and what it is compared with, each made when first asked for. The cases of other ISAs
// and thread counts share them.
template <class T>
class Workload {
  public:
    Workload(const Shape& shape, hone_activation activation) : inputs(make_inputs<T>(shape, activation)) {}

    const Truth<T>& truth(Direction direction) {
        auto& made = truths_[direction];
        if (!made) made = make_truth(inputs, direction);
        return *made;
    }
    double naive_seconds(Direction direction) {
        auto& made = seconds_[direction];
        if (!made) made = reference_seconds(inputs, direction);
        return *made;
    }

    const Inputs<T> inputs;

  private:
    std::map<Direction, std::optional<Truth<T>>> truths_;
    std::map<Direction, std::optional<double>> seconds_;
};

// Measured once for each number of threads.
double known_bandwidth(int threads) {
    static std::map<int, double> known;
    double& bandwidth = known[threads];
    if (bandwidth == 0) bandwidth = read_bandwidth(threads);
    return bandwidth;
}

double thread_cpu_seconds() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

template <class T>
std::size_t bytes_of(const std::vector<T>& v) {
    return v.size() * sizeof(T);
}

template <class T>
class TimedAs : public Timed {
  public:
    TimedAs(const Subject& subject, std::shared_ptr<Workload<T>> work)
        : case_(subject.c), work_(std::move(work)), call_(subject, work_->inputs) {
        work_->truth(case_.direction);
        work_->naive_seconds(case_.direction);
        const KeptEnvironment kept;
        call_.make();  // the first one touches the memory
    }

    double seconds() override {
        const KeptEnvironment kept;
        const auto start = Clock::now();
        call_.make();
        return seconds_since(start);
    }

    void slice(benchmark::State& state) override {
        const KeptEnvironment kept;
        const int threads = case_.threads;
        const Rates rates = measure_rates();
        call_.make();  // brings the memory near again
        const double before = clock_rate(threads);
        hone_status status = HONE_OK;
        const double cpu_start = thread_cpu_seconds();
        const auto start = Clock::now();
        for (auto _ : state) status = std::max(status, call_());
        const double seconds = seconds_since(start), cpu_seconds = thread_cpu_seconds() - cpu_start;
        const double after = clock_rate(threads);
        if (status != HONE_OK) throw Error(status, call_.sentence(status));
        set_counters(state, rates, seconds / state.iterations(), before, after);
        state.counters["on_cpu"] = cpu_seconds / seconds;
    }

    double max_error() override { return bench::max_error(call_.outputs, work_->truth(case_.direction)); }

    // Of backward, that includes o and lse; of forward, dout is not read.
    std::size_t working_set() const override {
        const Inputs<T>& in = work_->inputs;
        const bool backward = case_.direction == Direction::backward;
        std::size_t bytes = bytes_of(in.q.data) + bytes_of(in.k.data) + bytes_of(in.v.data) +
                            bytes_of(in.drawn->mask) + call_.workspace_bytes();
        if (backward) bytes += bytes_of(in.dout.data) + bytes_of(in.o.data) + bytes_of(in.lse);
        const Outputs<T>& out = call_.outputs;
        for (const Tensor<T>* t : {&out.o, &out.dq, &out.dk, &out.dv}) bytes += bytes_of(t->data);
        return bytes;
    }

    std::size_t memory() const override {
        const Inputs<T>& in = work_->inputs;
        return working_set() + bytes_of(in.dout.data) + bytes_of(in.o.data);
    }

  private:
    // Per second, and the cycles per second meanwhile.
    struct Rates {
        double peak_flops, bandwidth, clock;
    };

    static double seconds_since(Clock::time_point start) {
        return std::chrono::duration<double>(Clock::now() - start).count();
    }

    Rates measure_rates() const {
        const double clock = clock_rate(case_.threads);
        Rates rates = {peak_flops(case_.isa, case_.dtype, case_.threads), known_bandwidth(case_.threads), 0};
        rates.clock = (clock + clock_rate(case_.threads)) / 2;
        const bool near_memory = bytes_ / rates.bandwidth > flops_ / rates.peak_flops / 4;
        if (near_memory) rates.bandwidth = read_bandwidth(case_.threads);
        return rates;
    }

    void set_counters(benchmark::State& state, const Rates& rates, double seconds, double before,
                      double after) {
        const double clock = (before + after) / 2;
        const double flops = flops_ / seconds, bandwidth = bytes_ / seconds;
        const double flop_per_cycle = flops / (clock * case_.threads);
        const double peak_flop_per_cycle = rates.peak_flops / (rates.clock * case_.threads);
        state.counters["flops"] = flops;
        state.counters["flop_per_cycle"] = flop_per_cycle;
        state.counters["peak_flop_per_cycle"] = peak_flop_per_cycle;
        state.counters["peak_share"] = flop_per_cycle / peak_flop_per_cycle;
        state.counters["bandwidth"] = bandwidth;
        state.counters["bytes_per_cycle"] = bandwidth / (clock * case_.threads);
        state.counters["bandwidth_share"] = bandwidth / rates.bandwidth;
        // In cycles, too, for what the peak bounds.
        const double by_peak = flops_ / (peak_flop_per_cycle * clock * case_.threads);
        state.counters["roofline_share"] = std::max(by_peak, bytes_ / rates.bandwidth) / seconds;
        state.counters["speedup"] = work_->naive_seconds(case_.direction) / seconds;
        state.counters["clock"] = clock;
        state.counters["clock_moved"] = std::abs(after - before) / clock;
        state.counters["bytes"] = bytes_;
        state.counters["workspace"] = call_.workspace_bytes();
        state.counters["working_set"] = working_set();
    }

    Case case_;
    std::shared_ptr<Workload<T>> work_;
    Call<T> call_;
    double flops_ = flops(case_.shape, case_.direction), bytes_ = bytes(case_);
};

}  // namespace

struct Preparation::Workloads {
    // Finds it among those that some case still uses, or makes it.
    template <class T>
    std::shared_ptr<Workload<T>> workload(const Case& c) {
        auto& all = std::get<std::vector<std::weak_ptr<Workload<T>>>>(known);
        std::erase_if(all, [](const auto& w) { return w.expired(); });
        for (const auto& weak : all)
            if (const auto work = weak.lock();
                work && work->inputs.shape == c.shape && work->inputs.problem.activation == c.activation)
                return work;
        const auto made = std::make_shared<Workload<T>>(c.shape, c.activation);
        all.push_back(made);
        return made;
    }

    std::tuple<std::vector<std::weak_ptr<Workload<float>>>, std::vector<std::weak_ptr<Workload<double>>>>
        known;
};

Preparation::Preparation() : workloads_(std::make_unique<Workloads>()) {}
Preparation::~Preparation() = default;

std::unique_ptr<Timed> Preparation::prepare(const Subject& subject) {
    const Case& c = subject.c;
    if (c.dtype == HONE_FLOAT32)
        return std::make_unique<TimedAs<float>>(subject, workloads_->workload<float>(c));
    return std::make_unique<TimedAs<double>>(subject, workloads_->workload<double>(c));
}

}  // namespace hone::bench
