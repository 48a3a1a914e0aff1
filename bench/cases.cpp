// cases.cpp: which shapes are benchmarked, what a case is called, and what it counts as work.
#include "cases.hpp"

#include <omp.h>

#include <algorithm>
#include <hone/hone.hpp>

namespace hone::bench {
namespace {

const char* word(Direction direction) {
    return direction == Direction::forward ? "forward" : "backward";
}

const char* word(hone_dtype dtype) {
    return dtype == HONE_FLOAT32 ? "f32" : "f64";
}

std::string words(const Shape& s) {
    std::string text;
    const auto add = [&](const char* letters, std::int64_t n) {
        text.append(letters).append(std::to_string(n));
    };
    add("b", s.batch);
    add("/h", s.query_heads);
    if (s.kv_heads != s.query_heads) add("/kv", s.kv_heads);
    add("/q", s.queries);
    add("/k", s.keys);
    add("/d", s.dim);
    if (s.variant == Variant::causal) text += "/causal";
    if (s.variant == Variant::single_location) text += "/single_location";
    return text;
}

constexpr Shape default_shape = {1, 8, 8, 1024, 1024, 64};

std::vector<Shape> shapes() {
    std::vector<Shape> all;
    for (const std::int64_t dim : {64, 128})
        for (const std::int64_t rows : {256, 1024, 2048, 4096})
            for (const Variant variant : {Variant::plain, Variant::causal})
                all.push_back({1, 8, 8, rows, rows, dim, variant});
    all.push_back({1, 8, 2, 1024, 1024, 64, Variant::plain});  // grouped queries
    all.push_back({1, 8, 2, 1024, 1024, 64, Variant::causal});
    all.push_back({1, 8, 1, 1024, 1024, 64, Variant::plain});  // multi-query
    all.push_back({1, 32, 8, 1, 4096, 128, Variant::plain});   // decoding
    all.push_back({256, 16, 1, 1, 32, 1024, Variant::single_location});
    return all;
}

// The (query, key) pairs of one head that see each other.
std::int64_t visible_pairs(const Shape& s) {
    if (s.variant != Variant::causal) return s.queries * s.keys;
    std::int64_t pairs = 0;
    for (std::int64_t i = 0; i < s.queries; ++i)
        pairs += std::clamp<std::int64_t>(i + 1 + s.keys - s.queries, 0, s.keys);
    return pairs;
}

}  // namespace

std::string Case::name() const {
    return std::string(word(direction)) + "/" + describe(activation).name + "/" + word(dtype) + "/" + isa +
           "/" + words(shape) + "/threads:" + std::to_string(threads);
}

hone_problem make_problem(const Shape& shape, hone_activation activation, hone_dtype dtype) {
    hone_problem problem;
    check(hone_problem_init(&problem, sizeof problem));
    problem.dtype = dtype;
    problem.activation = activation;
    problem.flags = shape.variant == Variant::causal ? HONE_CAUSAL : 0;
    problem.alignment = HONE_BOTTOM_RIGHT;
    problem.batch = shape.batch;
    problem.query_heads = shape.query_heads;
    problem.kv_heads = shape.kv_heads;
    problem.queries = shape.queries;
    problem.keys = shape.keys;
    problem.key_dim = shape.dim;
    problem.value_dim = shape.dim;
    return problem;
}

double flops(const Shape& shape, Direction direction) {
    const int backward_products = shape.variant == Variant::single_location ? 3 : 5;
    const int products = direction == Direction::forward ? 2 : backward_products;
    return 2.0 * products * shape.batch * shape.query_heads * shape.dim * visible_pairs(shape);
}

double bytes(const Case& c) {
    const Shape& s = c.shape;
    const bool single_location = s.variant == Variant::single_location;
    const hone_activation_info activation = describe(c.activation);
    const double o = double(s.batch) * s.query_heads * s.queries * s.dim;  // and dout
    const double q = single_location ? o / s.batch : o;
    const double kv = double(s.batch) * s.kv_heads * s.keys * s.dim * (single_location ? 1 : 2);
    const double lse = double(s.batch) * (activation.joint ? 1 : s.query_heads) * s.queries;
    double elements = q + kv + o;
    if (c.direction == Direction::backward) {
        elements += q;                         // dq
        if (!single_location) elements += kv;  // dk, dv
        if (activation.normalised) elements += o + lse;
    }
    return elements * (c.dtype == HONE_FLOAT32 ? 4 : 8);
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
