// spec.hpp: the description of a call (shape, layout, options), and the random call that it describes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <hone/hone.hpp>
#include <random>
#include <string>

#include "tests/call.hpp"

namespace hone::test {

// Axes over which a tensor is broadcast.
struct Shared {
    bool batch = false, heads = false, rows = false;
};

enum Gradients : unsigned { WITH_DQ = 1, WITH_DK = 2, WITH_DV = 4, WITH_PARAMETERS = 8, ALL_GRADIENTS = 15 };

struct Spec {
    std::string name;
    std::int64_t batch = 1, query_heads = 1, kv_heads = 1, queries = 5, keys = 7, key_dim = 8, value_dim = 8;
    Mask mask = Mask::none;

    bool bnhd = false;
    std::int64_t padding = 0, offset = 0;  // as in Layout
    bool mixed = false;                    // instead, each tensor has a layout of its own, drawn at random
    Shared share_q = {}, share_k = {}, share_v = {}, share_dout = {};
    // The gradient of a shared input has a stride of 0 there too, but on these axes: one for each use.
    Shared keep_q = {}, keep_k = {}, keep_v = {};
    bool v_is_k = false;

    bool sink = false, log_prior = false, shift = false, dlse = false;  // parameters given
    bool lse = true;                                                    // forward returns it
    std::int64_t group_heads = 0;
    double softmax_n = 1, scale = 0, weight = 0;
    unsigned gradients = ALL_GRADIENTS;
    double amplitude = 1;                                  // of q: scores of the order of amplitude
    double size_v = 1, size_dout = 1, size_parameter = 1;  // of the others
    bool grid = true;    // scores are kept away from 0 where a slope may jump there
    bool quick = false;  // part of the reduced sweep
};

// Whether the activation takes what the spec gives.
inline bool applies(const Spec& spec, const hone_activation_info& info) {
    return (!spec.sink || info.takes_sink) && (!spec.log_prior || info.takes_log_prior) &&
           (!spec.shift || info.takes_shift) && (!spec.dlse || info.normalised) &&
           (spec.lse || info.normalised) && (spec.group_heads == 0 || info.joint) &&
           (spec.softmax_n == 1 || info.takes_softmax_n) && (spec.weight == 0 || info.takes_weight);
}

inline hone_problem problem_of(const Spec& spec, hone_activation activation, hone_dtype dtype) {
    hone_problem p = small_problem();
    p.dtype = dtype;
    p.activation = activation;
    set_mask(p, spec.mask);
    p.threads = 2;
    p.batch = spec.batch;
    p.query_heads = spec.query_heads;
    p.kv_heads = spec.kv_heads;
    p.queries = spec.queries;
    p.keys = spec.keys;
    p.key_dim = spec.key_dim;
    p.value_dim = spec.value_dim;
    p.group_heads = spec.group_heads;
    p.scale = spec.scale;
    p.softmax_n = spec.softmax_n;
    p.weight = spec.weight;
    return p;
}

// The same numbers on every platform.
class Random {
  public:
    explicit Random(const std::string& seed) {
        std::uint64_t hash = 0xcbf29ce484222325;
        for (const char c : seed) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
        engine_.seed(hash);
    }
    // In [-1, 1).
    double symmetric() { return static_cast<double>(static_cast<std::int64_t>(engine_())) * 0x1p-63; }
    std::int64_t integer(std::int64_t least, std::int64_t most) {
        return least + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(most - least + 1));
    }

  private:
    std::mt19937_64 engine_;
};

// q, k and b on a grid where scale q.k + b is an odd multiple of scale u/64: no score is so near to 0 that
// rounding decides on which side of it the slope of a ReLU is taken. k[0] is an odd multiple of 1/8, q[0] one
// of u/8, the other q are even ones, b is an even multiple of scale u/64. The unit u fills the mantissas of
// q, so that products and sums round as on any other data.
template <class T>
void fill_grid(const Spec& spec, Random& random, Call<T>& call) {
    constexpr double unit = 1.1;
    call[Q].for_each_row([&](auto, auto, auto, T* q) {
        for (std::int64_t d = 0; d < spec.key_dim; ++d)
            q[d] = static_cast<T>(unit * static_cast<double>(2 * random.integer(-8, 7) + (d == 0)) / 8);
    });
    call[K].for_each_row([&](auto, auto, auto, T* k) {
        k[0] = static_cast<T>(2 * random.integer(-8, 7) + 1) / 8;
        for (std::int64_t d = 1; d < spec.key_dim; ++d) k[d] = static_cast<T>(random.integer(-15, 15)) / 8;
    });
    const double scale = spec.scale != 0 ? spec.scale : 1 / std::sqrt(static_cast<double>(spec.key_dim));
    if (call[SHIFT].present())
        call[SHIFT].fill([&] {
            return static_cast<T>(scale * unit * static_cast<double>(2 * random.integer(-64, 64)) / 64);
        });
}

// Makes the tensors that a spec describes.
template <class T>
class TensorMaker {
  public:
    explicit TensorMaker(const Spec& spec) : spec_(spec), random_(spec.name + "_layout") {}

    Tensor<T> tensor(const Extents& extents, const Shared& share = {}) {
        Layout layout = {spec_.bnhd, spec_.padding, spec_.offset, share.batch, share.heads, share.rows};
        if (spec_.mixed) {
            layout.bnhd = random_.integer(0, 1) == 1;
            layout.padding = std::max<std::int64_t>(random_.integer(-9, 9), 0);
            layout.offset = std::max<std::int64_t>(random_.integer(-15, 15), 0);
        }
        return Tensor<T>(extents, layout);
    }
    // The gradient of a shared input, summed but on the axes of `keep`.
    Tensor<T> gradient(const Extents& extents, const Shared& share, const Shared& keep) {
        return tensor(extents,
                      {share.batch && !keep.batch, share.heads && !keep.heads, share.rows && !keep.rows});
    }
    Tensor<T> array(std::int64_t n) {
        return Tensor<T>({1, 1, 1, n}, {.offset = spec_.mixed ? random_.integer(0, 3) : spec_.offset});
    }

  private:
    const Spec& spec_;
    Random random_;
};

// The call with random inputs and poisoned outputs; o and lse of a backward call are left to be computed.
template <class T>
Call<T> make_call(const Spec& spec, hone_activation activation, Direction direction) {
    const hone_activation_info info = describe(activation);
    Call<T> call;
    call.direction = direction;
    call.problem = problem_of(spec, activation, scalar_dtype<T>);
    call.v_is_k = spec.v_is_k;
    TensorMaker<T> make(spec);
    const Extents q = {spec.batch, spec.query_heads, spec.queries, spec.key_dim};
    const Extents k = {spec.batch, spec.kv_heads, spec.keys, spec.key_dim};
    const Extents v = {spec.batch, spec.kv_heads, spec.keys, spec.value_dim};
    const Extents o = {spec.batch, spec.query_heads, spec.queries, spec.value_dim};
    const std::int64_t group = !info.joint ? 1 : spec.group_heads ? spec.group_heads : spec.query_heads;
    const std::int64_t groups = group == 0 ? 0 : spec.query_heads / group;
    const bool backward = direction == Direction::backward;

    call[Q] = make.tensor(q, spec.share_q);
    call[K] = make.tensor(k, spec.share_k);
    if (!spec.v_is_k) call[V] = make.tensor(v, spec.share_v);
    if (!backward || info.normalised) call[O] = make.tensor(o);
    if (info.normalised && (backward || spec.lse)) call[LSE] = make.array(spec.batch * groups * spec.queries);
    if (spec.sink) call[SINK] = make.array(groups);
    if (spec.log_prior) call[LOG_PRIOR] = make.array(spec.query_heads);
    if (spec.shift) call[SHIFT] = make.array(spec.query_heads);
    if (backward) {
        call[DOUT] = make.tensor(o, spec.share_dout);
        if (spec.dlse) call[DLSE] = make.array(spec.batch * groups * spec.queries);
        if (spec.gradients & WITH_DQ) call[DQ] = make.gradient(q, spec.share_q, spec.keep_q);
        if (spec.gradients & WITH_DK) call[DK] = make.gradient(k, spec.share_k, spec.keep_k);
        if (spec.gradients & WITH_DV)
            call[DV] = make.gradient(v, spec.v_is_k ? spec.share_k : spec.share_v, spec.keep_v);
        if (spec.gradients & WITH_PARAMETERS) {
            if (spec.sink) call[DSINK] = make.array(groups);
            if (info.takes_log_prior) call[DLOG_PRIOR] = make.array(spec.query_heads);
            if (info.takes_shift) call[DSHIFT] = make.array(spec.query_heads);
        }
    }

    Random random(spec.name);
    const auto fill = [&](Argument argument, double size) {
        if (call[argument].present())
            call[argument].fill([&] { return static_cast<T>(2 * size * random.symmetric()); });
    };
    fill(Q, spec.amplitude), fill(K, 1), fill(V, spec.size_v), fill(DOUT, spec.size_dout);
    for (const Argument argument : {SINK, LOG_PRIOR, SHIFT}) fill(argument, spec.size_parameter);
    fill(DLSE, spec.size_dout);
    if (backward && !info.normalised && spec.grid) fill_grid(spec, random, call);
    return call;
}

}  // namespace hone::test
