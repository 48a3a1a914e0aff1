// tensors.cpp: how inputs are drawn and how a part of a problem is cut out.
#include "tensors.hpp"

#include <algorithm>
#include <hone/hone.hpp>
#include <random>

#include "draws.hpp"

namespace hone::bench {
namespace {

template <class T>
void fill_normal(std::vector<T>& numbers, std::mt19937_64& random) {
    std::normal_distribution<T> normal;
    for (T& x : numbers) x = normal(random);
}

// Heads [head, head + heads) and rows [row, row + rows) of every entry.
template <class W, class T>
Tensor<W> cut_tensor(const Tensor<T>& t, std::int64_t head, std::int64_t heads, std::int64_t row,
                     std::int64_t rows) {
    if (t.data.empty()) return {};
    Tensor<W> part(t.batch, heads, rows, t.dim, t.layout == Layout::bnhd ? Layout::row_major : t.layout);
    auto to = part.data.begin();
    for (std::int64_t b = 0; b < t.entries(); ++b)
        for (std::int64_t h = head; h < head + heads; ++h)
            for (std::int64_t i = row; i < row + rows; ++i) to = std::copy_n(t.row(b, h, i), t.dim, to);
    return part;
}

// The normalisers that backward shares among the heads of a joint activation, one for each head of the part,
// with a gradient of lse that makes up for the missing heads: backward subtracts delta - dlse from dp, where
// delta = sum over the heads of dout . o, and a head alone knows its own term only. The part's queries begin
// at this row of the whole's.
template <class W, class T>
void cut_normaliser(const Inputs<T>& whole, const Part& part, std::int64_t row, Inputs<W>& result) {
    const bool joint = whole.activation.joint;
    const std::int64_t group = whole.shape.query_heads / whole.shape.kv_heads;
    const std::int64_t lse_heads = joint ? 1 : whole.shape.query_heads;
    for (std::int64_t b = 0; b < result.shape.batch; ++b)
        for (std::int64_t h = part.kv_head * group; h < (part.kv_head + part.kv_heads) * group; ++h)
            for (std::int64_t i = row; i < row + part.queries; ++i) {
                result.lse.push_back(whole.lse[(b * lse_heads + (joint ? 0 : h)) * whole.o.rows + i]);
                if (!joint) continue;
                W others = 0;
                for (std::int64_t other = 0; other < whole.shape.query_heads; ++other)
                    for (std::int64_t d = 0; other != h && d < whole.shape.value_dim; ++d)
                        others += W(whole.dout.row(b, other, i)[d]) * whole.o.row(b, other, i)[d];
                result.dlse.push_back(-others);
            }
}

// The tensors of queries and of keys of a shape, with so many features, filled with NaN.
template <class T>
Tensor<T> empty_queries(const Shape& s, std::int64_t dim) {
    if (s.options.ragged)
        return {1, s.query_heads, ragged_offsets(s.batch, s.queries).back(), dim, Layout::bnhd};
    return {s.batch, s.query_heads, s.queries, dim, s.options.bnhd ? Layout::bnhd : Layout::row_major};
}
template <class T>
Tensor<T> empty_keys(const Shape& s, std::int64_t dim) {
    if (s.options.ragged) return {1, s.kv_heads, ragged_offsets(s.batch, s.keys).back(), dim, Layout::bnhd};
    return {s.batch, s.kv_heads, s.keys, dim, s.options.bnhd ? Layout::bnhd : Layout::row_major};
}
// q and its gradient, which the batch may share.
template <class T>
Tensor<T> empty_q(const Shape& s) {
    if (!s.options.single_location) return empty_queries<T>(s, s.key_dim);
    return {s.batch, s.query_heads, s.queries, s.key_dim, Layout::one_entry};
}

// Heads that have a sink, or an lse.
std::int64_t normalisers(const Shape& s, const hone_activation_info& activation) {
    return activation.joint ? 1 : s.query_heads;
}

// Draws lengths, offsets and the mask, those that the shape has, and lets the inputs point at them.
template <class T>
void add_drawn(Inputs<T>& inputs) {
    const Shape& s = inputs.shape;
    const Options& options = s.options;
    const auto drawn = std::make_shared<Drawn>();
    if (options.lengths) drawn->lengths = padded_lengths(s.batch, s.keys);
    if (options.ragged) drawn->offsets = ragged_offsets(s.batch, s.queries);
    if (options.has_mask()) drawn->mask = draw_mask(s.queries, s.keys, options.documents, options.hidden);
    inputs.drawn = drawn;

    hone_problem& problem = inputs.problem;
    if (options.lengths) problem.key_lengths = {drawn->lengths.data(), HONE_INT64, 0};
    if (options.ragged) {
        problem.query_offsets = problem.key_offsets = {drawn->offsets.data(), HONE_INT64, 0};
        problem.total_queries = problem.total_keys = drawn->offsets.back();
    }
    if (options.has_mask()) inputs.mask = hone_const_bhqk(drawn->mask.data(), 1, 1, s.queries, s.keys);
}

// What the queries [query, query + queries) of an entry see of its keys.
template <class T, class W>
void cut_visibility(const Inputs<T>& whole, const Part& part, const Entry& entry, Inputs<W>& result) {
    result.drawn = whole.drawn;
    result.problem.key_lengths = whole.problem.key_lengths;
    // Aligned bottom-right, the part's last query would be at the entry's last key; it belongs as many keys
    // before that as there are queries behind the part.
    result.problem.diagonal_shift = part.query + part.queries - entry.queries;
    if (!whole.mask.data) return;
    result.mask = whole.mask;
    result.mask.data = static_cast<const unsigned char*>(whole.mask.data) + part.query * whole.shape.keys;
    result.mask.queries = part.queries;
    result.mask.keys = entry.keys;
}

}  // namespace

template <class T>
Inputs<T> make_inputs(const Shape& s, hone_activation activation) {
    Inputs<T> inputs;
    inputs.shape = s;
    inputs.activation = describe(activation);
    inputs.problem = make_problem(s, activation, dtype_of<T>);
    add_drawn(inputs);

    std::mt19937_64 random(1);
    inputs.q = empty_q<T>(s);
    inputs.k = empty_keys<T>(s, s.key_dim);
    inputs.dout = empty_queries<T>(s, s.value_dim);
    for (Tensor<T>* tensor : {&inputs.q, &inputs.k, &inputs.dout}) fill_normal(tensor->data, random);
    if (!s.options.single_location) {
        inputs.v = empty_keys<T>(s, s.value_dim);
        fill_normal(inputs.v.data, random);
    }
    if (s.options.sink) inputs.sink.resize(normalisers(s, inputs.activation));
    fill_normal(inputs.sink, random);
    if (inputs.activation.normalised) {
        Outputs<T> outputs = make_outputs(inputs, Direction::forward);
        inputs.lse.resize(outputs.o.batch * normalisers(s, inputs.activation) * outputs.o.rows);
        hone_forward_args args = forward_args(inputs, outputs);
        args.lse = inputs.lse.data();
        check(hone_forward(&inputs.problem, &args));
        inputs.o = std::move(outputs.o);
    }
    return inputs;
}

template <class W, class T>
Inputs<W> cut(const Inputs<T>& whole, Direction direction, const Part& part) {
    const Shape& s = whole.shape;
    const std::int64_t group = s.query_heads / s.kv_heads;
    const Entry entry = entry_of(s, part);

    Inputs<W> result;
    result.shape = s;
    result.shape.batch = s.options.ragged ? 1 : s.batch;
    result.shape.query_heads = part.kv_heads * group;
    result.shape.kv_heads = part.kv_heads;
    result.shape.queries = part.queries;
    result.shape.keys = entry.keys;
    result.shape.options.ragged = result.shape.options.bnhd = false;
    result.activation = whole.activation;
    result.problem = make_problem(result.shape, hone_activation(whole.problem.activation), HONE_FLOAT32);
    cut_visibility(whole, part, entry, result);

    const std::int64_t row = entry.first + part.query;
    const auto queries = [&](const Tensor<T>& t) {
        return cut_tensor<W>(t, part.kv_head * group, part.kv_heads * group, row, part.queries);
    };
    const auto keys = [&](const Tensor<T>& t) {
        return cut_tensor<W>(t, part.kv_head, part.kv_heads, entry.first, entry.keys);
    };
    result.q = queries(whole.q);
    result.k = keys(whole.k);
    result.v = keys(whole.v);
    // Of the heads of a joint activation, backward takes each by itself; its own sink is none of theirs.
    const bool all_heads = whole.activation.joint;
    if (!whole.sink.empty() && !(all_heads && direction == Direction::backward)) {
        const auto first = whole.sink.begin() + (all_heads ? 0 : part.kv_head * group);
        result.sink.assign(first, first + (all_heads ? 1 : part.kv_heads * group));
    }
    if (direction == Direction::backward) {
        result.dout = queries(whole.dout);
        result.o = queries(whole.o);
        if (whole.activation.joint) result.problem.group_heads = 1;
        if (whole.activation.normalised) cut_normaliser(whole, part, row, result);
    }
    return result;
}

template <class T>
Outputs<T> make_outputs(const Inputs<T>& inputs, Direction direction) {
    const Shape& s = inputs.shape;
    Outputs<T> outputs;
    if (direction == Direction::forward) {
        outputs.o = empty_queries<T>(s, s.value_dim);
        return outputs;
    }
    outputs.dq = empty_q<T>(s);
    if (!s.options.single_location) {
        outputs.dk = empty_keys<T>(s, s.key_dim);
        outputs.dv = empty_keys<T>(s, s.value_dim);
    }
    if (!inputs.sink.empty()) outputs.dsink = {1, std::ssize(inputs.sink), 1, 1};
    return outputs;
}

template Inputs<float> make_inputs<float>(const Shape&, hone_activation);
template Inputs<double> make_inputs<double>(const Shape&, hone_activation);
template Inputs<float> cut<float>(const Inputs<float>&, Direction, const Part&);
template Inputs<double> cut<double>(const Inputs<float>&, Direction, const Part&);
template Inputs<double> cut<double>(const Inputs<double>&, Direction, const Part&);
template Inputs<long double> cut<long double>(const Inputs<double>&, Direction, const Part&);
template Outputs<float> make_outputs<float>(const Inputs<float>&, Direction);
template Outputs<double> make_outputs<double>(const Inputs<double>&, Direction);
template Outputs<long double> make_outputs<long double>(const Inputs<long double>&, Direction);

}  // namespace hone::bench
