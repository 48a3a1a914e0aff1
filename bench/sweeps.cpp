// sweeps.cpp: the sweeps: which shapes, activations and thread counts each of the report's questions takes.
#include <algorithm>
#include <hone/hone.hpp>
#include <unordered_set>

#include "cases.hpp"

namespace hone::bench {
namespace {

enum class Threads { one, one_and_all, powers };

struct Sweep {
    std::vector<Shape> shapes;
    std::vector<hone_activation> activations = {HONE_SOFTMAX};
    std::vector<hone_dtype> dtypes = {HONE_FLOAT32};
    std::vector<Direction> directions = {Direction::forward, Direction::backward};
    Threads threads = Threads::one;
};

std::vector<hone_activation> every_activation() {
    std::vector<hone_activation> all;
    for (int a = 0; a < hone_activation_count(); ++a) all.push_back(hone_activation(a));
    return all;
}

Shape square(std::int64_t heads, std::int64_t rows, std::int64_t dim, const Options& options = {}) {
    return {1, heads, heads, rows, rows, dim, dim, options};
}

// One query against 16384 keys of dimension 128, as decoding has it.
Shape decode(std::int64_t batch, std::int64_t heads, std::int64_t kv_heads) {
    return {batch, heads, kv_heads, 1, 16384, 128, 128};
}

std::vector<Sweep> sweeps() {
    std::vector<Sweep> all;
    // Each activation against softmax, and on all threads.
    all.push_back({.shapes = {square(8, 2048, 64)},
                   .activations = every_activation(),
                   .threads = Threads::one_and_all});
    // Head dimensions, those too that are no multiple of 64; double has half the lanes.
    for (const std::int64_t dim : {32, 64, 80, 96, 128, 192, 256})
        all.push_back({.shapes = {square(8, 2048, dim)}});
    for (const std::int64_t dim : {64, 128})
        all.push_back({.shapes = {square(8, 2048, dim)}, .dtypes = {HONE_FLOAT64}});
    // Lengths, those too that are no multiple of a tile; at the short ones as many heads as a batch would
    // have.
    for (const std::int64_t rows : {256, 512, 1000, 1024, 1537, 4096, 8192})
        all.push_back({.shapes = {square(8, rows, 64)}});
    for (const std::int64_t rows : {16, 32, 64, 128, 256})
        all.push_back({.shapes = {{8, 8, 8, rows, rows, 64, 64}}});
    // Causal against full.
    for (const std::int64_t rows : {2048, 8192})
        all.push_back({.shapes = {square(8, rows, 64, {.causal = true})}});
    // Windows and masks against full and causal; many sequences of unequal lengths.
    all.push_back({.shapes = {square(8, 2048, 64, {.causal = true, .window = 512}),
                              square(8, 2048, 64, {.window = 512}),
                              square(8, 2048, 64, {.documents = 4}),
                              square(8, 2048, 64, {.hidden = 10}),
                              {64, 8, 8, 1024, 1024, 64, 64, {.ragged = true}}}});
    // [B, N, H, D] against [B, H, N, D]; a value dimension of its own; sinks.
    for (const std::int64_t dim : {64, 128})
        all.push_back({.shapes = {square(8, 2048, dim, {.bnhd = true})}});
    all.push_back({.shapes = {{1, 32, 32, 256, 256, 64, 64, {.bnhd = true}},
                              {1, 8, 8, 2048, 2048, 192, 128, {.causal = true}},
                              square(8, 2048, 64, {.causal = true, .window = 128, .sink = true})}});
    // What a call costs that computes nothing to speak of.
    all.push_back({.shapes = {square(1, 1, 64)}, .threads = Threads::one_and_all});
    // Threads, with one head and with eight.
    all.push_back({.shapes = {square(1, 2048, 64), square(8, 2048, 64)}, .threads = Threads::powers});
    // Decoding, with 134 MB of keys and values whatever their heads, so that caches do not hold them; then
    // fewer kv heads as they are served, and a single head.
    all.push_back({.shapes = {decode(1, 8, 8), decode(4, 8, 2), decode(8, 8, 1), decode(1, 8, 2),
                              decode(1, 8, 1), decode(1, 1, 1)},
                   .directions = {Direction::forward},
                   .threads = Threads::powers});
    // Decoding of a batch whose caches are filled to different lengths.
    all.push_back(
        {.shapes = {{16, 32, 8, 1, 4096, 128, 128, {.lengths = true}}}, .directions = {Direction::forward}});
    // The single-location model of the paper.
    all.push_back({.shapes = {{256, 16, 1, 1, 32, 1024, 1024, {.single_location = true}}},
                   .activations = {HONE_SOFTMAX, HONE_BAYES_SOFTMAX},
                   .threads = Threads::one_and_all});
    return all;
}

std::vector<int> counts(Threads threads) {
    std::vector<int> all = thread_counts();
    if (threads == Threads::one) return {1};
    if (threads == Threads::one_and_all && all.size() > 2) all.erase(all.begin() + 1, all.end() - 1);
    return all;
}

template <class Use>
void for_each_workload(const Use& use) {
    for (const Sweep& sweep : sweeps())
        for (const Shape& shape : sweep.shapes)
            for (const hone_dtype dtype : sweep.dtypes)
                for (const hone_activation activation : sweep.activations)
                    for (const Direction direction : sweep.directions)
                        use(sweep, Case{direction, activation, dtype, "", shape, 1});
}

// Appends, once, what is not there: `names` are of those that are.
void append(std::vector<Case>& cases, std::unordered_set<std::string>& names, Case c, const std::string& isa,
            const std::vector<int>& thread_counts) {
    c.isa = isa;
    for (const int threads : thread_counts) {
        c.threads = threads;
        if (names.insert(c.name()).second) cases.push_back(c);
    }
}

}  // namespace

void add_sweeps(std::vector<Case>& cases) {
    std::unordered_set<std::string> names;
    for (const Case& c : cases) names.insert(c.name());
    for_each_workload([&](const Sweep&, const Case& c) {
        for (const std::string& isa : available_isas()) append(cases, names, c, isa, thread_counts());
    });
}

std::vector<Case> report_cases(const std::string& isa) {
    std::vector<Case> cases;
    std::unordered_set<std::string> names;
    for_each_workload(
        [&](const Sweep& sweep, const Case& c) { append(cases, names, c, isa, counts(sweep.threads)); });
    return cases;
}

}  // namespace hone::bench
