// truth.cpp: which parts of a problem the reference computes, and how outputs are compared with it.
#include "truth.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "reference/attention.hpp"

namespace hone::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Operations spent on one truth: on that of a whole problem, and where it has more, on a sample of it. At
// some 2 GFLOP/s and core in double, seconds; x87 is slower.
template <class T>
constexpr double kWholeFlops = std::is_same_v<T, float> ? 6e9 : 1e9;
template <class T>
constexpr double kSampleFlops = kWholeFlops<T> / 2;
// Operations timed for a speed-up: a quarter of a second.
constexpr double kTimedFlops = 0.3e9;
// Queries per part of a truth by queries: so many that copying the keys costs nothing beside using them.
constexpr std::int64_t kQueryBlock = 64;

template <class T>
void run_reference(const Inputs<T>& inputs, Direction direction, Outputs<T>& outputs) {
    if (direction == Direction::forward)
        reference::forward<T>(inputs.problem, forward_args(inputs, outputs));
    else
        reference::backward<T>(inputs.problem, backward_args(inputs, outputs));
}

// The whole batch, or each entry of a ragged one.
std::vector<Part> wholes(const Shape& s) {
    if (!s.options.ragged) return {{0, s.kv_heads, 0, s.queries}};
    std::vector<Part> each;
    for (const Entry& entry : entries(s)) each.push_back({0, s.kv_heads, 0, entry.queries, std::ssize(each)});
    return each;
}

// Parts that cover the whole problem: in forward blocks of queries; in backward kv heads, or where one of
// them has more than `most` operations, blocks of queries of one, which know dq alone.
std::vector<Part> all_parts(const Shape& s, Direction direction, double most) {
    std::vector<Part> parts;
    const bool forward = direction == Direction::forward;
    for (const Part& whole : wholes(s)) {
        const bool heads = !forward && flops(s, direction, whole) / s.kv_heads <= most;
        const std::int64_t rows = heads ? whole.queries : kQueryBlock;
        const std::int64_t kv_heads = forward ? s.kv_heads : 1;
        for (std::int64_t h = 0; h < s.kv_heads; h += kv_heads)
            for (std::int64_t i = 0; i < whole.queries; i += rows)
                parts.push_back({h, kv_heads, i, std::min(rows, whole.queries - i), whole.entry});
    }
    return parts;
}

// Evenly spread ones of them, at least one, for at most so many operations, of which all together take
// `flops`.
std::vector<Part> sample(const std::vector<Part>& parts, double flops, double most) {
    const std::size_t count = std::clamp<double>(parts.size() * most / flops, 1, parts.size());
    std::vector<Part> chosen;
    for (std::size_t n = 0; n < count; ++n) chosen.push_back(parts[(2 * n + 1) * parts.size() / (2 * count)]);
    return chosen;
}

struct Difference {
    double error = 0, magnitude = 0;

    double relative() const { return magnitude > 0 ? error / magnitude : error; }
};

// std::max would drop a NaN.
double larger(double x, double y) {
    return x > y || std::isnan(x) ? x : y;
}

// The part's tensor begins at this head and row of the whole one.
template <class T, class W>
void compare(const Tensor<T>& whole, const Tensor<W>& part, std::int64_t head, std::int64_t row,
             Difference& difference) {
    for (std::int64_t b = 0; b < part.entries(); ++b)
        for (std::int64_t h = 0; h < part.heads; ++h)
            for (std::int64_t i = 0; i < part.rows; ++i) {
                const T* x = whole.row(b, head + h, row + i);
                const W* truth = part.row(b, h, i);
                for (std::int64_t d = 0; d < part.dim; ++d) {
                    difference.error = larger(difference.error, double(std::abs(x[d] - truth[d])));
                    difference.magnitude = larger(difference.magnitude, double(std::abs(truth[d])));
                }
            }
}

}  // namespace

template <class T>
Truth<T> make_truth(const Inputs<T>& inputs, Direction direction) {
    using W = Wide<T>;
    const double work = flops(inputs.shape, direction);
    const double most = work <= kWholeFlops<T> ? work : kSampleFlops<T>;
    Truth<T> truth;
    for (const Part& part : sample(all_parts(inputs.shape, direction, most), work, most))
        truth.parts.push_back({part, entry_of(inputs.shape, part), {}});
#pragma omp parallel for schedule(dynamic)
    for (std::size_t n = 0; n < truth.parts.size(); ++n) {
        auto& [part, entry, outputs] = truth.parts[n];
        const Inputs<W> cut_out = cut<W>(inputs, direction, part);
        outputs = make_outputs(cut_out, direction);
        run_reference(cut_out, direction, outputs);
        // A part of a ragged batch knows one entry's share of dsink, which is of all.
        if (part.queries < entry.queries || part.entry != Part::whole_batch) outputs.dsink = {};
        if (part.queries < entry.queries) outputs.dk = outputs.dv = {};
    }
    return truth;
}

template <class T>
double max_error(const Outputs<T>& outputs, const Truth<T>& truth) {
    Difference o, dq, dk, dv, dsink;
    for (const auto& [part, entry, known] : truth.parts) {
        const std::int64_t first_head = part.kv_head * (known.dq.heads / part.kv_heads);
        compare(outputs.o, known.o, 0, entry.first + part.query, o);
        compare(outputs.dq, known.dq, first_head, entry.first + part.query, dq);
        compare(outputs.dk, known.dk, part.kv_head, entry.first, dk);
        compare(outputs.dv, known.dv, part.kv_head, entry.first, dv);
        compare(outputs.dsink, known.dsink, first_head, 0, dsink);
    }
    double most = 0;
    for (const Difference& d : {o, dq, dk, dv, dsink}) most = larger(d.relative(), most);
    return most;
}

template <class T>
double reference_seconds(const Inputs<T>& inputs, Direction direction) {
    const Shape& s = inputs.shape;
    const std::vector<Part> all = wholes(s);
    Part part = *std::ranges::max_element(all, {}, &Part::queries);
    const std::int64_t queries = part.queries;
    if (direction == Direction::backward) part.kv_heads = 1;
    part.queries = std::clamp<double>(queries * kTimedFlops / flops(s, direction, part), 1, queries);
    part.query = (queries - part.queries) / 2;

    const Inputs<T> timed = cut<T>(inputs, direction, part);
    Outputs<T> outputs = make_outputs(timed, direction);
    double best = HUGE_VAL;
    for (int run = 0; run < 2; ++run) {
        const auto start = Clock::now();
        run_reference(timed, direction, outputs);
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return best * flops(s, direction) / flops(s, direction, part);
}

template Truth<float> make_truth<float>(const Inputs<float>&, Direction);
template Truth<double> make_truth<double>(const Inputs<double>&, Direction);
template double max_error<float>(const Outputs<float>&, const Truth<float>&);
template double max_error<double>(const Outputs<double>&, const Truth<double>&);
template double reference_seconds<float>(const Inputs<float>&, Direction);
template double reference_seconds<double>(const Inputs<double>&, Direction);

}  // namespace hone::bench
