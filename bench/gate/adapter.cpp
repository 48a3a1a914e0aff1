// adapter.cpp: the one file of the gate that knows hone.h. It is compiled once against the header of each
// version that is compared; where versions differ, it branches on what the header offers.
#include "adapter.h"

#include <dlfcn.h>
#include <hone/hone.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

// Where versions differ.
#ifdef HONE_VERSION_MAJOR
hone_activation_info empty_info() {
    hone_activation_info info = {};
    info.size = sizeof info;
    return info;
}
hone_problem empty_problem() {
    hone_problem p = {};
    p.size = sizeof p;
    return p;
}
void set_causal(hone_problem& p) {
    p.flags = HONE_CAUSAL, p.alignment = HONE_BOTTOM_RIGHT;
}
template <class Tensor>
Tensor tensor_of(const gate_tensor& t) {
    Tensor tensor = {};
    tensor.data = t.data;
    tensor.batch_stride = t.batch_stride, tensor.head_stride = t.head_stride;
    tensor.row_stride = t.row_stride;
    return tensor;
}
hone_const_tensor input(const gate_tensor& t) {
    return tensor_of<hone_const_tensor>(t);
}
hone_tensor output(const gate_tensor& t) {
    return tensor_of<hone_tensor>(t);
}
#else  // 0.1.0
hone_activation_info empty_info() {
    return {};
}
hone_problem empty_problem() {
    return hone_problem_default();
}
void set_causal(hone_problem& p) {
    p.mask = HONE_MASK_CAUSAL_BOTTOM_RIGHT;
}
hone_tensor input(const gate_tensor& t) {
    return {t.data, t.batch_stride, t.head_stride, t.row_stride};
}
hone_tensor output(const gate_tensor& t) {
    return input(t);
}
#endif

#if defined(HONE_VERSION_MAJOR) && (HONE_VERSION_MAJOR > 0 || HONE_VERSION_MINOR >= 3)
constexpr const char* kWords = "causal window documents hidden lengths ragged single_location";

void set_visible(hone_problem& p, const gate_case& c) {
    if (c.window_left >= 0 || c.window_right >= 0) {
        p.flags |= HONE_WINDOW;
        p.window_left = c.window_left, p.window_right = c.window_right;
    }
    if (c.key_lengths) {
        p.flags |= HONE_KEY_LENGTHS;
        p.key_lengths.data = c.key_lengths;
    }
    if (c.offsets) {
        p.flags |= HONE_RAGGED_QUERIES | HONE_RAGGED_KEYS;
        p.query_offsets.data = p.key_offsets.data = c.offsets;
        p.total_queries = p.total_keys = c.offsets[c.batch];
    }
}
template <class Args>
void set_mask(Args& a, const gate_case& c) {
    if (c.mask) a.mask = hone_const_bhqk(c.mask, 1, 1, c.queries, c.keys);
}
#else
constexpr const char* kWords = "causal single_location";

void set_visible(hone_problem&, const gate_case&) {}
template <class Args>
void set_mask(Args&, const gate_case&) {}
#endif

thread_local std::string kept_error;
thread_local std::string kept_words;

// What fails says why, and returns nothing.
template <class Call, class Result>
Result guarded(const Call& call, Result failure) {
    try {
        return call();
    } catch (const std::exception& error) {
        kept_error = error.what();
        return failure;
    }
}

// The functions of one libhone. It is never closed: threads of its OpenMP wait in code that would go with it.
struct Library {
    explicit Library(const char* path) : handle(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
        if (!handle) throw std::runtime_error(dlerror());
        find("hone_forward", forward);
        find("hone_backward", backward);
        find("hone_forward_workspace", forward_workspace);
        find("hone_backward_workspace", backward_workspace);
        find("hone_last_error", last_error);
        find("hone_describe_activation", describe_activation);
        find("hone_isa_count", isa_count);
        find("hone_isa_name", isa_name);
        find("hone_isa_available", isa_available);
    }

    template <class Function>
    void find(const char* name, Function*& function) const {
        function = reinterpret_cast<Function*>(dlsym(handle, name));
        if (!function) throw std::runtime_error(dlerror());
    }

    void check(hone_status status) const {
        if (status != HONE_OK) throw std::runtime_error(last_error());
    }

    void* handle;
    decltype(hone_forward)* forward;
    decltype(hone_backward)* backward;
    decltype(hone_forward_workspace)* forward_workspace;
    decltype(hone_backward_workspace)* backward_workspace;
    decltype(hone_last_error)* last_error;
    decltype(hone_describe_activation)* describe_activation;
    decltype(hone_isa_count)* isa_count;
    decltype(hone_isa_name)* isa_name;
    decltype(hone_isa_available)* isa_available;
};

// Its value and what it takes.
std::pair<std::int32_t, hone_activation_info> find_activation(const Library& hone, const std::string& name) {
    hone_activation_info info = empty_info();
    for (std::int32_t a = 0; hone.describe_activation(a, &info) == HONE_OK; ++a)
        if (info.name == name) return {a, info};
    throw std::runtime_error("there is no activation '" + name + "'");
}

hone_problem make_problem(const gate_case& c, std::int32_t activation) {
    hone_problem p = empty_problem();
    p.dtype = std::strcmp(c.dtype, "f64") == 0 ? HONE_FLOAT64 : HONE_FLOAT32;
    p.activation = activation;
    if (c.causal) set_causal(p);
    set_visible(p, c);
    p.threads = static_cast<std::int32_t>(c.threads);
    p.batch = c.batch;
    p.query_heads = c.query_heads;
    p.kv_heads = c.kv_heads;
    p.queries = c.queries;
    p.keys = c.keys;
    p.key_dim = p.value_dim = c.dim;
    return p;
}

hone_forward_args make_forward(const gate_case& c, bool normalised) {
    hone_forward_args a = {};
    a.size = sizeof a;
    a.q = input(c.q), a.k = input(c.k), a.v = input(c.v), a.o = output(c.o);
    if (normalised) a.lse = c.lse;
    set_mask(a, c);
    return a;
}

hone_backward_args make_backward(const gate_case& c, bool normalised) {
    hone_backward_args a = {};
    a.size = sizeof a;
    a.q = input(c.q), a.k = input(c.k), a.v = input(c.v), a.dout = input(c.dout);
    a.dq = output(c.dq), a.dk = output(c.dk), a.dv = output(c.dv);
    if (normalised) a.o = input(c.o), a.lse = c.lse;
    set_mask(a, c);
    return a;
}

}  // namespace

struct gate_call {
    gate_call(const char* path, const gate_case& c)
        : hone(path), isa(c.isa), is_backward(std::strcmp(c.direction, "backward") == 0) {
        const auto [activation, info] = find_activation(hone, c.activation);
        problem = make_problem(c, activation);
        problem.isa = isa.c_str();
        if (is_backward) {
            backward = make_backward(c, info.normalised);
            hone.check(hone.backward_workspace(&problem, &backward, &workspace_bytes));
        } else {
            forward = make_forward(c, info.normalised);
            hone.check(hone.forward_workspace(&problem, &forward, &workspace_bytes));
        }
    }
    gate_call(const gate_call&) = delete;

    void lend(void* workspace) {
        forward.workspace = backward.workspace = workspace;
        forward.workspace_bytes = backward.workspace_bytes = workspace_bytes;
    }

    hone_status run() const {
        return is_backward ? hone.backward(&problem, &backward) : hone.forward(&problem, &forward);
    }

    const Library hone;
    const std::string isa;
    const bool is_backward;
    hone_problem problem = {};
    hone_forward_args forward = {};
    hone_backward_args backward = {};
    std::size_t workspace_bytes = 0;
};

gate_call* gate_open(const char* libhone, const gate_case* c) {
    return guarded([&] { return new gate_call(libhone, *c); }, static_cast<gate_call*>(nullptr));
}

void gate_close(gate_call* call) {
    delete call;
}

size_t gate_workspace(const gate_call* call) {
    return call->workspace_bytes;
}

double gate_run(gate_call* call, void* workspace, int64_t times) {
    using Clock = std::chrono::steady_clock;
    call->lend(workspace);
    hone_status status = HONE_OK;
    const auto start = Clock::now();
    for (std::int64_t n = 0; n < times; ++n) status = std::max(status, call->run());
    const std::chrono::duration<double> took = Clock::now() - start;
    return guarded([&] { return call->hone.check(status), took.count(); }, -1.0);
}

const char* gate_activations(const char* libhone) {
    const auto list = [&] {
        const Library hone(libhone);
        hone_activation_info info = empty_info();
        kept_words.clear();
        for (std::int32_t a = 0; hone.describe_activation(a, &info) == HONE_OK; ++a)
            kept_words.append(a ? " " : "").append(info.name);
        return kept_words.c_str();
    };
    return guarded(list, static_cast<const char*>(nullptr));
}

const char* gate_isas(const char* libhone) {
    const auto list = [&] {
        const Library hone(libhone);
        kept_words.clear();
        for (std::int32_t n = 0; n < hone.isa_count(); ++n)
            if (hone.isa_available(n))
                kept_words.append(kept_words.empty() ? "" : " ").append(hone.isa_name(n));
        return kept_words.c_str();
    };
    return guarded(list, static_cast<const char*>(nullptr));
}

const char* gate_words(void) {
    return kWords;
}

const char* gate_last_error(void) {
    return kept_error.c_str();
}
