// spec.hpp: the random call that a spec describes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <hone/hone.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tests/call.hpp"
#include "tests/options.hpp"
#include "tests/random.hpp"
#include "tests/unseen.hpp"

namespace hone::test {

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

// Gives a call the lengths, offsets and mask of its spec.
template <class T>
void place_integers(const Spec& spec, Call<T>& call) {
    const auto place = [&]<class I>(const std::vector<std::int64_t>& values, hone_const_integers& to, I) {
        if (values.empty()) return;
        const auto memory = std::make_shared<const std::vector<I>>(values.begin(), values.end());
        call.memory.push_back(memory);
        to.data = memory->data();
        to.dtype = spec.int32 ? HONE_INT32 : spec.batch % 2 == 0 ? HONE_INT64 : HONE_DTYPE_DEFAULT;
    };
    const auto place_all = [&]<class I>(I type) {
        hone_problem& p = call.problem;
        place(spec.query_lengths, p.query_lengths, type), place(spec.key_lengths, p.key_lengths, type);
        place(spec.query_offsets, p.query_offsets, type), place(spec.key_offsets, p.key_offsets, type);
    };
    if (spec.int32)
        place_all(std::int32_t{});
    else
        place_all(std::int64_t{});
}

template <class T>
void place_mask(const Spec& spec, Call<T>& call) {
    const MaskInMemory mask =
        MaskMaker(spec.bool_mask, {spec.batch, spec.query_heads, spec.queries, spec.keys}, spec.name).make();
    call.mask = mask.view;
    if (mask.memory) call.memory.push_back(mask.memory);
}

// Makes the tensors that a spec describes. Rows of no batch entry do not count, and of inputs those beyond an
// entry's length do not either.
template <class T>
class TensorMaker {
  public:
    TensorMaker(const Spec& spec, const Call<T>& call)
        : spec_(spec), call_(call), random_(spec.name + "_layout") {}

    // One that has heads.
    Tensor<T> tensor(Argument argument, std::int64_t heads, std::int64_t features, const Shared& share = {}) {
        Layout layout = {spec_.bnhd, spec_.padding, spec_.offset, share.batch, share.heads, share.rows, {}};
        if (spec_.mixed) {
            layout.bnhd = random_.integer(0, 1) == 1;
            layout.padding = std::max<std::int64_t>(random_.integer(-9, 9), 0);
            layout.offset = std::max<std::int64_t>(random_.integer(-15, 15), 0);
        }
        const bool keys = is_of_keys(argument), ragged = is_ragged(argument);
        const std::int64_t rows = keys     ? ragged ? spec_.total_keys : spec_.keys
                                  : ragged ? spec_.total_queries
                                           : spec_.queries;
        const Extents extents = {ragged ? 1 : spec_.batch, heads, rows, features};
        layout.rows = rows_that_count(argument, extents);
        Tensor<T> made(extents, layout);
        if (ragged) made.set_batch_stride(random_.integer(-1000, 1000));  // which nobody may use
        return made;
    }
    // The gradient of a shared input, summed but on the axes of `keep`.
    Tensor<T> gradient(Argument argument, std::int64_t heads, std::int64_t features, const Shared& share,
                       const Shared& keep) {
        return tensor(argument, heads, features,
                      {share.batch && !keep.batch, share.heads && !keep.heads, share.rows && !keep.rows});
    }
    Tensor<T> lse(Argument argument) {
        return array(call_.lse_extents(), rows_that_count(argument, call_.lse_extents()));
    }
    Tensor<T> array(std::int64_t n) { return array({1, 1, 1, n}, {}); }

  private:
    Tensor<T> array(const Extents& extents, const std::vector<bool>& rows) {
        Layout layout;
        layout.offset = spec_.mixed ? random_.integer(0, 3) : spec_.offset;
        layout.rows = rows;
        return Tensor<T>(extents, layout);
    }
    bool is_ragged(Argument argument) const {
        return !(is_of_keys(argument) ? spec_.key_offsets : spec_.query_offsets).empty();
    }
    std::vector<bool> rows_that_count(Argument argument, const Extents& extents) const {
        if (!is_ragged(argument) && spec_.query_lengths.empty() && spec_.key_lengths.empty()) return {};
        const bool written = argument == O || argument == LSE || is_output(Direction::backward, argument);
        std::vector<bool> count(extents.batch * extents.rows, false);
        for (std::int64_t b = 0; b < spec_.batch; ++b) {
            const reference::Segment rows = call_.segment(argument, b);
            for (std::int64_t i = 0; i < (written ? rows.rows : rows.length); ++i)
                count[rows.batch * extents.rows + rows.first + i] = true;
        }
        return count;
    }

    const Spec& spec_;
    const Call<T>& call_;
    Random random_;
};

template <class T>
void make_tensors(const Spec& spec, const hone_activation_info& info, Call<T>& call) {
    TensorMaker<T> make(spec, call);
    const bool backward = call.direction == Direction::backward;
    const std::int64_t heads = spec.query_heads, kv_heads = spec.kv_heads;
    const std::int64_t groups = call.lse_extents().heads;
    call[Q] = make.tensor(Q, heads, spec.key_dim, spec.share_q);
    call[K] = make.tensor(K, kv_heads, spec.key_dim, spec.share_k);
    if (!spec.v_is_k) call[V] = make.tensor(V, kv_heads, spec.value_dim, spec.share_v);
    if (!backward || info.normalised) call[O] = make.tensor(O, heads, spec.value_dim);
    if (info.normalised && (backward || spec.lse)) call[LSE] = make.lse(LSE);
    if (spec.sink) call[SINK] = make.array(groups);
    if (spec.log_prior) call[LOG_PRIOR] = make.array(heads);
    if (spec.shift) call[SHIFT] = make.array(heads);
    if (!backward) return;
    call[DOUT] = make.tensor(DOUT, heads, spec.value_dim, spec.share_dout);
    if (spec.dlse) call[DLSE] = make.lse(DLSE);
    const Shared& share_v = spec.v_is_k ? spec.share_k : spec.share_v;
    if (spec.gradients & WITH_DQ)
        call[DQ] = make.gradient(DQ, heads, spec.key_dim, spec.share_q, spec.keep_q);
    if (spec.gradients & WITH_DK)
        call[DK] = make.gradient(DK, kv_heads, spec.key_dim, spec.share_k, spec.keep_k);
    if (spec.gradients & WITH_DV)
        call[DV] = make.gradient(DV, kv_heads, spec.value_dim, share_v, spec.keep_v);
    if (spec.gradients & WITH_PARAMETERS) {
        if (spec.sink) call[DSINK] = make.array(groups);
        if (info.takes_log_prior) call[DLOG_PRIOR] = make.array(heads);
        if (info.takes_shift) call[DSHIFT] = make.array(heads);
    }
}

// The call with random inputs and poisoned outputs; o and lse of a backward call are left to be computed.
template <class T>
Call<T> make_call(const Spec& spec, hone_activation activation, Direction direction) {
    const hone_activation_info info = describe(activation);
    Call<T> call;
    call.direction = direction;
    call.problem = problem_of(spec, activation, scalar_dtype<T>);
    call.v_is_k = spec.v_is_k;
    place_integers(spec, call);
    place_mask(spec, call);
    make_tensors(spec, info, call);

    Random random(spec.name);
    const auto fill = [&](Argument argument, double size) {
        if (call[argument].present())
            call[argument].fill([&] { return static_cast<T>(2 * size * random.symmetric()); });
    };
    fill(Q, spec.amplitude), fill(K, 1), fill(V, spec.size_v), fill(DOUT, spec.size_dout);
    for (const Argument argument : {SINK, LOG_PRIOR, SHIFT}) fill(argument, spec.size_parameter);
    fill(DLSE, spec.size_dout);
    if (direction == Direction::backward && !info.normalised && spec.grid) fill_grid(spec, random, call);
    if (spec.nan_unseen) make_unseen_nan(call);
    return call;
}

}  // namespace hone::test
