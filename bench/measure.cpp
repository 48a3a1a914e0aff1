// measure.cpp: the timed calls of one case, between two measurements of the peak.
#include "measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <hone/hone.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bandwidth.hpp"
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

// One is kept, the last: cases are ordered for it.
template <class T>
Workload<T>& workload(const Case& c) {
    static std::unique_ptr<Workload<T>> kept;
    if (!kept || kept->inputs.shape != c.shape || kept->inputs.problem.activation != c.activation) {
        kept.reset();
        kept = std::make_unique<Workload<T>>(c.shape, c.activation);
    }
    return *kept;
}

// The call of one case, ready to be repeated.
template <class T>
class Call {
  public:
    Call(const Case& c, const Inputs<T>& inputs)
        : outputs(make_outputs(inputs, c.direction)),
          direction_(c.direction),
          problem_(inputs.problem),
          forward_(forward_args(inputs, outputs)),
          backward_(backward_args(inputs, outputs)) {
        problem_.isa = c.isa.c_str();
        problem_.threads = c.threads;
        std::size_t bytes = 0;
        if (direction_ == Direction::forward)
            check(hone_forward_workspace(&problem_, &forward_, &bytes));
        else
            check(hone_backward_workspace(&problem_, &backward_, &bytes));
        workspace_.resize(bytes);
        forward_.workspace = backward_.workspace = workspace_.data();
        forward_.workspace_bytes = backward_.workspace_bytes = bytes;
    }

    hone_status operator()() {
        return direction_ == Direction::forward ? hone_forward(&problem_, &forward_)
                                                : hone_backward(&problem_, &backward_);
    }

    std::size_t workspace_bytes() const { return workspace_.size(); }

    Outputs<T> outputs;

  private:
    Direction direction_;
    hone_problem problem_;
    hone_forward_args forward_;
    hone_backward_args backward_;
    std::vector<std::byte> workspace_;
};

// Measured once for each number of threads.
double known_bandwidth(int threads) {
    static std::map<int, double> known;
    double& bandwidth = known[threads];
    if (bandwidth == 0) bandwidth = read_bandwidth(threads);
    return bandwidth;
}

template <class T>
void measure_as(benchmark::State& state, const Case& c) {
    Workload<T>& work = workload<T>(c);
    const double naive_seconds = work.naive_seconds(c.direction);
    const Truth<T>& truth = work.truth(c.direction);
    Call<T> call(c, work.inputs);

    const double work_flops = flops(c.shape, c.direction), work_bytes = bytes(c);
    double peak = peak_flops(c.isa, c.dtype, c.threads);
    double bandwidth = known_bandwidth(c.threads);
    const bool near_memory = work_bytes / bandwidth > work_flops / peak / 4;
    if (near_memory) bandwidth = read_bandwidth(c.threads);

    check(call());  // the first one touches the memory
    hone_status status = HONE_OK;
    const auto start = Clock::now();
    for (auto _ : state) status = std::max(status, call());
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count() / state.iterations();
    check(status);
    peak = std::max(peak, peak_flops(c.isa, c.dtype, c.threads));
    if (near_memory) bandwidth = std::max(bandwidth, read_bandwidth(c.threads));

    state.counters["flops"] = benchmark::Counter(work_flops, benchmark::Counter::kIsIterationInvariantRate,
                                                 benchmark::Counter::kIs1000);
    state.counters["peak_share"] = work_flops / seconds / peak;
    state.counters["bytes"] = work_bytes;
    state.counters["bandwidth_share"] = work_bytes / seconds / bandwidth;
    state.counters["roofline_share"] = std::max(work_flops / peak, work_bytes / bandwidth) / seconds;
    state.counters["workspace"] = call.workspace_bytes();
    state.counters["speedup"] = naive_seconds / seconds;
    state.counters["max_error"] = max_error(call.outputs, truth);
}

}  // namespace

void measure(benchmark::State& state, const Case& c) {
    try {
        c.dtype == HONE_FLOAT32 ? measure_as<float>(state, c) : measure_as<double>(state, c);
    } catch (const std::exception& error) {
        state.SkipWithError(error.what());
    }
}

}  // namespace hone::bench
