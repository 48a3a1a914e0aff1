// cases.hpp owns the list of benchmark cases and the grammar of their names:
//
//     <direction>/<activation>/<dtype>/<isa>/b<B>/h<Hq>[/kv<Hkv>]/q<Nq>/k<Nk>/d<D>[/<word>...]/threads:<n>
//
//     direction   forward, backward
//     activation  as in hone/activations.def
//     dtype       f32, f64
//     isa         as in hone_isa_name(): each one that this machine runs
//     kv          left out where it equals h
//     threads     the powers of two below OpenMP's default, and the default
//
// The words are options, in this order. The diagonal is aligned bottom-right.
//
//     causal          a query sees the keys up to its diagonal
//     window<W>       a query sees W keys: with causal those up to its diagonal, else W / 2 before it and the
//                     others from it on
//     documents<n>    a boolean mask [1, 1, Nq, Nk]: n documents of equal length that see themselves alone
//     hidden<p>       the same mask hides p percent of the keys, each by itself, at random
//     lengths         a padded batch: key lengths drawn evenly from 1 to Nk
//     ragged          a packed batch, [total, H, D], with one array of offsets for queries and keys: lengths
//                     from 16 to Nq whose logarithms are drawn evenly
//     single_location one query that the whole batch shares, keys that are also the values, and no gradient
//                     but dq, summed over the batch
//
// single_location goes with no other word, lengths not with ragged, and documents with neither. What is
// drawn, by draws.hpp, is the same in every run. case_name.py reads names.
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

// The words of a name; a number is 0 where there is no such word.
struct Options {
    bool causal = false;
    std::int64_t window = 0, documents = 0, hidden = 0;
    bool lengths = false, ragged = false, single_location = false;

    bool has_mask() const { return documents > 0 || hidden > 0; }
    // The keys of the window before the diagonal, and after it.
    std::int64_t window_left() const { return causal ? window - 1 : window / 2; }
    std::int64_t window_right() const { return window - 1 - window_left(); }

    bool operator==(const Options&) const = default;
};

struct Shape {
    std::int64_t batch, query_heads, kv_heads, queries, keys, dim;
    Options options = {};

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

// The problem of that shape, for any thread count and ISA. Lengths and offsets are still to be pointed at.
hone_problem make_problem(const Shape& shape, hone_activation activation, hone_dtype dtype);

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
