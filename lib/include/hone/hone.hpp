// hone.hpp: the C++ veneer over hone.h: typed strided views, and exceptions that carry the same sentences.
#pragma once

#include <hone/hone.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace hone {

// A call that failed: what() is hone_last_error()'s sentence.
class Error : public std::runtime_error {
  public:
    Error(hone_status status, const char* sentence) : std::runtime_error(sentence), status_(status) {}
    hone_status status() const noexcept { return status_; }

  private:
    hone_status status_;
};

// clang-format off
template <class T>
concept Scalar = std::is_same_v<std::remove_const_t<T>, float> || std::is_same_v<std::remove_const_t<T>, double>;
// clang-format on

template <Scalar T>
inline constexpr hone_dtype dtype_of =
    std::is_same_v<std::remove_const_t<T>, float> ? HONE_FLOAT32 : HONE_FLOAT64;

// A tensor [batch, heads, rows, features] with contiguous features; strides in elements, 0 broadcasts.
template <Scalar T>
struct View {
    T* data = nullptr;
    std::int64_t batch_stride = 0;
    std::int64_t head_stride = 0;
    std::int64_t row_stride = 0;

    // Row-major [batch, heads, rows, features].
    static View bhnd(T* data, std::int64_t heads, std::int64_t rows, std::int64_t features) {
        return {data, heads * rows * features, rows * features, features};
    }
    // Row-major [batch, rows, heads, features].
    static View bnhd(T* data, std::int64_t heads, std::int64_t rows, std::int64_t features) {
        return {data, rows * heads * features, features, heads * features};
    }
    operator View<const T>() const requires(!std::is_const_v<T>) {
        return {data, batch_stride, head_stride, row_stride};
    }
    hone_tensor raw() const {
        return {const_cast<std::remove_const_t<T>*>(data), batch_stride, head_stride, row_stride};
    }
};

// hone_forward_args, typed; the fields and their shapes are described there.
template <Scalar T>
struct Forward {
    View<const T> q, k, v;
    View<T> o;
    const T* sink = nullptr;
    const T* log_prior = nullptr;
    const T* shift = nullptr;
    T* lse = nullptr;
    std::span<std::byte> workspace = {};

    hone_forward_args raw() const {
        return {sizeof(hone_forward_args),
                q.raw(),
                k.raw(),
                v.raw(),
                o.raw(),
                sink,
                log_prior,
                shift,
                lse,
                workspace.data(),
                workspace.size()};
    }
};

// hone_backward_args, typed; the fields and their shapes are described there.
template <Scalar T>
struct Backward {
    View<const T> q, k, v, o, dout;
    const T* sink = nullptr;
    const T* log_prior = nullptr;
    const T* shift = nullptr;
    const T* lse = nullptr;
    const T* dlse = nullptr;
    View<T> dq, dk, dv;
    T* dsink = nullptr;
    T* dlog_prior = nullptr;
    T* dshift = nullptr;
    std::span<std::byte> workspace = {};

    hone_backward_args raw() const {
        return {sizeof(hone_backward_args),
                q.raw(),
                k.raw(),
                v.raw(),
                o.raw(),
                dout.raw(),
                sink,
                log_prior,
                shift,
                lse,
                dlse,
                dq.raw(),
                dk.raw(),
                dv.raw(),
                dsink,
                dlog_prior,
                dshift,
                workspace.data(),
                workspace.size()};
    }
};

inline void check(hone_status status) {
    if (status != HONE_OK) throw Error(status, hone_last_error());
}

// Computes o (and lse). The problem's dtype is taken from T. Throws Error, having written nothing.
template <Scalar T>
void forward(hone_problem problem, const Forward<T>& call) {
    problem.dtype = dtype_of<T>;
    const hone_forward_args args = call.raw();
    check(hone_forward(&problem, &args));
}

// Computes the gradients whose views are not null. Throws Error, having written nothing.
template <Scalar T>
void backward(hone_problem problem, const Backward<T>& call) {
    problem.dtype = dtype_of<T>;
    const hone_backward_args args = call.raw();
    check(hone_backward(&problem, &args));
}

// The bytes of workspace that the call needs.
template <Scalar T>
std::size_t workspace_bytes(hone_problem problem, const Forward<T>& call) {
    problem.dtype = dtype_of<T>;
    const hone_forward_args args = call.raw();
    std::size_t bytes = 0;
    check(hone_forward_workspace(&problem, &args, &bytes));
    return bytes;
}

template <Scalar T>
std::size_t workspace_bytes(hone_problem problem, const Backward<T>& call) {
    problem.dtype = dtype_of<T>;
    const hone_backward_args args = call.raw();
    std::size_t bytes = 0;
    check(hone_backward_workspace(&problem, &args, &bytes));
    return bytes;
}

inline hone_activation_info describe(hone_activation activation) {
    hone_activation_info info;
    check(hone_describe_activation(activation, &info));
    return info;
}

// The activation of that name, as in activations.def; throws Error where there is none.
inline hone_activation activation(const std::string& name) {
    for (int i = 0; i < HONE_ACTIVATION_COUNT; ++i)
        if (name == describe(static_cast<hone_activation>(i)).name) return static_cast<hone_activation>(i);
    throw Error(HONE_INVALID_ARGUMENT, ("activation: there is none named '" + name + "'").c_str());
}

// The names of the implementations that this machine runs, best last.
inline std::vector<std::string> available_isas() {
    std::vector<std::string> names;
    for (std::int32_t i = 0; i < hone_isa_count(); ++i)
        if (hone_isa_available(i)) names.emplace_back(hone_isa_name(i));
    return names;
}

}  // namespace hone
