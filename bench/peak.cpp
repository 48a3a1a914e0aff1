// peak.cpp: one loop of multiply-adds per ISA and scalar type, and the clock around it.
#include "peak.hpp"

#include <algorithm>
#include <chrono>
#include <hone/hone.hpp>
#include <map>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace hone::bench {
namespace {

using Clock = std::chrono::steady_clock;

// With x and y they fit in the 16 vector registers of SSE2 and AVX2 (at 14, clang++ spills two), and cover
// what the machines need: two pipes with a latency of 4 to 5 cycles fused, of 6 as a multiply and an add.
constexpr int kAccumulators = 12;
constexpr int kRuns = 4;  // of which some are not interrupted
constexpr double kSeconds = 0.5e-3;

// A function that does turns * kAccumulators vectors of a = a * x + y, which falls towards y / (1 - x) = 1,
// and returns something that depends on all of them. A macro, since the target of a function does not reach
// into the templates and lambdas that it calls.
#define HONE_PEAK_LOOP(name, target, Vector, multiply_add)               \
    target double name(long turns) {                                     \
        constexpr int lanes = sizeof(Vector) / sizeof(Vector{}[0]);      \
        Vector a[kAccumulators], x, y;                                   \
        for (int l = 0; l < lanes; ++l) {                                \
            x[l] = 0.75;                                                 \
            y[l] = 0.25;                                                 \
            for (int n = 0; n < kAccumulators; ++n) a[n][l] = 2 + n;     \
        }                                                                \
        for (long t = 0; t < turns; ++t)                                 \
            for (int n = 0; n < kAccumulators; ++n) a[n] = multiply_add; \
        double sum = 0;                                                  \
        for (int n = 0; n < kAccumulators; ++n)                          \
            for (int l = 0; l < lanes; ++l) sum += a[n][l];              \
        return sum;                                                      \
    }

struct Loop {
    const char* isa;
    hone_dtype dtype;
    int lanes;
    double (*run)(long turns);
};

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f")))
HONE_PEAK_LOOP(sse2_f32, , __m128, _mm_add_ps(_mm_mul_ps(a[n], x), y))
HONE_PEAK_LOOP(sse2_f64, , __m128d, _mm_add_pd(_mm_mul_pd(a[n], x), y))
HONE_PEAK_LOOP(avx2_f32, AVX2, __m256, _mm256_fmadd_ps(a[n], x, y))
HONE_PEAK_LOOP(avx2_f64, AVX2, __m256d, _mm256_fmadd_pd(a[n], x, y))
HONE_PEAK_LOOP(avx512_f32, AVX512, __m512, _mm512_fmadd_ps(a[n], x, y))
HONE_PEAK_LOOP(avx512_f64, AVX512, __m512d, _mm512_fmadd_pd(a[n], x, y))
constexpr Loop kLoops[] = {
    {"sse2", HONE_FLOAT32, 4, sse2_f32},      {"sse2", HONE_FLOAT64, 2, sse2_f64},
    {"avx2", HONE_FLOAT32, 8, avx2_f32},      {"avx2", HONE_FLOAT64, 4, avx2_f64},
    {"avx512", HONE_FLOAT32, 16, avx512_f32}, {"avx512", HONE_FLOAT64, 8, avx512_f64},
};
#elif defined(__aarch64__)
HONE_PEAK_LOOP(neon64_f32, , float32x4_t, vfmaq_f32(y, a[n], x))
HONE_PEAK_LOOP(neon64_f64, , float64x2_t, vfmaq_f64(y, a[n], x))
constexpr Loop kLoops[] = {
    {"neon64", HONE_FLOAT32, 4, neon64_f32},
    {"neon64", HONE_FLOAT64, 2, neon64_f64},
};
#endif

// Seconds from the moment when all threads start to that when the last one is done.
double seconds(const Loop& loop, long turns, int threads) {
    Clock::time_point start;
    double sink = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sink)
    {
#pragma omp barrier
#pragma omp master
        start = Clock::now();
        sink += loop.run(turns);
    }
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    [[maybe_unused]] static volatile double keep;
    keep = sink;
    return elapsed;
}

// The turns that take a run's time on one thread.
long calibrated_turns(const Loop& loop) {
    static std::map<const Loop*, long> known;
    long& turns = known[&loop];
    if (turns == 0)
        for (turns = 1024; seconds(loop, turns, 1) < kSeconds;) turns *= 2;
    return turns;
}

}  // namespace

double peak_flops(const std::string& isa, hone_dtype dtype, int threads) {
    const auto loop = std::find_if(std::begin(kLoops), std::end(kLoops),
                                   [&](const Loop& l) { return l.isa == isa && l.dtype == dtype; });
    if (loop == std::end(kLoops))
        throw Error(HONE_UNSUPPORTED, ("bench/peak.cpp has no loop for the ISA " + isa).c_str());
    const long turns = calibrated_turns(*loop);
    double best = seconds(*loop, turns, threads);
    for (int run = 1; run < kRuns; ++run) best = std::min(best, seconds(*loop, turns, threads));
    return 2.0 * kAccumulators * loop->lanes * turns * threads / best;
}

}  // namespace hone::bench
