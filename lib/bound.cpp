// bound.cpp: how large a workspace may have to be, where lengths and offsets are not known yet.
//
// Every region of a part is at most a number of elements for each part, for each of its queries, and for each
// of its keys. So all parts together need no more than their totals say.
#include <algorithm>

#include "operands.hpp"
#include "parts.hpp"
#include "runs.hpp"
#include "tiles.hpp"
#include "wait.hpp"

namespace hone {
namespace {

struct Elements {
    std::int64_t each_part = 0, each_query = 0, each_key = 0;
};

// What the regions of a call are computed from.
class Bound {
  public:
    Bound(const hone_problem& p, const Machine& machine)
        : p_(p),
          tuning_(machine.tuning),
          threads_(machine.threads),
          heads_per_kv_(p.query_heads / std::max<std::int64_t>(p.kv_heads, 1)) {}

    std::int64_t query_heads() const { return p_.query_heads; }
    std::int64_t kv_heads() const { return p_.kv_heads; }
    std::int64_t heads_per_kv() const { return heads_per_kv_; }
    const Tuning& tuning() const { return tuning_; }
    std::size_t element() const { return static_cast<std::size_t>(element_size(p_)); }
    // The most of a block.
    std::int64_t rows(std::int64_t most) const { return std::min(most, p_.queries * heads_per_kv_); }
    std::int64_t keys() const {
        const std::int64_t most = std::max(tuning_.block_keys, tuning_.in_place_keys);
        return std::min(most, round_up(p_.keys, tuning_.panel));
    }
    // Of a row of features, with what plan.cpp puts around it.
    std::int64_t width(std::int64_t features) const {
        return round_up(features, tuning_.panel) + 2 * static_cast<std::int64_t>(64 / element());
    }

    // A region that every part has.
    void take(const Elements& n, std::size_t element) {
        const std::int64_t queries = all(ragged_queries(p_), p_.queries, p_.total_queries);
        const std::int64_t keys = all(ragged_keys(p_), p_.keys, p_.total_keys);
        for (const auto& [count, times] : {std::pair{n.each_part, p_.batch}, std::pair{n.each_query, queries},
                                           std::pair{n.each_key, keys}})
            if (__int128 size = static_cast<__int128>(count) * times; size > 0)
                regions_.take(static_cast<std::int64_t>(std::min<__int128>(size, kTooManyBytes)), element);
        regions_.take(p_.batch, kAlignment);
    }
    // A region of a thread's scratch.
    void take_scratch(std::int64_t elements) { scratch_.take(elements, element()); }

    // With the tables. A block has `rows` rows at least.
    std::size_t bytes(std::size_t call_size, std::int64_t rows) {
        take({1, 0, 0}, call_size);
        take({4, heads_per_kv_ / rows + 1, 1}, sizeof(Run));
        regions_.take(threads_, scratch_.bytes());
        return regions_.bytes();
    }

  private:
    // Of all entries.
    std::int64_t all(bool ragged, std::int64_t most, std::int64_t total) const {
        return ragged ? std::min(total, most * p_.batch) : most * p_.batch;
    }

    const hone_problem& p_;
    const Tuning& tuning_;
    const int threads_;
    const std::int64_t heads_per_kv_;
    Regions regions_, scratch_;
};

template <class T>
std::size_t size_of_calls() {
    return std::max(sizeof(ForwardCall<T>), sizeof(BackwardCall<T>));
}

}  // namespace

std::size_t most_bytes(const hone_problem& p, const hone_forward_args&, const Machine& machine) {
    Bound bound(p, machine);
    const std::int64_t kv = p.kv_heads, block = bound.keys(), k = p.key_dim, v = bound.width(p.value_dim);
    const std::int64_t rows = bound.rows(bound.tuning().forward_rows);
    bound.take({kv * block * k, 0, kv * k}, bound.element());      // packed k
    bound.take({kv * block * v, 0, kv * v}, bound.element());      // packed v
    bound.take({kv * block, 0, kv}, 1);                            // slices with values that are not finite
    bound.take({0, p.query_heads, 0}, bound.element());            // L of each head
    bound.take({3 * kv * rows, 0, kv}, sizeof(RowState<double>));  // splits: fewer rows than a split has keys
    bound.take({3 * kv * rows * v, 0, kv * v}, bound.element());   // and their o
    bound.take({3 * kv + 1, 0, 0}, sizeof(Counter));
    bound.take_scratch(rows * bound.width(p.key_dim));
    bound.take_scratch(rows * (block + 16) + 3 * rows * v);
    bound.take_scratch(block * (k + v));
    bound.take_scratch(round_up(bound.tuning().few_rows, bound.tuning().panel) * (k + block));
    bound.take_scratch(8 * 64);
    return bound.bytes(size_of_calls<double>(), bound.tuning().tile_rows);
}

std::size_t most_bytes(const hone_problem& p, const hone_backward_args&, const Machine& machine) {
    Bound bound(p, machine);
    const std::int64_t q_heads = p.query_heads, kv = p.kv_heads, block = bound.keys(),
                       group = bound.heads_per_kv();
    const std::int64_t k = bound.width(p.key_dim), v = bound.width(p.value_dim);
    const std::int64_t rows = bound.rows(bound.tuning().backward_rows), copies = kMostCopies;
    bound.take({0, q_heads * static_cast<std::int64_t>(sizeof(RowConstants<double>) / sizeof(double)), 0},
               bound.element());
    bound.take({2 * q_heads, 0, q_heads}, sizeof(double));  // parts of dbias,
    bound.take({q_heads, q_heads, 0}, sizeof(double));      // and of dsink
    // Copies of each gradient, what they lost, and its terms: copies are no more than k is, or than one.
    for (const std::int64_t features : {p.key_dim, p.key_dim, p.value_dim})
        bound.take({0, 3 * q_heads * features, 3 * kv * features}, bound.element());
    // Counters: of blocks of rows, and of keys, for each copy.
    bound.take({6 * kv * copies, kv * copies * blocks_of(group, bound.tuning().backward_rows), 0},
               sizeof(Counter));
    bound.take({2, 0, 2 * kv}, sizeof(Counter));
    bound.take_scratch((rows + block) * 4 * (k + v));
    bound.take_scratch(2 * rows * (block + 16) + group * 2);
    bound.take_scratch(round_up(rows, bound.tuning().panel) * (std::max(k, v) + block));
    bound.take_scratch((2 * group + rows + 4) * k + 2 * (block + 1) * (k + v));
    bound.take_scratch(16 * 64);
    return bound.bytes(size_of_calls<double>(), bound.tuning().backward_rows);
}

}  // namespace hone
