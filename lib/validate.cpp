// validate.cpp: the checks of a call's arguments, and their sentences.
#include "validate.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "dispatch.hpp"
#include "error.hpp"
#include "operands.hpp"

namespace hone {
namespace {

// Far above any memory, and far below where a product of two would leave 64 bits.
constexpr std::int64_t kMostElements = std::int64_t{1} << 48;

hone_status check_extent(const char* name, std::int64_t value, std::int64_t least) {
    if (value >= least && value <= kMostElements) return HONE_OK;
    return fail(HONE_INVALID_ARGUMENT, "%s: is %lld; should be %lld to 2^48", name,
                static_cast<long long>(value), static_cast<long long>(least));
}

bool too_large(std::initializer_list<std::int64_t> extents, std::int64_t most = kMostElements) {
    __int128 product = 1;
    for (const std::int64_t extent : extents) {
        product *= std::max<std::int64_t>(extent, 1);
        if (product > most) return true;
    }
    return false;
}

hone_status check_sizes(const hone_problem& p) {
    struct Extent {
        const char* name;
        std::int64_t value, least;
    };
    for (const Extent& e :
         {Extent{"batch", p.batch, 0}, Extent{"query_heads", p.query_heads, 0},
          Extent{"kv_heads", p.kv_heads, 0}, Extent{"queries", p.queries, 0}, Extent{"keys", p.keys, 0},
          Extent{"key_dim", p.key_dim, 1}, Extent{"value_dim", p.value_dim, 1}})
        if (const hone_status status = check_extent(e.name, e.value, e.least); status != HONE_OK)
            return status;
    if (p.kv_heads == 0 && p.query_heads > 0)
        return fail(HONE_INVALID_ARGUMENT, "kv_heads: is 0; should be 1 or more, as query_heads is %lld",
                    static_cast<long long>(p.query_heads));
    if (p.kv_heads > 0 && p.query_heads % p.kv_heads != 0)
        return fail(HONE_INVALID_ARGUMENT, "query_heads: is %lld; should be a multiple of kv_heads, %lld",
                    static_cast<long long>(p.query_heads), static_cast<long long>(p.kv_heads));
    const std::int64_t dim = std::max(p.key_dim, p.value_dim);
    if (too_large({p.batch, p.query_heads, p.queries, dim}))
        return fail(HONE_INVALID_ARGUMENT,
                    "queries: batch * query_heads * queries * dim should be at most 2^48");
    if (too_large({p.batch, p.kv_heads, p.keys, dim}))
        return fail(HONE_INVALID_ARGUMENT, "keys: batch * kv_heads * keys * dim should be at most 2^48");
    if (too_large({p.batch, p.query_heads, p.queries, p.keys}, std::int64_t{1} << 60))
        return fail(HONE_INVALID_ARGUMENT,
                    "keys: batch * query_heads * queries * keys should be at most 2^60");
    return HONE_OK;
}

// Whether the kernels can use the value in their own type.
bool finite_in(std::int32_t dtype, double value) {
    return std::isfinite(dtype == HONE_FLOAT32 ? static_cast<float>(value) : value);
}

hone_status check_options(const hone_problem& p, const hone_activation_info& info) {
    if (p.dtype != HONE_FLOAT32 && p.dtype != HONE_FLOAT64)
        return fail(HONE_INVALID_ARGUMENT, "dtype: is %d; should be HONE_FLOAT32 or HONE_FLOAT64", p.dtype);
    if (p.mask < HONE_MASK_NONE || p.mask > HONE_MASK_CAUSAL_BOTTOM_RIGHT)
        return fail(HONE_INVALID_ARGUMENT, "mask: is %d; should be a hone_mask, 0 to %d", p.mask,
                    HONE_MASK_CAUSAL_BOTTOM_RIGHT);
    if (p.threads < 0)
        return fail(HONE_INVALID_ARGUMENT, "threads: is %d; should be 0 (OpenMP's default) or more",
                    p.threads);
    if (!finite_in(p.dtype, p.scale))
        return fail(HONE_INVALID_ARGUMENT, "scale: is %g; should be finite, 0 for 1/sqrt(key_dim)", p.scale);
    if (info.takes_softmax_n && !(p.softmax_n >= 0 && std::isfinite(p.softmax_n)))
        return fail(HONE_INVALID_ARGUMENT, "softmax_n: is %g; should be finite and at least 0", p.softmax_n);
    if (!finite_in(p.dtype, 2 * p.weight))  // a slope has a factor of less than 2
        return fail(HONE_INVALID_ARGUMENT, "weight: is %g; should be finite, 0 for the default", p.weight);
    if (!info.takes_weight && p.weight != 0)
        return fail(HONE_INVALID_ARGUMENT, "weight: is %g; should be 0, as %s takes none", p.weight,
                    info.name);
    if (!info.joint && p.group_heads != 0)
        return fail(HONE_INVALID_ARGUMENT,
                    "group_heads: is %lld; should be 0, as %s normalises each head by itself",
                    static_cast<long long>(p.group_heads), info.name);
    if (p.group_heads < 0 || (p.group_heads > 0 && p.query_heads % p.group_heads != 0))
        return fail(HONE_INVALID_ARGUMENT,
                    "group_heads: is %lld; should be a divisor of query_heads, %lld, or 0 for all",
                    static_cast<long long>(p.group_heads), static_cast<long long>(p.query_heads));
    return HONE_OK;
}

hone_status check_problem(const hone_problem* p) {
    if (!p) return fail(HONE_INVALID_ARGUMENT, "problem: is NULL; should be a hone_problem");
    if (p->size != sizeof(hone_problem))
        return fail(HONE_INVALID_ARGUMENT, "problem.size: is %zu; should be sizeof(hone_problem), %zu",
                    p->size, sizeof(hone_problem));
    const hone_activation_info* info = activation_info(p->activation);
    if (!info)
        return fail(HONE_INVALID_ARGUMENT, "activation: is %d; should be a hone_activation, 0 to %d",
                    p->activation, HONE_ACTIVATION_COUNT - 1);
    if (const hone_status status = check_sizes(*p); status != HONE_OK) return status;
    return check_options(*p, *info);
}

// A parameter, or its gradient, that only some activations have.
hone_status check_taken(const char* name, const void* pointer, bool taken, const hone_activation_info& info) {
    if (!pointer || taken) return HONE_OK;
    return fail(HONE_INVALID_ARGUMENT, "%s: is given; should be NULL, as %s takes none", name, info.name);
}

hone_status check_strides(const Operand& t) {
    return t.fits() ? HONE_OK : fail(HONE_INVALID_ARGUMENT, "%s: its strides overflow", t.name);
}

hone_status check_present(const Operand& t) {
    return t.tensor.data || t.empty()
               ? HONE_OK
               : fail(HONE_INVALID_ARGUMENT, "%s: is NULL; should point to the tensor", t.name);
}

const char* const kStrideNames[] = {"batch_stride", "head_stride", "row_stride"};

// An output must not overlap itself; a gradient may where its input is broadcast, and is summed there.
hone_status check_output(const Operand& t, const Operand* input) {
    if (!t.tensor.data || t.empty()) return HONE_OK;  // not wanted, or of no elements
    if (const hone_status status = check_strides(t); status != HONE_OK) return status;
    for (int axis = 0; axis < 3; ++axis)
        if (t.extent[axis] > 1 && t.stride(axis) == 0 && !(input && input->stride(axis) == 0))
            return fail(HONE_INVALID_ARGUMENT, "%s.%s: is 0; should not be, as %s", t.name,
                        kStrideNames[axis],
                        input ? "its input is not broadcast on that axis" : "it is an output");
    if (overlaps_itself(t.footprint()))
        return fail(HONE_INVALID_ARGUMENT,
                    "%s: its strides make rows overlap; should leave each its own %lld elements", t.name,
                    static_cast<long long>(t.features));
    return HONE_OK;
}

template <class Args>
hone_status check_workspace(const Args& a, std::size_t needed) {
    if (!a.workspace || a.workspace_bytes >= needed) return HONE_OK;
    return fail(HONE_INVALID_ARGUMENT, "workspace_bytes: is %zu; should be at least %zu", a.workspace_bytes,
                needed);
}

template <class Args>
Span workspace_span(const Args& a) {
    return dense("workspace", a.workspace, static_cast<std::int64_t>(a.workspace_bytes));
}

// What is written must not share memory with anything else of the call.
template <std::size_t n>
hone_status check_apart(const std::array<Span, n>& spans, std::size_t outputs) {
    for (std::size_t i = 0; i < outputs; ++i)
        for (std::size_t j = i + 1; j < n; ++j)
            if (share_memory(spans[i].memory, spans[j].memory))
                return fail(HONE_INVALID_ARGUMENT,
                            "%s: shares memory with %s; should be apart from every other tensor",
                            spans[i].name, spans[j].name);
    return HONE_OK;
}

template <class Args>
hone_status check_args(const hone_problem* problem, const Args* args, const char* type) {
    if (const hone_status status = check_problem(problem); status != HONE_OK) return status;
    if (!args) return fail(HONE_INVALID_ARGUMENT, "args: is NULL; should be a %s", type);
    if (args->size != sizeof(Args))
        return fail(HONE_INVALID_ARGUMENT, "args.size: is %zu; should be sizeof(%s), %zu", args->size, type,
                    sizeof(Args));
    return HONE_OK;
}

// The parameters that forward and backward share.
template <class Args>
hone_status check_parameters(const Args& a, const hone_activation_info& info) {
    hone_status status;
    if ((status = check_taken("sink", a.sink, info.takes_sink, info)) ||
        (status = check_taken("log_prior", a.log_prior, info.takes_log_prior, info)) ||
        (status = check_taken("shift", a.shift, info.takes_shift, info)))
        return status;
    return check_taken("lse", a.lse, info.normalised, info);
}

// The tensors of a call, with their extents.
struct Operands {
    Operand q, k, v, o;
    template <class Args>
    Operands(const hone_problem& p, const Args& a)
        : q(query_operand("q", p, a.q, p.key_dim)),
          k(key_operand("k", p, a.k, p.key_dim)),
          v(key_operand("v", p, a.v, p.value_dim)),
          o(query_operand("o", p, a.o, p.value_dim)) {}
};

struct BackwardOperands : Operands {
    Operand dout, dq, dk, dv;
    BackwardOperands(const hone_problem& p, const hone_backward_args& a)
        : Operands(p, a),
          dout(query_operand("dout", p, a.dout, p.value_dim)),
          dq(query_operand("dq", p, a.dq, p.key_dim)),
          dk(key_operand("dk", p, a.dk, p.key_dim)),
          dv(key_operand("dv", p, a.dv, p.value_dim)) {}
};

}  // namespace

hone_status validate_shapes(const hone_problem* problem, const hone_forward_args* args) {
    hone_status status = check_args(problem, args, "hone_forward_args");
    if (status != HONE_OK) return status;
    const Operands t(*problem, *args);
    if ((status = check_strides(t.q)) || (status = check_strides(t.k)) || (status = check_strides(t.v)) ||
        (status = check_output(t.o, nullptr)))
        return status;
    return check_parameters(*args, *activation_info(problem->activation));
}

hone_status validate_shapes(const hone_problem* problem, const hone_backward_args* args) {
    hone_status status = check_args(problem, args, "hone_backward_args");
    if (status != HONE_OK) return status;
    const hone_backward_args& a = *args;
    const hone_activation_info& info = *activation_info(problem->activation);
    const BackwardOperands t(*problem, a);
    if ((status = check_strides(t.q)) || (status = check_strides(t.k)) || (status = check_strides(t.v)) ||
        (status = check_strides(t.o)) || (status = check_strides(t.dout)) ||
        (status = check_output(t.dq, &t.q)) || (status = check_output(t.dk, &t.k)) ||
        (status = check_output(t.dv, &t.v)) || (status = check_parameters(a, info)) ||
        (status = check_taken("dlse", a.dlse, info.normalised, info)) ||
        (status = check_taken("dsink", a.dsink, info.takes_sink, info)) ||
        (status = check_taken("dlog_prior", a.dlog_prior, info.takes_log_prior, info)))
        return status;
    return check_taken("dshift", a.dshift, info.takes_shift, info);
}

hone_status validate_memory(const hone_problem& p, const hone_forward_args& a, std::size_t needed) {
    const Operands t(p, a);
    hone_status status;
    if ((status = check_present(t.q)) || (status = check_present(t.k)) || (status = check_present(t.v)) ||
        (status = check_present(t.o)) || (status = check_workspace(a, needed)))
        return status;
    const Sizes n = sizes_of(p, *activation_info(p.activation));
    return check_apart<9>({t.o.span(), dense("lse", a.lse, n.lse), workspace_span(a), t.q.span(), t.k.span(),
                           t.v.span(), dense("sink", a.sink, n.sink),
                           dense("log_prior", a.log_prior, n.heads), dense("shift", a.shift, n.heads)},
                          3);
}

hone_status validate_memory(const hone_problem& p, const hone_backward_args& a, std::size_t needed) {
    const hone_activation_info& info = *activation_info(p.activation);
    const BackwardOperands t(p, a);
    hone_status status;
    if ((status = check_present(t.q)) || (status = check_present(t.k)) || (status = check_present(t.v)) ||
        (status = check_present(t.dout)) || (info.normalised && (status = check_present(t.o))) ||
        (status = check_workspace(a, needed)))
        return status;
    if (info.normalised && !a.lse && !t.q.empty())
        return fail(HONE_INVALID_ARGUMENT, "lse: is NULL; should be forward's, as %s is normalised",
                    info.name);
    if (a.dsink && !a.sink)
        return fail(HONE_INVALID_ARGUMENT, "sink: is NULL; should be given, as dsink is asked for");
    const Sizes n = sizes_of(p, info);
    return check_apart<17>(
        {t.dq.span(), t.dk.span(), t.dv.span(), dense("dsink", a.dsink, n.sink),
         dense("dlog_prior", a.dlog_prior, n.heads), dense("dshift", a.dshift, n.heads), workspace_span(a),
         t.q.span(), t.k.span(), t.v.span(), t.o.span(), t.dout.span(), dense("sink", a.sink, n.sink),
         dense("log_prior", a.log_prior, n.heads), dense("shift", a.shift, n.heads),
         dense("lse", a.lse, n.lse), dense("dlse", a.dlse, n.lse)},
        7);
}

}  // namespace hone
