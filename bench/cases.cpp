// cases.cpp: which shapes are benchmarked with every activation and dtype.
#include "cases.hpp"

#include <omp.h>

#include <hone/hone.hpp>

namespace hone::bench {
namespace {

constexpr Shape default_shape = {1, 8, 8, 1024, 1024, 64, 64};

std::vector<Shape> shapes() {
    std::vector<Shape> all;
    for (const std::int64_t dim : {64, 128})
        for (const std::int64_t rows : {256, 1024, 2048, 4096})
            for (const bool causal : {false, true})
                all.push_back({1, 8, 8, rows, rows, dim, dim, {.causal = causal}});
    for (const Options& options : {Options{.causal = true, .window = 512}, Options{.window = 512},
                                   Options{.documents = 4}, Options{.hidden = 10}})
        all.push_back({1, 8, 8, 2048, 2048, 64, 64, options});
    all.push_back({1, 8, 2, 1024, 1024, 64, 64});  // grouped queries
    all.push_back({1, 8, 2, 1024, 1024, 64, 64, {.causal = true}});
    all.push_back({1, 8, 1, 1024, 1024, 64, 64});  // multi-query
    all.push_back({1, 32, 8, 1, 4096, 128, 128});  // decoding
    all.push_back({16, 32, 8, 1, 4096, 128, 128, {.lengths = true}});
    all.push_back({16, 8, 8, 1024, 1024, 64, 64, {.ragged = true}});
    all.push_back({16, 8, 8, 1024, 1024, 64, 64, {.causal = true, .ragged = true}});
    all.push_back({256, 16, 1, 1, 32, 1024, 1024, {.single_location = true}});
    return all;
}

}  // namespace

hone_problem make_problem(const Shape& shape, hone_activation activation, hone_dtype dtype) {
    hone_problem problem;
    check(hone_problem_init(&problem, sizeof problem));
    problem.dtype = dtype;
    problem.activation = activation;
    const Options& options = shape.options;
    if (options.causal) problem.flags |= HONE_CAUSAL;
    if (options.window > 0) {
        problem.flags |= HONE_WINDOW;
        problem.window_left = options.window_left();
        problem.window_right = options.window_right();
    }
    if (options.lengths) problem.flags |= HONE_KEY_LENGTHS;
    if (options.ragged) problem.flags |= HONE_RAGGED_QUERIES | HONE_RAGGED_KEYS;
    problem.alignment = HONE_BOTTOM_RIGHT;
    problem.batch = shape.batch;
    problem.query_heads = shape.query_heads;
    problem.kv_heads = shape.kv_heads;
    problem.queries = shape.queries;
    problem.keys = shape.keys;
    problem.key_dim = shape.key_dim;
    problem.value_dim = shape.value_dim;
    return problem;
}

int all_threads() {
    return omp_get_max_threads();
}

std::vector<int> thread_counts() {
    std::vector<int> counts;
    for (int n = 1; n < all_threads(); n *= 2) counts.push_back(n);
    counts.push_back(all_threads());
    return counts;
}

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    for (const Shape& shape : shapes())
        for (const hone_dtype dtype : {HONE_FLOAT32, HONE_FLOAT64})
            for (int a = 0; a < hone_activation_count(); ++a)
                for (const Direction direction : {Direction::forward, Direction::backward})
                    for (const std::string& isa : available_isas())
                        for (const int threads : thread_counts())
                            cases.push_back({direction, hone_activation(a), dtype, isa, shape, threads});
    add_sweeps(cases);
    return cases;
}

std::vector<Case> default_cases(const std::string& isa) {
    std::vector<Case> cases = all_cases();
    std::erase_if(cases, [&](const Case& c) {
        return c.shape != default_shape || c.dtype != HONE_FLOAT32 || c.isa != isa ||
               (c.threads != 1 && c.threads != all_threads());
    });
    return cases;
}

}  // namespace hone::bench
