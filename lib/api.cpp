// api.cpp: the public calls: accept, validate, plan, find the workspace, dispatch, run.
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "accept.hpp"
#include "dispatch.hpp"
#include "error.hpp"
#include "plan.hpp"
#include "rounding.hpp"
#include "run.hpp"
#include "validate.hpp"

namespace hone {
namespace {

thread_local char last_error[512] = "";

ForwardPlan plan_of(const hone_problem& p, const hone_forward_args& a, const Machine& machine) {
    return plan_forward(p, a, *activation_info(p.activation), visibility_of(p), machine);
}

BackwardPlan plan_of(const hone_problem& p, const hone_backward_args& a, const Machine& machine) {
    return plan_backward(p, a, *activation_info(p.activation), visibility_of(p), machine);
}

Machine machine_for(const hone_problem& p, const Isa& isa) {
    return {thread_count(p.threads), p.dtype == HONE_FLOAT64 ? isa.f64.tuning : isa.f32.tuning};
}

// The workspace may start anywhere; its first aligned byte is used.
template <class Plan>
std::size_t needed_bytes(const Plan& plan) {
    return plan.bytes + kAlignment - 1;
}

std::byte* align(void* workspace) {
    const auto at = reinterpret_cast<std::uintptr_t>(workspace);
    return reinterpret_cast<std::byte*>((at + kAlignment - 1) / kAlignment * kAlignment);
}

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

// A call whose memory has not been checked yet.
template <class Args, class Plan>
struct Prepared {
    hone_problem problem;
    Args args;
    const Isa* isa;
    Plan plan;
};

// Takes the caller's structs, validates their shapes, chooses the ISA, and plans.
template <class Args, class Plan>
hone_status prepare(const hone_problem* problem, const Args* args, Prepared<Args, Plan>* call) {
    hone_status status;
    if ((status = accept(problem, &call->problem)) || (status = accept(args, &call->args)) ||
        (status = validate_shapes(call->problem, call->args)) ||
        (status = choose_isa(call->problem.isa, &call->isa)))
        return status;
    call->plan = plan_of(call->problem, call->args, machine_for(call->problem, *call->isa));
    return HONE_OK;
}

template <class Plan, class Args>
hone_status call(const hone_problem* problem, const Args* args) {
    const Rounding rounding;
    Prepared<Args, Plan> call;
    if (const hone_status status = prepare(problem, args, &call); status != HONE_OK) return status;
    const std::size_t needed = needed_bytes(call.plan);
    if (const hone_status status = validate_memory(call.problem, call.args, needed); status != HONE_OK)
        return status;
    std::unique_ptr<void, Free> own;
    void* workspace = call.args.workspace;
    if (!workspace) {
        own.reset(std::malloc(needed));
        if (!own) return fail(HONE_OUT_OF_MEMORY, "workspace: its %zu bytes could not be allocated", needed);
        workspace = own.get();
    }
    if (call.problem.dtype == HONE_FLOAT64)
        run(call_of<double>(call.plan, call.problem, call.args, align(workspace)), call.isa->f64);
    else
        run(call_of<float>(call.plan, call.problem, call.args, align(workspace)), call.isa->f32);
    return HONE_OK;
}

template <class Plan, class Args>
hone_status workspace(const hone_problem* problem, const Args* args, std::size_t* bytes) {
    if (!bytes) return fail(HONE_INVALID_ARGUMENT, "bytes: is NULL; should point to a size_t");
    const Rounding rounding;
    Prepared<Args, Plan> call;
    const hone_status status = prepare(problem, args, &call);
    if (status == HONE_OK) *bytes = needed_bytes(call.plan);
    return status;
}

#define HONE_ACTIVATION(ENUMERATOR, name) \
    static_assert(int{HONE_##ENUMERATOR} == int{kNumber_##name}, "hone.h and activations.def differ");
#include "hone/activations.def"
#undef HONE_ACTIVATION

}  // namespace

hone_status fail(hone_status status, const char* format, ...) {
    va_list values;
    va_start(values, format);
    std::vsnprintf(last_error, sizeof(last_error), format, values);
    va_end(values);
    return status;
}

}  // namespace hone

extern "C" {

hone_status hone_forward(const hone_problem* problem, const hone_forward_args* args) {
    return hone::call<hone::ForwardPlan>(problem, args);
}

hone_status hone_backward(const hone_problem* problem, const hone_backward_args* args) {
    return hone::call<hone::BackwardPlan>(problem, args);
}

hone_status hone_forward_workspace(const hone_problem* problem, const hone_forward_args* args,
                                   size_t* bytes) {
    return hone::workspace<hone::ForwardPlan>(problem, args, bytes);
}

hone_status hone_backward_workspace(const hone_problem* problem, const hone_backward_args* args,
                                    size_t* bytes) {
    return hone::workspace<hone::BackwardPlan>(problem, args, bytes);
}

const char* hone_last_error(void) {
    return hone::last_error;
}

int32_t hone_activation_count(void) {
    return hone::kActivationCount;
}

hone_status hone_describe_activation(int32_t activation, hone_activation_info* info) {
    const hone_activation_info* known = hone::activation_info(activation);
    return known ? hone::give(*known, info) : hone::no_activation(activation);
}

hone_status hone_activation_by_name(const char* name, int32_t* activation) {
    if (!name || !activation)
        return hone::fail(HONE_INVALID_ARGUMENT, "%s: is NULL; should point to %s",
                          name ? "activation" : "name", name ? "an int32_t" : "a name");
    for (int32_t a = 0; a < hone::kActivationCount; ++a) {
        if (std::strcmp(name, hone::activation_info(a)->name) != 0) continue;
        *activation = a;
        return HONE_OK;
    }
    return hone::fail(HONE_INVALID_ARGUMENT, "name: is '%s'; should be that of an activation, such as '%s'",
                      name, hone::activation_info(0)->name);
}

const char* hone_version(void) {
    return HONE_VERSION;
}

}  // extern "C"
