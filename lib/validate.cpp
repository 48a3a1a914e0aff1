// validate.cpp: the checks of a call's arguments, and their sentences.
#include "validate.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "dispatch.hpp"
#include "error.hpp"
#include "layout.hpp"

namespace hone {
namespace {

// Far above any memory, and far below where a product of two would leave 64 bits.
constexpr std::int64_t kMostElements = std::int64_t{1} << 48;

template <class... Values>
hone_status bad(const char* format, Values... values) {
    return fail(HONE_INVALID_ARGUMENT, format, values...);
}

hone_status check_extent(const char* name, std::int64_t value, std::int64_t least) {
    if (value >= least && value <= kMostElements) return HONE_OK;
    return bad("%s: is %lld; should be %lld to 2^48", name, static_cast<long long>(value),
               static_cast<long long>(least));
}

bool too_large(std::initializer_list<std::int64_t> extents) {
    __int128 product = 1;
    for (const std::int64_t extent : extents) {
        product *= std::max<std::int64_t>(extent, 1);
        if (product > kMostElements) return true;
    }
    return false;
}

hone_status check_sizes(const hone_problem& p) {
    struct Extent {
        const char* name;
        std::int64_t value, least;
    };
    for (const Extent& e :
         {Extent{"batch", p.batch, 1}, Extent{"query_heads", p.query_heads, 1},
          Extent{"kv_heads", p.kv_heads, 1}, Extent{"queries", p.queries, 1}, Extent{"keys", p.keys, 0},
          Extent{"key_dim", p.key_dim, 1}, Extent{"value_dim", p.value_dim, 1}})
        if (const hone_status status = check_extent(e.name, e.value, e.least); status != HONE_OK)
            return status;
    if (p.query_heads % p.kv_heads != 0)
        return bad("query_heads: is %lld; should be a multiple of kv_heads, %lld",
                   static_cast<long long>(p.query_heads), static_cast<long long>(p.kv_heads));
    const std::int64_t dim = std::max(p.key_dim, p.value_dim);
    if (too_large({p.batch, p.query_heads, p.queries, dim}))
        return bad("queries: batch * query_heads * queries * dim should be at most 2^48");
    if (too_large({p.batch, p.kv_heads, p.keys, dim}))
        return bad("keys: batch * kv_heads * keys * dim should be at most 2^48");
    return HONE_OK;
}

hone_status check_options(const hone_problem& p, const hone_activation_info& info) {
    if (p.dtype != HONE_FLOAT32 && p.dtype != HONE_FLOAT64)
        return bad("dtype: is %d; should be HONE_FLOAT32 or HONE_FLOAT64", p.dtype);
    if (p.mask < HONE_MASK_NONE || p.mask > HONE_MASK_CAUSAL_BOTTOM_RIGHT)
        return bad("mask: is %d; should be a hone_mask, 0 to %d", p.mask, HONE_MASK_CAUSAL_BOTTOM_RIGHT);
    if (p.threads < 0) return bad("threads: is %d; should be 0 (OpenMP's default) or more", p.threads);
    if (!std::isfinite(p.scale)) return bad("scale: is %g; should be finite, 0 for 1/sqrt(key_dim)", p.scale);
    if (info.takes_softmax_n && !(p.softmax_n >= 0 && std::isfinite(p.softmax_n)))
        return bad("softmax_n: is %g; should be finite and at least 0", p.softmax_n);
    if (!std::isfinite(p.weight)) return bad("weight: is %g; should be finite, 0 for the default", p.weight);
    if (!info.takes_weight && p.weight != 0)
        return bad("weight: is %g; should be 0, as %s takes none", p.weight, info.name);
    if (!info.joint && p.group_heads != 0)
        return bad("group_heads: is %lld; should be 0, as %s normalises each head by itself",
                   static_cast<long long>(p.group_heads), info.name);
    if (p.group_heads < 0 || (p.group_heads > 0 && p.query_heads % p.group_heads != 0))
        return bad("group_heads: is %lld; should be a divisor of query_heads, %lld, or 0 for all",
                   static_cast<long long>(p.group_heads), static_cast<long long>(p.query_heads));
    return HONE_OK;
}

hone_status check_problem(const hone_problem* p) {
    if (!p) return bad("problem: is NULL; should be a hone_problem");
    if (p->size != sizeof(hone_problem))
        return bad("problem.size: is %zu; should be sizeof(hone_problem), %zu", p->size,
                   sizeof(hone_problem));
    const hone_activation_info* info = activation_info(p->activation);
    if (!info)
        return bad("activation: is %d; should be a hone_activation, 0 to %d", p->activation,
                   HONE_ACTIVATION_COUNT - 1);
    if (const hone_status status = check_sizes(*p); status != HONE_OK) return status;
    if (const hone_status status = check_options(*p, *info); status != HONE_OK) return status;
    const Unit* unit = nullptr;
    return choose_unit(p->isa, &unit);
}

// A parameter, or its gradient, that only some activations have.
hone_status check_taken(const char* name, const void* pointer, bool taken, const hone_activation_info& info) {
    if (!pointer || taken) return HONE_OK;
    return bad("%s: is given; should be NULL, as %s takes none", name, info.name);
}

hone_status check_input(const Operand& t, std::int64_t extent_of_rows) {
    if (t.tensor.data || extent_of_rows == 0)
        return t.fits() ? HONE_OK : bad("%s: its strides overflow", t.name);
    return bad("%s: is NULL; should point to the tensor", t.name);
}

const char* const kStrideNames[] = {"batch_stride", "head_stride", "row_stride"};

// An output must not overlap itself; a gradient may where its input is broadcast, and is summed there.
hone_status check_output(const Operand& t, const Operand* input) {
    if (!t.tensor.data) return HONE_OK;  // a gradient that is not wanted
    if (!t.fits()) return bad("%s: its strides overflow", t.name);
    for (int axis = 0; axis < 3; ++axis)
        if (t.extent[axis] > 1 && t.stride(axis) == 0 && !(input && input->stride(axis) == 0))
            return bad("%s.%s: is 0; should not be, as %s", t.name, kStrideNames[axis],
                       input ? "its input is not broadcast on that axis" : "it is an output");
    if (t.overlaps_itself())
        return bad("%s: its strides make rows overlap; should leave each its own %lld elements", t.name,
                   static_cast<long long>(t.features));
    return HONE_OK;
}

// An output must not share memory with any other tensor of the call.
template <std::size_t n>
hone_status check_apart(const std::array<Span, n>& spans, std::size_t outputs) {
    for (std::size_t i = 0; i < outputs; ++i)
        for (std::size_t j = 0; j < n; ++j)
            if (i != j && spans[i].collides(spans[j]))
                return bad("%s: shares memory with %s; should be apart from every other tensor",
                           spans[i].name, spans[j].name);
    return HONE_OK;
}

}  // namespace

hone_status validate(const hone_problem* problem, const hone_forward_args* args) {
    hone_status status = check_problem(problem);
    if (status != HONE_OK) return status;
    if (!args) return bad("args: is NULL; should be a hone_forward_args");
    if (args->size != sizeof(hone_forward_args))
        return bad("args.size: is %zu; should be sizeof(hone_forward_args), %zu", args->size,
                   sizeof(hone_forward_args));
    const hone_problem& p = *problem;
    const hone_forward_args& a = *args;
    const hone_activation_info& info = *activation_info(p.activation);
    const Operand q = query_operand("q", p, a.q, p.key_dim), o = query_operand("o", p, a.o, p.value_dim);
    const Operand k = key_operand("k", p, a.k, p.key_dim), v = key_operand("v", p, a.v, p.value_dim);
    if ((status = check_input(q, p.queries)) || (status = check_input(k, p.keys)) ||
        (status = check_input(v, p.keys)) || (status = check_input(o, p.queries)) ||
        (status = check_output(o, nullptr)) ||
        (status = check_taken("sink", a.sink, info.takes_sink, info)) ||
        (status = check_taken("log_prior", a.log_prior, info.takes_log_prior, info)) ||
        (status = check_taken("shift", a.shift, info.takes_shift, info)) ||
        (status = check_taken("lse", a.lse, info.normalised, info)))
        return status;
    const Sizes n = sizes_of(p, info);
    return check_apart<8>(
        {o.span(), dense("lse", a.lse, n.lse), q.span(), k.span(), v.span(), dense("sink", a.sink, n.sink),
         dense("log_prior", a.log_prior, n.heads), dense("shift", a.shift, n.heads)},
        2);
}

hone_status validate(const hone_problem* problem, const hone_backward_args* args) {
    hone_status status = check_problem(problem);
    if (status != HONE_OK) return status;
    if (!args) return bad("args: is NULL; should be a hone_backward_args");
    if (args->size != sizeof(hone_backward_args))
        return bad("args.size: is %zu; should be sizeof(hone_backward_args), %zu", args->size,
                   sizeof(hone_backward_args));
    const hone_problem& p = *problem;
    const hone_backward_args& a = *args;
    const hone_activation_info& info = *activation_info(p.activation);
    const Operand q = query_operand("q", p, a.q, p.key_dim), o = query_operand("o", p, a.o, p.value_dim);
    const Operand k = key_operand("k", p, a.k, p.key_dim), v = key_operand("v", p, a.v, p.value_dim);
    const Operand dout = query_operand("dout", p, a.dout, p.value_dim),
                  dq = query_operand("dq", p, a.dq, p.key_dim);
    const Operand dk = key_operand("dk", p, a.dk, p.key_dim), dv = key_operand("dv", p, a.dv, p.value_dim);
    if ((status = check_input(q, p.queries)) || (status = check_input(k, p.keys)) ||
        (status = check_input(v, p.keys)) || (status = check_input(dout, p.queries)) ||
        (status = check_input(o, info.normalised ? p.queries : 0)) || (status = check_output(dq, &q)) ||
        (status = check_output(dk, &k)) || (status = check_output(dv, &v)) ||
        (status = check_taken("sink", a.sink, info.takes_sink, info)) ||
        (status = check_taken("log_prior", a.log_prior, info.takes_log_prior, info)) ||
        (status = check_taken("shift", a.shift, info.takes_shift, info)) ||
        (status = check_taken("lse", a.lse, info.normalised, info)) ||
        (status = check_taken("dlse", a.dlse, info.normalised, info)) ||
        (status = check_taken("dsink", a.dsink, info.takes_sink, info)) ||
        (status = check_taken("dlog_prior", a.dlog_prior, info.takes_log_prior, info)) ||
        (status = check_taken("dshift", a.dshift, info.takes_shift, info)))
        return status;
    if (info.normalised && !a.lse)
        return bad("lse: is NULL; should be forward's, as %s is normalised", info.name);
    if (a.dsink && !a.sink) return bad("sink: is NULL; should be given, as dsink is asked for");
    const Sizes n = sizes_of(p, info);
    return check_apart<16>(
        {dq.span(), dk.span(), dv.span(), dense("dsink", a.dsink, n.sink),
         dense("dlog_prior", a.dlog_prior, n.heads), dense("dshift", a.dshift, n.heads), q.span(), k.span(),
         v.span(), o.span(), dout.span(), dense("sink", a.sink, n.sink),
         dense("log_prior", a.log_prior, n.heads), dense("shift", a.shift, n.heads),
         dense("lse", a.lse, n.lse), dense("dlse", a.dlse, n.lse)},
        6);
}

hone_status validate_workspace(const void* workspace, std::size_t given, std::size_t needed) {
    if (!workspace || given >= needed) return HONE_OK;
    return bad("workspace_bytes: is %zu; should be at least %zu", given, needed);
}

}  // namespace hone
