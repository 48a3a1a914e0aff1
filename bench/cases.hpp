// cases.hpp owns the list of benchmark cases and the grammar of their names:
//
//     <direction>/<activation>/<dtype>/<isa>/b<B>/h<Hq>[/kv<Hkv>]/q<Nq>/k<Nk>/d<D>[/<variant>]/threads:<n>
//
//     direction   forward, backward
//     activation  as in hone/activations.def
//     dtype       f32, f64
//     isa         as in hone_isa_name(): each one that this machine runs
//     kv          left out where it equals h
//     variant     causal: the mask, aligned bottom-right
//                 single_location: one query that the whole batch shares, keys that are also the values,
//                 and no gradient but dq, summed over the batch
//     threads     the powers of two below OpenMP's default, and the default
//
// There are two lists: shapes that run with every activation and dtype, and sweeps, which follow one question
// each (how speed depends on N, on D, on threads ...) with the activations and dtypes that it takes.
//
// To each, Google Benchmark appends how it measured: /process_time/real_time.
#pragma once

#include <hone/hone.h>

#include <cstdint>
#include <string>
#include <vector>

namespace hone::bench {

enum class Direction { forward, backward };
enum class Variant { plain, causal, single_location };

struct Shape {
    std::int64_t batch, query_heads, kv_heads, queries, keys, dim;
    Variant variant = Variant::plain;

    bool operator==(const Shape&) const = default;
};

struct Case {
    Direction direction;
    hone_activation activation;
    hone_dtype dtype;
    std::string isa;
    Shape shape;
    int threads;

    std::string name() const;
};

// The problem of that shape, for any thread count and ISA.
hone_problem make_problem(const Shape& shape, hone_activation activation, hone_dtype dtype);

// The floating point operations of the products that the outputs need, a multiply-add being two: forward
// 4 B H Nq Nk D; backward 2.5 times that, or 1.5 times where dq alone is asked for. Under a mask Nq Nk is the
// number of (query, key) pairs that see each other.
double flops(const Shape& shape, Direction direction);

// The bytes that a call cannot do without: each input read once and each output written once, k and v once
// for each kv head, once where they are the same memory, and one entry of what is broadcast.
double bytes(const Case& c);

// OpenMP's default number of threads.
int all_threads();

// The powers of two below it, and it.
std::vector<int> thread_counts();

// Every case, ordered so that those with the same inputs and the same reference are neighbours.
std::vector<Case> all_cases();

// Those that run where no filter is given: 8 heads of 1024 queries and keys of dimension 64, in float32 on
// the ISA of that name, with one and with all threads.
std::vector<Case> default_cases(const std::string& isa);

// The cases of the sweeps, without those that are there already: all of them, for every ISA and thread count.
void add_sweeps(std::vector<Case>& cases);

// The sweeps on the ISA of that name with the thread counts that each asks for: what the report is drawn
// from.
std::vector<Case> report_cases(const std::string& isa);

}  // namespace hone::bench
