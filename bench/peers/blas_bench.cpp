// blas_bench.cpp owns hone-bench-blas: the BLAS peer by itself, under Google Benchmark. Its cases are named
// like hone-bench's, less the implementation; block is the number of queries at a time.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "blas_attention.hpp"

namespace {

constexpr std::int64_t kHeads = 8;

struct Tensors {
    Tensors(const hone_blas_problem& p, std::mt19937_64& random) {
        std::normal_distribution<float> normal;
        for (auto* t : {&q, &dout, &o, &dq}) t->resize(p.batch * p.heads * p.queries * p.dim);
        for (auto* t : {&k, &v, &dk, &dv}) t->resize(p.batch * p.kv_heads * p.keys * p.dim);
        lse.resize(p.batch * p.heads * p.queries);
        for (auto* t : {&q, &k, &v, &dout})
            for (float& x : *t) x = normal(random);
    }

    std::vector<float> q, k, v, dout, o, lse, dq, dk, dv;
};

void measure(benchmark::State& state, const hone_blas_problem& p, bool backward) {
    std::mt19937_64 random(1);
    Tensors t(p, random);
    const auto forward = [&] {
        hone_blas_forward(&p, t.q.data(), t.k.data(), t.v.data(), t.o.data(), t.lse.data());
    };
    forward();
    for (auto _ : state)
        if (backward)
            hone_blas_backward(&p, t.q.data(), t.k.data(), t.v.data(), t.o.data(), t.lse.data(),
                               t.dout.data(), t.dq.data(), t.dk.data(), t.dv.data());
        else
            forward();
    const double flops = (backward ? 10.0 : 4.0) * p.batch * p.heads * p.queries * p.keys * p.dim;
    state.counters["flops"] =
        benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

void add(std::int64_t rows, std::int64_t dim, std::int64_t block, std::int64_t threads, bool backward) {
    const hone_blas_problem problem = {1, kHeads, kHeads, rows, rows, dim, block, threads};
    const std::string n = std::to_string(rows);
    std::string name = backward ? "backward" : "forward";
    name += "/softmax/f32/b1/h8/q" + n + "/k" + n + "/d" + std::to_string(dim);
    if (block) name += "/block:" + std::to_string(block);
    name += "/threads:" + std::to_string(threads);
    benchmark::RegisterBenchmark(name.c_str(),
                                 [=](benchmark::State& state) { measure(state, problem, backward); })
        ->UseRealTime()
        ->MeasureProcessCPUTime()
        ->Unit(benchmark::kMillisecond);
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::AddCustomContext("openblas", hone_blas_config());
    benchmark::AddCustomContext("openblas_core", hone_blas_core());
    for (const std::int64_t rows : {512, 1024, 2048, 4096})
        for (const std::int64_t dim : {64, 128})
            for (const std::int64_t threads : std::set{1, omp_get_max_threads()})
                for (const bool backward : {false, true}) {
                    add(rows, dim, 0, threads, backward);
                    for (const std::int64_t block : {64, 128, 256, 512, 4096})
                        if (block <= rows) add(rows, dim, block, threads, backward);
                }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
