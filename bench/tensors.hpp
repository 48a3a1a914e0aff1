// tensors.hpp owns the tensors of a case, in any scalar type: its inputs, the outputs, and the cutting out of
// a part of a problem that stands on its own.
#pragma once

#include <cstdint>
#include <hone/hone.hpp>
#include <limits>
#include <memory>
#include <vector>

#include "cases.hpp"
#include "work.hpp"

namespace hone::bench {

// How a tensor [batch, heads, rows, dim] lies in memory.
enum class Layout {
    row_major,
    one_entry,  // row-major; the batch is broadcast, and its one entry alone is there
    bnhd,       // [batch, rows, heads, dim]; of a ragged batch one row of all entries, a batch of 1
};

template <class T>
struct Tensor {
    std::int64_t batch = 0, heads = 0, rows = 0, dim = 0;
    Layout layout = Layout::row_major;
    std::vector<T> data;

    Tensor() = default;
    // Filled with NaN, so that what is never written does not pass for a result.
    Tensor(std::int64_t batch, std::int64_t heads, std::int64_t rows, std::int64_t dim,
           Layout layout = Layout::row_major)
        : batch(batch), heads(heads), rows(rows), dim(dim), layout(layout) {
        data.assign(entries() * heads * rows * dim, std::numeric_limits<T>::quiet_NaN());
    }

    // Entries of the batch in memory.
    std::int64_t entries() const { return layout == Layout::one_entry ? 1 : batch; }

    const T* row(std::int64_t b, std::int64_t h, std::int64_t i) const {
        if (layout == Layout::bnhd) return data.data() + ((b * rows + i) * heads + h) * dim;
        return data.data() + ((b * heads + h) * rows + i) * dim;
    }

    // As the library sees it, to be read or written.
    hone_const_tensor input() const {
        hone_const_tensor t = hone_const(view());
        t.data = data.empty() ? nullptr : data.data();
        return t;
    }
    hone_tensor output() {
        hone_tensor t = view();
        t.data = data.empty() ? nullptr : data.data();
        return t;
    }

  private:
    hone_tensor view() const {
        if (layout == Layout::bnhd) return hone_bnhd(nullptr, heads, rows, dim);
        hone_tensor t = hone_bhnd(nullptr, heads, rows, dim);
        if (layout == Layout::one_entry) t.batch_stride = 0;
        return t;
    }
};

// What the problem and the arguments of a call point at besides tensors.
struct Drawn {
    std::vector<std::int64_t> lengths, offsets;
    std::vector<unsigned char> mask;
};

// lse and o are forward's, for backward; v is empty where it is k, and lse where the activation has none.
template <class T>
struct Inputs {
    Shape shape;
    hone_activation_info activation;
    hone_problem problem;
    Tensor<T> q, k, v, dout, o;
    std::vector<T> lse, dlse, sink;      // sink is empty where there is none
    std::shared_ptr<const Drawn> drawn;  // a part has the whole's
    hone_const_scores mask = {};

    hone_const_tensor values() const { return v.data.empty() ? k.input() : v.input(); }
};

// Of the direction's outputs, those that the case asks for.
template <class T>
struct Outputs {
    Tensor<T> o, dq, dk, dv, dsink;  // dsink is [1, heads, 1, 1]
};

// q, k, v, dout and sinks are N(0, 1) from a fixed seed; other parameters have their defaults; o and lse are
// what hone_forward() of the active ISA gives. Throws Error where that fails.
template <class T>
Inputs<T> make_inputs(const Shape& shape, hone_activation activation);

// The part as a problem of its own, with the same results as in the whole. For forward, the part of an
// activation that is joint must have all heads. A part of a ragged batch is of one entry, and not ragged.
template <class W, class T>
Inputs<W> cut(const Inputs<T>& whole, Direction direction, const Part& part);

template <class T>
Outputs<T> make_outputs(const Inputs<T>& inputs, Direction direction);

template <class T>
hone_forward_args forward_args(const Inputs<T>& inputs, Outputs<T>& outputs) {
    hone_forward_args args;
    check(hone_forward_args_init(&args, sizeof args));
    args.q = inputs.q.input();
    args.k = inputs.k.input();
    args.v = inputs.values();
    args.o = outputs.o.output();
    args.mask = inputs.mask;
    if (!inputs.sink.empty()) args.sink = inputs.sink.data();
    return args;
}

template <class T>
hone_backward_args backward_args(const Inputs<T>& inputs, Outputs<T>& outputs) {
    hone_backward_args args;
    check(hone_backward_args_init(&args, sizeof args));
    args.q = inputs.q.input();
    args.k = inputs.k.input();
    args.v = inputs.values();
    args.dout = inputs.dout.input();
    if (inputs.activation.normalised) {
        args.o = inputs.o.input();
        args.lse = inputs.lse.data();
        if (!inputs.dlse.empty()) args.dlse = inputs.dlse.data();
    }
    args.dq = outputs.dq.output();
    args.dk = outputs.dk.output();
    args.dv = outputs.dv.output();
    args.mask = inputs.mask;
    if (!inputs.sink.empty()) args.sink = inputs.sink.data();
    if (!outputs.dsink.data.empty()) args.dsink = outputs.dsink.data.data();
    return args;
}

}  // namespace hone::bench
