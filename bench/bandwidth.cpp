// bandwidth.cpp: a loop of wide loads, the buffer it reads, and the clock around it.
#include "bandwidth.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>

namespace hone::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kLeastBytes = std::size_t(256) << 20;
// Sums that do not wait for each other; together they are four cache lines, of which a part is a multiple.
constexpr int kAccumulators = 8;

using Vector [[gnu::vector_size(32)]] = std::int64_t;

// The sum of what lies there: something that depends on every load.
#define HONE_READ_LOOP(name, target)                                     \
    target std::int64_t name(const Vector* from, std::size_t vectors) {  \
        Vector a[kAccumulators] = {};                                    \
        for (std::size_t i = 0; i < vectors; i += kAccumulators)         \
            for (int n = 0; n < kAccumulators; ++n) a[n] += from[i + n]; \
        std::int64_t sum = 0;                                            \
        for (int n = 0; n < kAccumulators; ++n)                          \
            for (int lane = 0; lane < 4; ++lane) sum += a[n][lane];      \
        return sum;                                                      \
    }

HONE_READ_LOOP(read_baseline, )
#if defined(__x86_64__)
HONE_READ_LOOP(read_avx2, __attribute__((target("avx2"))))
#endif

auto read_loop() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return read_avx2;
#endif
    return read_baseline;
}

// The last level of cache where the system tells it.
std::size_t cache_bytes() {
#ifdef _SC_LEVEL3_CACHE_SIZE
    return std::max(0L, sysconf(_SC_LEVEL3_CACHE_SIZE));
#else
    return 0;
#endif
}

struct Free {
    void operator()(Vector* memory) const { std::free(memory); }
};

// A part for each thread, written by that thread first.
struct Buffer {
    explicit Buffer(int threads) : threads(threads) {
        const std::size_t least = std::max(kLeastBytes, 4 * cache_bytes()) / threads;
        part_bytes = (least + kPage - 1) / kPage * kPage;
        memory.reset(static_cast<Vector*>(std::aligned_alloc(kPage, part_bytes * threads)));
        if (!memory) throw std::bad_alloc();
#pragma omp parallel for num_threads(threads) schedule(static, 1)
        for (int t = 0; t < threads; ++t) std::fill_n(part(t), part_vectors(), Vector{1, 2, 3, 4});
    }

    std::size_t part_vectors() const {
        return part_bytes / sizeof(Vector);
    }
    Vector* part(int t) const {
        return memory.get() + t * part_vectors();
    }

    int threads;
    std::size_t part_bytes;
    std::unique_ptr<Vector, Free> memory;
};

// Seconds from the moment when all threads start to that when the last one is done.
double seconds(const Buffer& buffer) {
    const auto read = read_loop();
    const auto start = Clock::now();
    std::int64_t sink = 0;
#pragma omp parallel for num_threads(buffer.threads) schedule(static, 1) reduction(+ : sink)
    for (int t = 0; t < buffer.threads; ++t) sink += read(buffer.part(t), buffer.part_vectors());
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    [[maybe_unused]] static volatile std::int64_t keep;
    keep = sink;
    return elapsed;
}

}  // namespace

double read_bandwidth(int threads) {
    static std::map<int, Buffer> buffers;
    const Buffer& buffer = buffers.try_emplace(threads, threads).first->second;
    return double(buffer.part_bytes) * threads / seconds(buffer);
}

}  // namespace hone::bench
