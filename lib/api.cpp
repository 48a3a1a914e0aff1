// api.cpp: the public calls: validate, plan, find the workspace, dispatch, run.
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

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

template <class Plan>
struct Prepared {
    const Isa* isa;
    Plan plan;
};

// Validates the shapes, chooses the ISA, and plans.
template <class Args, class Plan>
hone_status prepare(const hone_problem* problem, const Args* args, Prepared<Plan>* prepared) {
    hone_status status;
    if ((status = validate_shapes(problem, args)) || (status = choose_isa(problem->isa, &prepared->isa)))
        return status;
    prepared->plan = plan_of(*problem, *args, machine_for(*problem, *prepared->isa));
    return HONE_OK;
}

template <class Plan, class Args>
hone_status call(const hone_problem* problem, const Args* args) {
    Prepared<Plan> prepared;
    hone_status status = prepare(problem, args, &prepared);
    if (status != HONE_OK) return status;
    const auto& [isa, plan] = prepared;
    const std::size_t needed = needed_bytes(plan);
    if ((status = validate_memory(*problem, *args, needed))) return status;
    std::unique_ptr<void, Free> own;
    void* workspace = args->workspace;
    if (!workspace) {
        own.reset(std::malloc(needed));
        if (!own) return fail(HONE_OUT_OF_MEMORY, "workspace: its %zu bytes could not be allocated", needed);
        workspace = own.get();
    }
    const Rounding rounding;
    if (problem->dtype == HONE_FLOAT64)
        run(call_of<double>(plan, *problem, *args, align(workspace)), isa->f64);
    else
        run(call_of<float>(plan, *problem, *args, align(workspace)), isa->f32);
    return HONE_OK;
}

template <class Plan, class Args>
hone_status workspace(const hone_problem* problem, const Args* args, std::size_t* bytes) {
    if (!bytes) return fail(HONE_INVALID_ARGUMENT, "bytes: is NULL; should point to a size_t");
    Prepared<Plan> prepared;
    const hone_status status = prepare(problem, args, &prepared);
    if (status == HONE_OK) *bytes = needed_bytes(prepared.plan);
    return status;
}

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

hone_status hone_describe_activation(int32_t activation, hone_activation_info* info) {
    if (!info)
        return hone::fail(HONE_INVALID_ARGUMENT, "info: is NULL; should point to a hone_activation_info");
    const hone_activation_info* known = hone::activation_info(activation);
    if (!known)
        return hone::fail(HONE_INVALID_ARGUMENT, "activation: is %d; should be a hone_activation, 0 to %d",
                          activation, HONE_ACTIVATION_COUNT - 1);
    *info = *known;
    return HONE_OK;
}

const char* hone_version(void) {
    return HONE_VERSION;
}

}  // extern "C"
