// call.hpp: one call of attention, forward or backward, with the memory of all its arguments, and its way
// through hone or through the reference.
#pragma once

#include <hone/hone.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "reference/activations.hpp"
#include "reference/attention.hpp"
#include "reference/visibility.hpp"
#include "tests/problem.hpp"
#include "tests/tensor.hpp"

namespace hone::test {

enum class Direction { forward, backward };

enum Argument {
    Q,
    K,
    V,
    O,
    DOUT,
    SINK,
    LOG_PRIOR,
    SHIFT,
    LSE,
    DLSE,
    DQ,
    DK,
    DV,
    DSINK,
    DLOG_PRIOR,
    DSHIFT,
    ARGUMENTS
};

inline constexpr const char* argument_names[ARGUMENTS] = {
    "q",   "k",    "v",  "o",  "dout", "sink",  "log_prior",  "shift",
    "lse", "dlse", "dq", "dk", "dv",   "dsink", "dlog_prior", "dshift"};

inline std::span<const Argument> outputs(Direction direction) {
    static constexpr Argument forward[] = {O, LSE};
    static constexpr Argument backward[] = {DQ, DK, DV, DSINK, DLOG_PRIOR, DSHIFT};
    if (direction == Direction::forward) return forward;
    return backward;
}

inline bool is_output(Direction direction, int argument) {
    for (const Argument s : outputs(direction))
        if (s == argument) return true;
    return false;
}

// Whether it has a row for each key; the other tensors have one for each query.
inline bool is_of_keys(int argument) {
    return argument == K || argument == V || argument == DK || argument == DV;
}

template <class S>
inline constexpr hone_dtype scalar_dtype = std::is_same_v<S, float> ? HONE_FLOAT32 : HONE_FLOAT64;

template <class S>
struct Call {
    Direction direction = Direction::forward;
    hone_problem problem = small_problem();
    std::array<Tensor<S>, ARGUMENTS> tensors;  // those not wanted are absent
    bool v_is_k = false;                       // v is the memory of k
    hone_const_scores mask = {};
    // What the mask and the problem's lengths and offsets point to: all copies of a call share it.
    std::vector<std::shared_ptr<const void>> memory;
    std::span<std::byte> workspace = {};

    Call() = default;
    template <class From>
    explicit Call(const Call<From>& from)
        : direction(from.direction),
          problem(from.problem),
          v_is_k(from.v_is_k),
          mask(from.mask),
          memory(from.memory) {
        for (int argument = 0; argument < ARGUMENTS; ++argument)
            tensors[argument] = Tensor<S>(from.tensors[argument]);
    }

    Tensor<S>& operator[](Argument argument) { return tensors[argument]; }

    // The rows of a batch entry in a tensor.
    reference::Segment segment(int argument, std::int64_t b) const {
        return is_of_keys(argument) ? reference::keys_of(problem, b) : reference::queries_of(problem, b);
    }
    // Row i of a batch entry, counted within it.
    S* row(Argument argument, std::int64_t b, std::int64_t h, std::int64_t i) {
        const reference::Segment rows = segment(argument, b);
        return tensors[argument].row(rows.batch, h, rows.first + i);
    }
    // Whether this row of a tensor is one of a batch entry that is not beyond its length.
    bool counts(int argument, std::int64_t batch, std::int64_t tensor_row) const {
        for (std::int64_t b = 0; b < problem.batch; ++b)
            if (const reference::Segment rows = segment(argument, b);
                rows.batch == batch && tensor_row >= rows.first && tensor_row < rows.first + rows.length)
                return true;
        return false;
    }
    Extents lse_extents() const {
        const hone_activation_info info = reference::describe(problem.activation);
        const std::int64_t group = !info.joint           ? 1
                                   : problem.group_heads ? problem.group_heads
                                                         : problem.query_heads;
        const bool ragged = problem.flags & HONE_RAGGED_QUERIES;
        return {ragged ? 1 : problem.batch, group == 0 ? 0 : problem.query_heads / group,
                ragged ? problem.total_queries : problem.queries, 1};
    }

    hone_const_tensor input(Argument argument) { return hone_const(tensors[argument].view()); }

    hone_forward_args forward_args() {
        hone_forward_args a = no_forward_args();
        a.q = input(Q), a.k = input(K), a.v = input(v_is_k ? K : V), a.o = tensors[O].view();
        a.sink = tensors[SINK].data(), a.log_prior = tensors[LOG_PRIOR].data();
        a.shift = tensors[SHIFT].data(), a.lse = tensors[LSE].data(), a.mask = mask;
        a.workspace = workspace.data(), a.workspace_bytes = workspace.size();
        return a;
    }

    hone_backward_args backward_args() {
        hone_backward_args a = no_backward_args();
        a.q = input(Q), a.k = input(K), a.v = input(v_is_k ? K : V), a.o = input(O), a.dout = input(DOUT);
        a.sink = tensors[SINK].data(), a.log_prior = tensors[LOG_PRIOR].data();
        a.shift = tensors[SHIFT].data(), a.lse = tensors[LSE].data(), a.dlse = tensors[DLSE].data();
        a.dq = tensors[DQ].view(), a.dk = tensors[DK].view(), a.dv = tensors[DV].view();
        a.dsink = tensors[DSINK].data(), a.dlog_prior = tensors[DLOG_PRIOR].data();
        a.dshift = tensors[DSHIFT].data(), a.mask = mask;
        a.workspace = workspace.data(), a.workspace_bytes = workspace.size();
        return a;
    }
};

template <class T>
hone_status run(Call<T>& call) {
    if (call.direction == Direction::forward) {
        const hone_forward_args args = call.forward_args();
        return hone_forward(&call.problem, &args);
    }
    const hone_backward_args args = call.backward_args();
    return hone_backward(&call.problem, &args);
}

template <class T>
hone_status workspace_bytes(Call<T>& call, std::size_t* bytes) {
    if (call.direction == Direction::forward) {
        const hone_forward_args args = call.forward_args();
        return hone_forward_workspace(&call.problem, &args, bytes);
    }
    const hone_backward_args args = call.backward_args();
    return hone_backward_workspace(&call.problem, &args, bytes);
}

template <class S>
void run_reference(Call<S>& call) {
    if (call.direction == Direction::forward)
        reference::forward<S>(call.problem, call.forward_args());
    else
        reference::backward<S>(call.problem, call.backward_args());
}

// Whether the mask, if there is one, shows key j to query i of head h of batch entry b.
inline bool shown(const hone_const_scores& m, std::int64_t b, std::int64_t h, std::int64_t i,
                  std::int64_t j) {
    if (!m.data) return true;
    const auto* byte = static_cast<const unsigned char*>(m.data);
    if (m.batch != 1) byte += b * m.batch_stride;
    if (m.heads != 1) byte += h * m.head_stride;
    if (m.queries != 1) byte += i * m.query_stride;
    if (m.keys != 1) byte += j * m.key_stride;
    return *byte != 0;
}

// Whether query i of head h sees key j, both counted within batch entry b.
template <class S>
bool sees(const Call<S>& call, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
    const hone_problem& p = call.problem;
    const std::int64_t queries = call.segment(Q, b).length, keys = call.segment(K, b).length;
    if (i >= queries || j >= keys) return false;
    using reference::wide_int;
    const wide_int diagonal =
        wide_int(p.diagonal_shift) + (p.alignment == HONE_BOTTOM_RIGHT ? keys - queries : 0);
    const wide_int behind = i + diagonal - j;  // the diagonal
    if ((p.flags & HONE_CAUSAL) && behind < 0) return false;
    if (p.flags & HONE_WINDOW) {
        if (p.window_left != -1 && behind > p.window_left) return false;
        if (p.window_right != -1 && -behind > p.window_right) return false;
    }
    return shown(call.mask, b, h, i, j);
}

// The number of keys that query i of head h sees.
template <class S>
std::int64_t visible_keys(const Call<S>& call, std::int64_t b, std::int64_t h, std::int64_t i) {
    std::int64_t seen = 0;
    for (std::int64_t j = 0; j < call.problem.keys; ++j) seen += sees(call, b, h, i, j);
    return seen;
}

}  // namespace hone::test
