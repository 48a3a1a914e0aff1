// tensors.hpp owns the tensors of a case, in any scalar type: its inputs, the outputs, and the cutting out of
// a part of a problem that stands on its own.
#pragma once

#include <cstdint>
#include <hone/hone.hpp>
#include <limits>
#include <vector>

#include "cases.hpp"

namespace hone::bench {

// A row-major [batch, heads, rows, dim]; where the batch is broadcast, its one entry alone lies in memory.
template <class T>
struct Tensor {
    std::int64_t batch = 0, heads = 0, rows = 0, dim = 0;
    bool broadcast = false;
    std::vector<T> data;

    Tensor() = default;
    // Filled with NaN, so that what is never written does not pass for a result.
    Tensor(std::int64_t batch, std::int64_t heads, std::int64_t rows, std::int64_t dim,
           bool broadcast = false)
        : batch(batch), heads(heads), rows(rows), dim(dim), broadcast(broadcast) {
        data.assign(entries() * heads * rows * dim, std::numeric_limits<T>::quiet_NaN());
    }

    // Entries of the batch in memory.
    std::int64_t entries() const { return broadcast ? 1 : batch; }

    const T* row(std::int64_t b, std::int64_t h, std::int64_t i) const {
        return data.data() + ((b * heads + h) * rows + i) * dim;
    }

    // As the library sees it, to be read or written.
    hone_const_tensor input() const {
        hone_const_tensor t = hone_const_bhnd(data.empty() ? nullptr : data.data(), heads, rows, dim);
        if (broadcast) t.batch_stride = 0;
        return t;
    }
    hone_tensor output() {
        hone_tensor t = hone_bhnd(data.empty() ? nullptr : data.data(), heads, rows, dim);
        if (broadcast) t.batch_stride = 0;
        return t;
    }
};

// The kv heads [kv_head, kv_head + kv_heads), with the query heads that read them, and the queries
// [query, query + queries).
struct Part {
    std::int64_t kv_head, kv_heads, query, queries;
};

// lse and o are forward's, for backward; v is empty where it is k, and lse where the activation has none.
template <class T>
struct Inputs {
    Shape shape;
    hone_activation_info activation;
    hone_problem problem;
    Tensor<T> q, k, v, dout, o;
    std::vector<T> lse, dlse;

    hone_const_tensor values() const { return v.data.empty() ? k.input() : v.input(); }
};

// Of the direction's outputs, those that the case asks for.
template <class T>
struct Outputs {
    Tensor<T> o, dq, dk, dv;
};

// q, k, v and dout are N(0, 1) from a fixed seed; parameters have their defaults; o and lse are what
// hone_forward() of the active ISA gives. Throws Error where that fails.
template <class T>
Inputs<T> make_inputs(const Shape& shape, hone_activation activation);

// The part as a problem of its own, with the same results as in the whole. For forward, the part of an
// activation that is joint must have all heads.
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
    return args;
}

}  // namespace hone::bench
