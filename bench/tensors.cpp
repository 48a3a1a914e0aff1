// tensors.cpp: how inputs are drawn and how a part of a problem is cut out.
#include "tensors.hpp"

#include <algorithm>
#include <hone/hone.hpp>
#include <random>

namespace hone::bench {
namespace {

template <class T>
void fill_normal(Tensor<T>& tensor, std::mt19937_64& random) {
    std::normal_distribution<T> normal;
    for (T& x : tensor.data) x = normal(random);
}

// Heads [head, head + heads) and rows [row, row + rows) of every entry.
template <class W, class T>
Tensor<W> cut_tensor(const Tensor<T>& t, std::int64_t head, std::int64_t heads, std::int64_t row,
                     std::int64_t rows) {
    if (t.data.empty()) return {};
    Tensor<W> part(t.batch, heads, rows, t.dim, t.broadcast);
    auto to = part.data.begin();
    for (std::int64_t b = 0; b < t.entries(); ++b)
        for (std::int64_t h = head; h < head + heads; ++h)
            to = std::copy_n(t.row(b, h, row), rows * t.dim, to);
    return part;
}

// The normalisers that backward shares among the heads of a joint activation, one for each head of the part,
// with a gradient of lse that makes up for the missing heads: backward subtracts delta - dlse from dp, where
// delta = sum over the heads of dout . o, and a head alone knows its own term only.
template <class W, class T>
void cut_normaliser(const Inputs<T>& whole, const Part& part, Inputs<W>& result) {
    const bool joint = whole.activation.joint;
    const std::int64_t group = whole.shape.query_heads / whole.shape.kv_heads;
    const std::int64_t lse_heads = joint ? 1 : whole.shape.query_heads;
    for (std::int64_t b = 0; b < whole.shape.batch; ++b)
        for (std::int64_t h = part.kv_head * group; h < (part.kv_head + part.kv_heads) * group; ++h)
            for (std::int64_t i = part.query; i < part.query + part.queries; ++i) {
                result.lse.push_back(whole.lse[(b * lse_heads + (joint ? 0 : h)) * whole.shape.queries + i]);
                if (!joint) continue;
                W others = 0;
                for (std::int64_t other = 0; other < whole.shape.query_heads; ++other)
                    for (std::int64_t d = 0; other != h && d < whole.shape.dim; ++d)
                        others += W(whole.dout.row(b, other, i)[d]) * whole.o.row(b, other, i)[d];
                result.dlse.push_back(-others);
            }
}

}  // namespace

template <class T>
Inputs<T> make_inputs(const Shape& s, hone_activation activation) {
    const bool single_location = s.variant == Variant::single_location;
    Inputs<T> inputs;
    inputs.shape = s;
    inputs.activation = describe(activation);
    inputs.problem = make_problem(s, activation, dtype_of<T>);

    std::mt19937_64 random(1);
    inputs.q = Tensor<T>(s.batch, s.query_heads, s.queries, s.dim, single_location);
    inputs.k = Tensor<T>(s.batch, s.kv_heads, s.keys, s.dim);
    inputs.dout = Tensor<T>(s.batch, s.query_heads, s.queries, s.dim);
    fill_normal(inputs.q, random);
    fill_normal(inputs.k, random);
    fill_normal(inputs.dout, random);
    if (!single_location) {
        inputs.v = Tensor<T>(s.batch, s.kv_heads, s.keys, s.dim);
        fill_normal(inputs.v, random);
    }
    if (inputs.activation.normalised) {
        Outputs<T> outputs = make_outputs(inputs, Direction::forward);
        inputs.lse.resize(s.batch * (inputs.activation.joint ? 1 : s.query_heads) * s.queries);
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
    // A causal mask, aligned bottom-right, stays one where the keys end with those that the last query sees.
    const std::int64_t hidden = s.variant == Variant::causal ? s.queries - (part.query + part.queries) : 0;

    Inputs<W> result;
    result.shape = s;
    result.shape.query_heads = part.kv_heads * group;
    result.shape.kv_heads = part.kv_heads;
    result.shape.queries = part.queries;
    result.shape.keys = s.keys - hidden;
    result.activation = whole.activation;
    result.problem = make_problem(result.shape, hone_activation(whole.problem.activation), HONE_FLOAT32);

    const auto queries = [&](const Tensor<T>& t) {
        return cut_tensor<W>(t, part.kv_head * group, part.kv_heads * group, part.query, part.queries);
    };
    result.q = queries(whole.q);
    result.k = cut_tensor<W>(whole.k, part.kv_head, part.kv_heads, 0, result.shape.keys);
    result.v = cut_tensor<W>(whole.v, part.kv_head, part.kv_heads, 0, result.shape.keys);
    if (direction == Direction::backward) {
        result.dout = queries(whole.dout);
        result.o = queries(whole.o);
        if (whole.activation.joint) result.problem.group_heads = 1;
        if (whole.activation.normalised) cut_normaliser(whole, part, result);
    }
    return result;
}

template <class T>
Outputs<T> make_outputs(const Inputs<T>& inputs, Direction direction) {
    const Shape& s = inputs.shape;
    Outputs<T> outputs;
    if (direction == Direction::forward) {
        outputs.o = Tensor<T>(s.batch, s.query_heads, s.queries, s.dim);
        return outputs;
    }
    outputs.dq = Tensor<T>(s.batch, s.query_heads, s.queries, s.dim, inputs.q.broadcast);
    if (s.variant != Variant::single_location) {
        outputs.dk = Tensor<T>(s.batch, s.kv_heads, s.keys, s.dim);
        outputs.dv = Tensor<T>(s.batch, s.kv_heads, s.keys, s.dim);
    }
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
