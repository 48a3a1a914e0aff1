// cases.hpp owns what a benchmark case is, the grammar of its name, and the lists of cases. A name is the
// definition of its case: any name of this form runs, whether it is on a list or not.
//
//     <direction>/<activation>/<dtype>/<isa>/b<B>/h<Hq>[/kv<Hkv>]/q<Nq>/k<Nk>/d<D>[/dv<Dv>][/<word>...]/threads:<n>
//
//     direction   forward, backward
//     activation  as in hone/activations.def
//     dtype       f32, f64
//     isa         as in hone_isa_name(), or best: the best that this machine runs
//     kv          left out where it equals h
//     dv          the dimension of v and o, left out where it is that of q and k
//     threads     as in hone_problem
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
//     sink            a sink logit for each head, N(0, 1), and its gradient
//     bnhd            tensors are [B, N, H, D], not [B, H, N, D]
//     single_location one query that the whole batch shares, keys that are also the values, and no gradient
//                     but dq, summed over the batch
//
// single_location goes with no other word, lengths not with ragged, and documents with neither. What is
// drawn, by draws.hpp, is the same in every run. case_name.py reads names in Python.
//
// There are three lists: shapes that run with every activation and dtype; sweeps, which follow one question
// each (how speed depends on N, on D, on threads ...) with the activations and dtypes that it takes; and the
// shapes of real models, in presets.hpp.
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
    bool lengths = false, ragged = false, sink = false, bnhd = false, single_location = false;

    bool has_mask() const { return documents > 0 || hidden > 0; }
    // The keys of the window before the diagonal, and after it.
    std::int64_t window_left() const { return causal ? window - 1 : window / 2; }
    std::int64_t window_right() const { return window - 1 - window_left(); }

    bool operator==(const Options&) const = default;
};

struct Shape {
    std::int64_t batch = 0, query_heads = 0, kv_heads = 0, queries = 0, keys = 0, key_dim = 0, value_dim = 0;
    Options options = {};

    bool operator==(const Shape&) const = default;
};

struct Case {
    Direction direction = Direction::forward;
    hone_activation activation = HONE_SOFTMAX;
    hone_dtype dtype = HONE_FLOAT32;
    std::string isa;
    Shape shape;
    int threads = 0;

    std::string name() const;

    bool operator==(const Case&) const = default;
};

// The case of that name, whose ISA is this machine's best where the name says so. Throws Error with a
// sentence that says which part of the name is wrong, and what it should be.
Case parse_case(const std::string& name);

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
