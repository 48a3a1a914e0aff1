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
#include "parts.hpp"
#include "rounding.hpp"
#include "run.hpp"
#include "validate.hpp"

namespace hone {
namespace {

thread_local char last_error[512] = "";

Machine machine_for(const hone_problem& p, const Isa& isa) {
    return {thread_count(p.threads), p.dtype == HONE_FLOAT64 ? isa.f64.tuning : isa.f32.tuning};
}

// The workspace may start anywhere; its first aligned byte is used.
std::size_t needed_bytes(std::size_t bytes) {
    return bytes + kAlignment - 1;
}

std::byte* align(void* workspace) {
    const auto at = reinterpret_cast<std::uintptr_t>(workspace);
    return reinterpret_cast<std::byte*>((at + kAlignment - 1) / kAlignment * kAlignment);
}

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

// A call whose memory has not been checked yet.
template <class Args>
struct Prepared {
    hone_problem problem;
    Args args;
    const Isa* isa;
};

// Takes the caller's structs, validates their shapes, and chooses the ISA.
template <class Args>
hone_status prepare(const hone_problem* problem, const Args* args, Prepared<Args>* call) {
    hone_status status;
    if ((status = accept(problem, &call->problem)) || (status = accept(args, &call->args)) ||
        (status = validate_shapes(call->problem, call->args)))
        return status;
    return choose_isa(call->problem.isa, &call->isa);
}

template <class Args>
hone_status call(const hone_problem* problem, const Args* args) {
    const Rounding rounding;
    Prepared<Args> call;
    hone_status status;
    if ((status = prepare(problem, args, &call)) || (status = validate_extents(call.problem))) return status;
    const Machine machine = machine_for(call.problem, *call.isa);
    const CallPlan<Args> plan = plan_call(call.problem, call.args, machine);
    const std::size_t needed = needed_bytes(plan.bytes);
    if ((status = validate_memory(call.problem, call.args, needed))) return status;
    std::unique_ptr<void, Free> own;
    void* workspace = call.args.workspace;
    if (!workspace) {
        own.reset(std::malloc(needed));
        if (!own) return fail(HONE_OUT_OF_MEMORY, "workspace: its %zu bytes could not be allocated", needed);
        workspace = own.get();
    }
    if (call.problem.dtype == HONE_FLOAT64)
        run(plan, call.problem, call.args, machine, call.isa->f64, align(workspace));
    else
        run(plan, call.problem, call.args, machine, call.isa->f32, align(workspace));
    return HONE_OK;
}

template <class Args>
hone_status workspace(const hone_problem* problem, const Args* args, std::size_t* bytes) {
    if (!bytes) return fail(HONE_INVALID_ARGUMENT, "bytes: is NULL; should point to a size_t");
    const Rounding rounding;
    Prepared<Args> call;
    const hone_status status = prepare(problem, args, &call);
    if (status != HONE_OK) return status;
    const Machine machine = machine_for(call.problem, *call.isa);
    *bytes = needed_bytes(extents_known(call.problem) ? plan_call(call.problem, call.args, machine).bytes
                                                      : most_bytes(call.problem, call.args, machine));
    return HONE_OK;
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
    return hone::call(problem, args);
}

hone_status hone_backward(const hone_problem* problem, const hone_backward_args* args) {
    return hone::call(problem, args);
}

hone_status hone_forward_workspace(const hone_problem* problem, const hone_forward_args* args,
                                   size_t* bytes) {
    return hone::workspace(problem, args, bytes);
}

hone_status hone_backward_workspace(const hone_problem* problem, const hone_backward_args* args,
                                    size_t* bytes) {
    return hone::workspace(problem, args, bytes);
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
