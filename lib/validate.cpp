// validate.cpp: the checks of a call's arguments, and their sentences.
#include "validate.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "dispatch.hpp"
#include "error.hpp"
#include "operands.hpp"
#include "validate_problem.hpp"

namespace hone {
namespace {

// A parameter, or its gradient, that the activation does not have.
hone_status check_absent(const char* name, const void* pointer, const hone_activation_info& info) {
    if (!pointer) return HONE_OK;
    return fail(HONE_INVALID_ARGUMENT, "%s: is given; should be NULL, as %s takes none", name, info.name);
}

template <class Tensor>
hone_status check_reserved(const char* name, const Tensor& t) {
    bool reserved = t.reserved_0 != 0;
    for (const std::int64_t field : t.reserved) reserved |= field != 0;
    return reserved ? fail(HONE_UNSUPPORTED, "%s.reserved: is not 0; should be 0 in this version", name)
                    : HONE_OK;
}

// The type of a tensor that is there, and its reserved fields.
hone_status check_type(const Operand& t, const hone_problem& p) {
    if (t.tensor.data && t.tensor.dtype != HONE_DTYPE_DEFAULT && t.tensor.dtype != p.dtype)
        return fail(HONE_INVALID_ARGUMENT, "%s.dtype: is %d; should be 0 or the problem's, %d", t.name,
                    t.tensor.dtype, p.dtype);
    return check_reserved(t.name, t.tensor);
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

hone_status check_mask(const hone_problem& p, const hone_const_scores& mask) {
    if (!mask.data) return HONE_OK;
    if (mask.dtype != HONE_DTYPE_DEFAULT && mask.dtype != HONE_BOOL)
        return fail(HONE_INVALID_ARGUMENT, "mask.dtype: is %d; should be HONE_BOOL or 0", mask.dtype);
    if (const hone_status status = check_reserved("mask", mask); status != HONE_OK) return status;
    const MaskOperand operand = mask_operand(p, mask);
    const char* const names[] = {"batch", "heads", "queries", "keys"};
    const char* const of_problem[] = {"batch", "query_heads", "queries", "keys"};
    const std::int64_t extents[] = {p.batch, p.query_heads, p.queries, p.keys};
    for (int axis = 0; axis < 4; ++axis)
        if (operand.extent[axis] != 1 && operand.extent[axis] != extents[axis])
            return fail(HONE_INVALID_ARGUMENT, "mask.%s: is %lld; should be %s, %lld, or 1 to broadcast",
                        names[axis], static_cast<long long>(operand.extent[axis]), of_problem[axis],
                        static_cast<long long>(extents[axis]));
    return operand.fits() ? HONE_OK : fail(HONE_INVALID_ARGUMENT, "mask: its strides overflow");
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

// The parameters that forward and backward share.
template <class Args>
hone_status check_parameters(const Args& a, const hone_activation_info& info) {
    hone_status status;
    if ((!info.takes_sink && (status = check_absent("sink", a.sink, info))) ||
        (!info.takes_log_prior && (status = check_absent("log_prior", a.log_prior, info))) ||
        (!info.takes_shift && (status = check_absent("shift", a.shift, info))))
        return status;
    return info.normalised ? HONE_OK : check_absent("lse", a.lse, info);
}

// The tensors of a call, with their extents.
struct Operands {
    Operand q, k, v, o;
    template <class Args>
    Operands(const hone_problem& p, const Args& a)
        : q(query_operand("q", p, as_const(a.q), p.key_dim)),
          k(key_operand("k", p, as_const(a.k), p.key_dim)),
          v(key_operand("v", p, as_const(a.v), p.value_dim)),
          o(query_operand("o", p, as_const(a.o), p.value_dim)) {}
};

struct BackwardOperands : Operands {
    Operand dout, dq, dk, dv;
    BackwardOperands(const hone_problem& p, const hone_backward_args& a)
        : Operands(p, a),
          dout(query_operand("dout", p, a.dout, p.value_dim)),
          dq(query_operand("dq", p, as_const(a.dq), p.key_dim)),
          dk(key_operand("dk", p, as_const(a.dk), p.key_dim)),
          dv(key_operand("dv", p, as_const(a.dv), p.value_dim)) {}
};

// Inputs that forward and backward share.
template <class Args>
std::array<Span, 11> shared_inputs(const hone_problem& p, const Operands& t, const Args& a, const Sizes& n) {
    const std::array<Integers, 4> integers = integers_of(p);
    return {t.q.span(),
            t.k.span(),
            t.v.span(),
            dense("sink", a.sink, n.sink),
            dense("log_prior", a.log_prior, n.heads),
            dense("shift", a.shift, n.heads),
            mask_operand(p, a.mask).span(),
            integers_span(integers[0]),
            integers_span(integers[1]),
            integers_span(integers[2]),
            integers_span(integers[3])};
}

hone_status check_apart(const Span& output, std::span<const Span> others) {
    for (const Span& other : others)
        if (share_memory(output.memory, other.memory))
            return fail(HONE_INVALID_ARGUMENT,
                        "%s: shares memory with %s; should be apart from every other tensor", output.name,
                        other.name);
    return HONE_OK;
}

// What is written must not share memory with anything else of the call.
hone_status check_apart(std::span<const Span> outputs, std::span<const Span> own_inputs,
                        std::span<const Span> shared_inputs) {
    for (std::size_t i = 0; i < outputs.size(); ++i)
        for (const std::span<const Span> others : {outputs.subspan(i + 1), own_inputs, shared_inputs})
            if (const hone_status status = check_apart(outputs[i], others); status != HONE_OK) return status;
    return HONE_OK;
}

hone_status check_types(const hone_problem& p, std::initializer_list<const Operand*> operands) {
    for (const Operand* t : operands)
        if (const hone_status status = check_type(*t, p); status != HONE_OK) return status;
    return HONE_OK;
}

}  // namespace

hone_status validate_shapes(const hone_problem& p, const hone_forward_args& a) {
    hone_status status;
    if ((status = check_problem(p)) || (status = check_entries(p))) return status;
    const Operands t(p, a);
    if ((status = check_types(p, {&t.q, &t.k, &t.v, &t.o})) || (status = check_strides(t.q)) ||
        (status = check_strides(t.k)) || (status = check_strides(t.v)) ||
        (status = check_output(t.o, nullptr)) || (status = check_mask(p, a.mask)))
        return status;
    return check_parameters(a, *activation_info(p.activation));
}

hone_status validate_shapes(const hone_problem& p, const hone_backward_args& a) {
    hone_status status;
    if ((status = check_problem(p)) || (status = check_entries(p))) return status;
    const hone_activation_info& info = *activation_info(p.activation);
    const BackwardOperands t(p, a);
    if ((status = check_types(p, {&t.q, &t.k, &t.v, &t.o, &t.dout, &t.dq, &t.dk, &t.dv})) ||
        (status = check_strides(t.q)) || (status = check_strides(t.k)) || (status = check_strides(t.v)) ||
        (status = check_strides(t.o)) || (status = check_strides(t.dout)) ||
        (status = check_output(t.dq, &t.q)) || (status = check_output(t.dk, &t.k)) ||
        (status = check_output(t.dv, &t.v)) || (status = check_mask(p, a.mask)) ||
        (status = check_parameters(a, info)) ||
        (!info.normalised && (status = check_absent("dlse", a.dlse, info))) ||
        (!info.takes_sink && (status = check_absent("dsink", a.dsink, info))) ||
        (!info.takes_log_prior && (status = check_absent("dlog_prior", a.dlog_prior, info))))
        return status;
    return info.takes_shift ? HONE_OK : check_absent("dshift", a.dshift, info);
}

hone_status validate_extents(const hone_problem& p) {
    return check_integers_present(p);
}

hone_status validate_memory(const hone_problem& p, const hone_forward_args& a, std::size_t needed) {
    const Operands t(p, a);
    hone_status status;
    if ((status = check_present(t.q)) || (status = check_present(t.k)) || (status = check_present(t.v)) ||
        (status = check_present(t.o)) || (status = check_workspace(a, needed)))
        return status;
    const Sizes n = sizes_of(p, *activation_info(p.activation));
    const Span outputs[] = {t.o.span(), dense("lse", a.lse, n.lse), workspace_span(a)};
    return check_apart(outputs, {}, shared_inputs(p, t, a, n));
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
    const Span outputs[] = {t.dq.span(),
                            t.dk.span(),
                            t.dv.span(),
                            dense("dsink", a.dsink, n.sink),
                            dense("dlog_prior", a.dlog_prior, n.heads),
                            dense("dshift", a.dshift, n.heads),
                            workspace_span(a)};
    const Span inputs[] = {t.o.span(), t.dout.span(), dense("lse", a.lse, n.lse),
                           dense("dlse", a.dlse, n.lse)};
    return check_apart(outputs, inputs, shared_inputs(p, t, a, n));
}

}  // namespace hone
