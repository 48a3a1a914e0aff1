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
    std::int64_t rows(std::int64_t most) const {
        return std::min(most, std::max<std::int64_t>(p_.queries * heads_per_kv_, 1));
    }
    std::int64_t keys() const {
        const std::int64_t most = std::max(tuning_.block_keys, tuning_.in_place_keys);
        return std::min(most, round_up(std::max<std::int64_t>(p_.keys, 1), tuning_.panel));
    }
    // Of a row of features, with what plan.cpp puts around it.
    std::int64_t width(std::int64_t features) const {
        return round_up(features, tuning_.panel) + 2 * static_cast<std::int64_t>(64 / element());
    }

    // A region that every part has.
    void take(const Elements& n, std::size_t element) {
        regions_.take(total(n), element);
        regions_.take(p_.batch, kAlignment);
    }
    // The same, of which two bounds are known.
    void take_less(const Elements& a, const Elements& b, std::size_t element) {
        regions_.take(std::min(total(a), total(b)), element);
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
    // Of all parts.
    std::int64_t total(const Elements& n) const {
        const std::int64_t queries = all(ragged_queries(p_), p_.queries, p_.total_queries);
        const std::int64_t keys = all(ragged_keys(p_), p_.keys, p_.total_keys);
        const __int128 sum = static_cast<__int128>(n.each_part) * p_.batch +
                             static_cast<__int128>(n.each_query) * queries +
                             static_cast<__int128>(n.each_key) * keys;
        return static_cast<std::int64_t>(std::min<__int128>(sum, kTooManyBytes));
    }
    std::int64_t all(bool ragged, std::int64_t most, std::int64_t total) const {
        return ragged ? std::min(total, most * p_.batch) : most * p_.batch;
    }

    const hone_problem& p_;
    const Tuning& tuning_;
    const int threads_;
    const std::int64_t heads_per_kv_;
    Regions regions_, scratch_;
};

// Whether some sum over tasks may be too long to be added plainly.
bool may_compensate(const hone_problem& p, const Broadcast& sums, const Tuning& tuning) {
    const std::int64_t key_blocks = blocks_of(p.keys, block_keys(p, tuning));
    return key_blocks * (sums.heads ? p.kv_heads : 1) > kPlainTerms;
}

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

std::size_t most_bytes(const hone_problem& p, const hone_backward_args& a, const Machine& machine) {
    Bound bound(p, machine);
    const std::int64_t q_heads = p.query_heads, kv = p.kv_heads, block = bound.keys(),
                       group = bound.heads_per_kv();
    const std::int64_t k = bound.width(p.key_dim), v = bound.width(p.value_dim);
    const std::int64_t rows = bound.rows(bound.tuning().backward_rows);
    bound.take({0, q_heads * static_cast<std::int64_t>(sizeof(RowConstants<double>) / sizeof(double)), 0},
               bound.element());
    bound.take({2 * q_heads, 0, q_heads}, sizeof(double));  // sums of dbias,
    bound.take({q_heads, q_heads, 0}, sizeof(double));      // and of dsink
    const SummedOverParts summed = summed_over_parts(p, a);
    const hone_tensor* const gradients[] = {&a.dq, &a.dk, &a.dv};
    for (int i = 0; i < 3; ++i) {
        const std::int64_t features = i == 2 ? p.value_dim : p.key_dim;
        const Elements of_queries = {0, q_heads * features, 0}, of_keys = {0, 0, kv * features};
        const Elements& one = i == 0 ? of_queries : of_keys;
        if (summed.of[i]) bound.take(one, bound.element());
        // Tasks meet in dq, and where a gradient is broadcast. Copies are no more than k is; blocks of rows
        // are few where dq has any.
        const Broadcast sums = broadcast_of(hone_const(*gradients[i]));
        if (!gradients[i]->data || (i > 0 && !sums.heads && !sums.rows)) continue;
        const std::int64_t few_rows = kEnoughRowBlocks * bound.tuning().backward_rows;
        const std::int64_t all_rows = i == 0 && !sums.rows ? kMostCopies * few_rows * kv : kTooManyBytes;
        bound.take_less(of_keys, {smaller(all_rows, kTooManyBytes / features) * features, 0, 0},
                        bound.element());
        if (may_compensate(p, sums, bound.tuning()))
            bound.take({0, one.each_query, 2 * kv * features}, bound.element());
        bound.take({kMostCopies * kv * (kEnoughRowBlocks + 2),
                    kv * blocks_of(group, bound.tuning().backward_rows), sums.heads || sums.rows ? kv : 0},
                   sizeof(Counter));
    }
    bound.take({2, 0, 2 * kv}, sizeof(Counter));
    bound.take_scratch((rows + block) * 4 * (k + v));
    bound.take_scratch(2 * rows * (block + 16) + group * 2);
    bound.take_scratch(round_up(rows, bound.tuning().panel) * (std::max(k, v) + block));
    bound.take_scratch((2 * group + rows + 4) * k + 2 * (block + 1) * (k + v));
    bound.take_scratch(16 * 64);
    return bound.bytes(size_of_calls<double>(), bound.tuning().backward_rows);
}

}  // namespace hone
