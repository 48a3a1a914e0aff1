// gradient_sum.cpp: how contributions are added.
#include "gradient_sum.hpp"

#include <algorithm>

namespace hone {
namespace {

template <class T>
Target<T> dense(T* data, const Accumulator& a) {
    const std::int64_t row = a.features, head = a.rows * row, batch = a.heads * head;
    return {data, a.sums.batch ? 0 : batch, a.sums.heads ? 0 : head, a.sums.rows ? 0 : row};
}

template <class T>
void add(const Tiles<T>& tiles, Join join, const Addition<T>& addition) {
    tiles.add[static_cast<int>(join)](addition);
}

// The sum over i and l of from[i, j, l], where j is one of `count`.
double sum_of(const double* from, std::int64_t outer, std::int64_t count, std::int64_t inner,
              std::int64_t j) {
    double sum = 0;
    for (std::int64_t i = 0; i < outer; ++i)
        for (std::int64_t l = 0; l < inner; ++l) sum += from[(i * count + j) * inner + l];
    return sum;
}

template <class T>
const double* doubles_at(const BackwardCall<T>& call, std::size_t at) {
    return reinterpret_cast<const double*>(call.workspace + at);
}

}  // namespace

void clear_counters(const Accumulator& gradient, std::byte* workspace) {
    std::fill_n(reinterpret_cast<Counter*>(workspace + gradient.counters_at), counter_count(gradient),
                Counter());
}

template <class T>
GradientSum<T>::GradientSum(const Accumulator& how, const Target<T>& gradient, T factor,
                            const Tiles<T>& tiles, std::byte* workspace, Meeting meeting)
    : how_(how),
      tiles_(tiles),
      gradient_(gradient),
      sum_(how.copies > 1 ? dense(reinterpret_cast<T*>(workspace + how.copies_at), how) : gradient_),
      lost_(dense(reinterpret_cast<T*>(workspace + how.lost_at), how)),
      factor_(factor),
      counters_(meeting == Meeting::possible && counter_count(how) > 0
                    ? reinterpret_cast<Counter*>(workspace + how.counters_at)
                    : nullptr) {}

template <class T>
template <class Body>
void GradientSum<T>::in_turn(const KeyBlockTask& task, const Turn& turn, Body body) const {
    if (counters_) wait_for(counters_[turn.counter], turn.number);
    const std::int64_t copy = turn.copy * copy_size(how_);
    const Join join = turn.number == 0 ? Join::store : how_.compensated ? Join::compensate : Join::add;
    body([&](const Rows<T>& rows) {
        Addition<T> addition = {.rows = rows.count,
                                .features = how_.features,
                                .factor = factor_,
                                .from = rows.from,
                                .from_stride = rows.from_stride,
                                .to = row_of(sum_, {task.batch, rows.head, rows.first}) + copy,
                                .to_stride = sum_.row_stride};
        if (how_.compensated) {
            addition.lost = row_of(lost_, {task.batch, rows.head, rows.first}) + copy;
            addition.lost_stride = lost_.row_stride;
        }
        add(tiles_, join, addition);
    });
    if (counters_) advance(counters_[turn.counter]);
}

template <class T>
void GradientSum<T>::finish(const FinishedRows& finish) const {
    const std::int64_t rows = count(finish.rows), terms = finish.contributions;
    const auto gradient_row = [&](std::int64_t row) {
        return row_of(gradient_, {finish.batch, finish.head, finish.rows.begin + row});
    };
    if (terms == 0 && gradient_.row_stride == how_.features) {
        // Long runs of zeros are written without reading what was there.
        std::fill_n(gradient_row(0), rows * how_.features, T(0));
    } else if (terms == 0) {
        for (std::int64_t row = 0; row < rows; ++row) std::fill_n(gradient_row(row), how_.features, T(0));
    } else if (how_.copies > 1) {
        const std::int64_t size = copy_size(how_), copies = smaller(how_.copies, terms);
        for (std::int64_t row = 0; row < rows; ++row) {
            T* const sum = gradient_row(row);
            const T* const from = row_of(sum_, {finish.batch, finish.head, finish.rows.begin + row});
            add(tiles_, Join::store, {.rows = 1, .features = how_.features, .from = from, .to = sum});
            add(tiles_, Join::add,
                {.rows = copies - 1,
                 .features = how_.features,
                 .from = from + size,
                 .from_stride = size,
                 .to = sum});
        }
    }
}

template <class T>
QueryContribution<T>::QueryContribution(const GradientSum<T>& sum, const BackwardCall<T>& call,
                                        const Tiles<T>& tiles, const KeyBlockTask& task, T* scratch)
    : sum_(sum),
      tiles_(tiles),
      shape_(call),
      task_(task),
      tile_(scratch + call.scratch.dq),
      sums_(scratch + call.scratch.dq_sums) {
    std::fill_n(sums_, query_sums_size(sum.how(), shape_), T(0));
}

template <class T>
Turn QueryContribution<T>::turn(std::int64_t row_block) const {
    const Range key_blocks =
        sum_.how().sums.rows ? shape_.block.key_blocks : key_blocks_seen(shape_, row_block);
    return turn_of(sum_.how(), task_, row_block, key_blocks);
}

template <class T>
void QueryContribution<T>::add_step(std::int64_t row_block) {
    if (!sum_.how().wanted) return;
    if (sum_.how().sums.rows)
        add_to_running_sums(row_block);
    else if (sums_group(sum_.how(), shape_.n))
        add_heads_together(row_block);
    else
        add_rows(row_block);
}

// Each row of the block is a row of the gradient.
template <class T>
void QueryContribution<T>::add_rows(std::int64_t row_block) {
    const std::int64_t heads = shape_.n.heads_per_kv, width = shape_.block.key_width;
    const Range rows = rows_of_block(shape_, row_block);
    sum_.in_turn(task_, turn(row_block), [&](auto add) {
        for (std::int64_t row = rows.begin; row < smaller(rows.begin + heads, rows.end); ++row)
            add({task_.kv_head * heads + row % heads, row / heads, (rows.end - row + heads - 1) / heads,
                 tile_ + (row - rows.begin) * width, heads * width});
    });
}

// All rows of a head, or of all heads, are summed into one row of the gradient.
template <class T>
void QueryContribution<T>::add_to_running_sums(std::int64_t row_block) {
    const std::int64_t sums = sum_.how().sums.heads ? 1 : shape_.n.heads_per_kv;
    const std::int64_t width = shape_.block.key_width;
    const Range rows = rows_of_block(shape_, row_block);
    for (std::int64_t r = 0; r < smaller(sums, count(rows)); ++r) {
        T* const to = sums_ + (rows.begin + r) % sums * width;
        add(tiles_, Join::compensate,
            {.rows = (count(rows) - r + sums - 1) / sums,
             .features = shape_.n.key_dim,
             .from = tile_ + r * width,
             .from_stride = sums * width,
             .to = to,
             .lost = to + sums * width});
    }
}

// The rows of one query are summed into one row of the gradient. A query whose rows begin in an earlier block
// is carried over to that block, which is processed later.
template <class T>
void QueryContribution<T>::add_heads_together(std::int64_t row_block) {
    const std::int64_t heads = shape_.n.heads_per_kv, width = shape_.block.key_width;
    const Range rows = rows_of_block(shape_, row_block);
    const std::int64_t first_whole = (rows.begin + heads - 1) / heads;
    const std::int64_t end_query = (rows.end + heads - 1) / heads;
    T *const running = sums_, *const lost = running + width, *const whole = lost + width;
    for (std::int64_t query = end_query - 1; query >= rows.begin / heads; --query) {
        const Range of_query = common(rows, {query * heads, (query + 1) * heads});
        add(tiles_, Join::compensate,
            {.rows = count(of_query),
             .features = shape_.n.key_dim,
             .from = tile_ + (of_query.begin - rows.begin) * width,
             .from_stride = width,
             .to = running,
             .lost = lost});
        if (query < first_whole) continue;
        std::copy_n(running, width, whole + (query - first_whole) * width);
        std::fill_n(running, 2 * width, T(0));
    }
    if (first_whole == end_query) return;
    sum_.in_turn(task_, turn(row_block), [&](auto add) {
        add({task_.kv_head * heads, first_whole, end_query - first_whole, whole, width});
    });
}

template <class T>
void QueryContribution<T>::end() {
    if (!sum_.how().wanted || !sum_.how().sums.rows) return;
    const std::int64_t heads = shape_.n.heads_per_kv;
    sum_.in_turn(task_, turn(0), [&](auto add) {
        for (std::int64_t h = 0; h < (sum_.how().sums.heads ? 1 : heads); ++h)
            add({task_.kv_head * heads + h, 0, 1, sums_ + h * shape_.block.key_width, 0});
    });
}

template <class T>
KeyContribution<T>::KeyContribution(const GradientSum<T>& sum, const BackwardCall<T>& call,
                                    const Tiles<T>& tiles, const KeyBlockTask& task,
                                    const PartialSum& partial)
    : sum_(sum),
      tiles_(tiles),
      block_(call.block),
      task_(task),
      keys_(count(keys_of_block(call, task.key_block))),
      partial_(partial) {
    if (!sum.how().wanted) return;
    std::fill_n(partial_.sum, keys_ * partial_.width, T(0));
    std::fill_n(partial_.sums, key_sums_size(sum.how(), block_, partial_.width), T(0));
}

template <class T>
void KeyContribution<T>::fold() {
    T *const sum = partial_.sums, *const lost = sum + block_.keys * partial_.width;
    add(tiles_, Join::compensate,
        {.rows = keys_,
         .features = sum_.how().features,
         .from = partial_.sum,
         .from_stride = partial_.width,
         .to = sum,
         .to_stride = partial_.width,
         .lost = lost,
         .lost_stride = partial_.width});
    std::fill_n(partial_.sum, keys_ * partial_.width, T(0));
}

template <class T>
void KeyContribution<T>::add_step(std::int64_t row_block) {
    if (sum_.how().wanted && folds() && (block_.row_blocks - row_block) % kPlainTerms == 0) fold();
}

template <class T>
void KeyContribution<T>::end() {
    if (!sum_.how().wanted) return;
    if (folds()) fold();
    const std::int64_t width = partial_.width;
    Rows<T> rows = {task_.kv_head, task_.key_block * block_.keys, keys_,
                    folds() ? partial_.sums : partial_.sum, width};
    if (sum_.how().sums.rows) {
        T* const together = partial_.sums + (folds() ? 2 * block_.keys * width : 0);
        add(tiles_, Join::compensate,
            {.rows = keys_,
             .features = sum_.how().features,
             .from = rows.from,
             .from_stride = width,
             .to = together,
             .lost = together + width});
        rows = {task_.kv_head, 0, 1, together, width};
    }
    sum_.in_turn(task_, turn_of(sum_.how(), task_, 0, block_.key_blocks), [&](auto add) { add(rows); });
}

template <class T>
void sum_parameter_gradients(std::span<const BackwardCall<T>> parts) {
    if (parts.empty()) return;
    const Extents& n = parts[0].n;
    const Gradients<T>& gradient = parts[0].gradient;
    for (T* const dbias : {gradient.shift, gradient.log_prior})
        for (std::int64_t head = 0; dbias && head < n.query_heads; ++head) {
            double sum = 0;
            for (const BackwardCall<T>& part : parts)
                sum += sum_of(doubles_at(part, part.dbias), part.n.batch, n.query_heads,
                              count(part.block.key_blocks), head);
            dbias[head] = static_cast<T>(sum);
        }
    for (std::int64_t group = 0; gradient.sink && group < group_count(n); ++group) {
        double sum = 0;
        for (const BackwardCall<T>& part : parts)
            sum +=
                sum_of(doubles_at(part, part.dsink), part.n.batch, group_count(n), part.query_blocks, group);
        gradient.sink[group] = static_cast<T>(sum);
    }
}

template <class T>
void sum_over_parts(const SumOverParts<T>& of, const Tiles<T>& tiles, std::int64_t head, Range rows,
                    T* lost) {
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
        T* const to = row_of(of.sum, {0, head, row});
        std::fill_n(to, of.features, T(0));
        std::fill_n(lost, of.features, T(0));
        for (const BackwardCall<T>& part : of.parts)
            if (row < (part.*of.how).rows)
                add(tiles, Join::compensate,
                    {.rows = 1,
                     .features = of.features,
                     .from = row_of(part.gradient.*of.term, {0, head, row}),
                     .to = to,
                     .lost = lost});
    }
}

#define INSTANTIATE(T)                                                                                   \
    template void sum_parameter_gradients(std::span<const BackwardCall<T>>);                             \
    template void sum_over_parts(const SumOverParts<T>&, const Tiles<T>&, std::int64_t, Range, T* lost); \
    template class GradientSum<T>;                                                                       \
    template class QueryContribution<T>;                                                                 \
    template class KeyContribution<T>;
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace hone
