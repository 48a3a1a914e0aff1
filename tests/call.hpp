// call.hpp: one call of attention, forward or backward, with the memory of all its arguments, and its way
// through hone or through the reference.
#pragma once

#include <hone/hone.h>

#include <array>
#include <cstddef>
#include <span>

#include "reference/attention.hpp"
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

template <class S>
inline constexpr hone_dtype scalar_dtype = std::is_same_v<S, float> ? HONE_FLOAT32 : HONE_FLOAT64;

template <class S>
struct Call {
    Direction direction = Direction::forward;
    hone_problem problem = small_problem();
    std::array<Tensor<S>, ARGUMENTS> tensors;  // those not wanted are absent
    bool v_is_k = false;                       // v is the memory of k
    std::span<std::byte> workspace = {};

    Call() = default;
    template <class From>
    explicit Call(const Call<From>& from)
        : direction(from.direction), problem(from.problem), v_is_k(from.v_is_k) {
        for (int argument = 0; argument < ARGUMENTS; ++argument)
            tensors[argument] = Tensor<S>(from.tensors[argument]);
    }

    Tensor<S>& operator[](Argument argument) { return tensors[argument]; }

    hone_const_tensor input(Argument argument) { return hone_const(tensors[argument].view()); }

    hone_forward_args forward_args() {
        hone_forward_args a = no_forward_args();
        a.q = input(Q), a.k = input(K), a.v = input(v_is_k ? K : V), a.o = tensors[O].view();
        a.sink = tensors[SINK].data(), a.log_prior = tensors[LOG_PRIOR].data();
        a.shift = tensors[SHIFT].data(), a.lse = tensors[LSE].data();
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
        a.dshift = tensors[DSHIFT].data();
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

// The number of keys that query i sees.
inline std::int64_t visible_keys(const hone_problem& problem, std::int64_t i) {
    if (!(problem.flags & HONE_CAUSAL)) return problem.keys;
    const std::int64_t diagonal = problem.alignment == HONE_BOTTOM_RIGHT ? problem.keys - problem.queries : 0;
    const std::int64_t seen = i + 1 + diagonal;
    return seen < 0 ? 0 : seen > problem.keys ? problem.keys : seen;
}

}  // namespace hone::test
