// clock.cpp: two chains of dependent instructions, and the time that they take.
#include "clock.hpp"

#include <algorithm>
#include <chrono>

namespace hone::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLinks = 64;     // instructions of the chain in a turn of its loop, whose own do not add to it
constexpr long kTurns = 1000;  // so that an attempt takes some 20 us,
constexpr int kAttempts = 5;   // of which some are not interrupted

#if defined(__x86_64__)
#define HONE_ADD "add %1, %0\n"
#define HONE_MULTIPLY "imul %1, %0\n"
constexpr int kCyclesOfMultiply = 3;  // on every core since the Core 2 and Zen
#elif defined(__aarch64__)
#define HONE_ADD "add %0, %0, %1\n"
#define HONE_MULTIPLY "mul %0, %0, %1\n"
constexpr int kCyclesOfMultiply = 3;  // 4 on some cores
#else
#error "bench/clock.cpp has no chain of instructions for this architecture"
#endif
#define HONE_CHAIN(instruction) \
    asm volatile(".rept %c2\n" instruction ".endr" : "+r"(x) : "r"(y), "i"(kLinks))

void adds(long turns) {
    long x = 1;
    const long y = 3;
    for (long t = 0; t < turns; ++t) HONE_CHAIN(HONE_ADD);
}

void multiplications(long turns) {
    long x = 1;
    const long y = 3;
    for (long t = 0; t < turns; ++t) HONE_CHAIN(HONE_MULTIPLY);
}

// Links of the chain per second, in the fastest of a few attempts.
double rate(void (*chain)(long turns)) {
    double best = 0;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const auto start = Clock::now();
        chain(kTurns);
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        best = std::max(best, kLinks * kTurns / seconds);
    }
    return best;
}

}  // namespace

double clock_rate(int threads) {
    double sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
    sum += rate(adds);
    return sum / threads;
}

double clock_check() {
    return rate(adds) / (kCyclesOfMultiply * rate(multiplications));
}

}  // namespace hone::bench
