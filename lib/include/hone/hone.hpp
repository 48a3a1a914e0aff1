// hone.hpp: the C++ veneer over hone.h: structs for designated initialisers, views and arrays that carry
// the type of their elements, and exceptions that carry the same sentences.
//
//     hone::forward({.activation = HONE_SOFTMAX, .causal = true, .query_heads = 8, .kv_heads = 2,
//                    .queries = 128, .keys = 128, .key_dim = 64, .value_dim = 64},
//                   {.q = hone::bhnd(q, 8, 128, 64), .k = hone::bhnd(k, 2, 128, 64),
//                    .v = hone::bhnd(v, 2, 128, 64), .o = hone::bhnd(o, 8, 128, 64)});
#pragma once

#include <hone/hone.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace hone {

// Thrown where a call fails: what() is hone_last_error()'s sentence.
class Error : public std::runtime_error {
  public:
    Error(hone_status status, const std::string& sentence) : std::runtime_error(sentence), status_(status) {}
    hone_status status() const noexcept { return status_; }

  private:
    hone_status status_;
};

inline void check(hone_status status) {
    if (status != HONE_OK) throw Error(status, hone_last_error());
}

// clang-format off
// The types that are known at compile time.
template <class T>
concept Scalar = std::same_as<std::remove_const_t<T>, float> || std::same_as<std::remove_const_t<T>, double>;

// Contiguous scalars that outlive the expression.
template <class R>
concept ScalarRange = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
                      Scalar<std::ranges::range_value_t<R>> &&
                      (std::is_lvalue_reference_v<R> || std::ranges::borrowed_range<R>);
// Contiguous int32 or int64 that outlive the expression.
template <class R>
concept IntegerRange = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
                       std::signed_integral<std::ranges::range_value_t<R>> &&
                       (sizeof(std::ranges::range_value_t<R>) == 4 || sizeof(std::ranges::range_value_t<R>) == 8) &&
                       (std::is_lvalue_reference_v<R> || std::ranges::borrowed_range<R>);
// The elements of a mask.
template <class B>
concept Byte = sizeof(B) == 1 && std::is_trivially_copyable_v<B>;
template <class R>
concept WritableScalarRange =
    ScalarRange<R> && !std::is_const_v<std::remove_reference_t<std::ranges::range_reference_t<R>>>;
// clang-format on

template <Scalar T>
inline constexpr hone_dtype dtype_of =
    std::is_same_v<std::remove_const_t<T>, float> ? HONE_FLOAT32 : HONE_FLOAT64;

namespace detail {

template <class Tensor, class V>
Tensor raw_of(const V& view) {
    Tensor t = {};
    t.data = view.data;
    t.batch_stride = view.batch_stride, t.head_stride = view.head_stride, t.row_stride = view.row_stride;
    t.dtype = view.dtype;
    return t;
}

}  // namespace detail

// A tensor [batch, heads, rows, features] that a call reads, with contiguous features. Strides are in
// elements; 0 broadcasts. The dtype is known at run time; HONE_DTYPE_DEFAULT is the problem's.
struct ConstView {
    const void* data = nullptr;
    std::int64_t batch_stride = 0;
    std::int64_t head_stride = 0;
    std::int64_t row_stride = 0;
    hone_dtype dtype = HONE_DTYPE_DEFAULT;

    hone_const_tensor raw() const { return detail::raw_of<hone_const_tensor>(*this); }
};

// A tensor that a call writes.
struct View {
    void* data = nullptr;
    std::int64_t batch_stride = 0;
    std::int64_t head_stride = 0;
    std::int64_t row_stride = 0;
    hone_dtype dtype = HONE_DTYPE_DEFAULT;

    operator ConstView() const { return {data, batch_stride, head_stride, row_stride, dtype}; }
    hone_tensor raw() const { return detail::raw_of<hone_tensor>(*this); }
};

template <Scalar T>
using ViewOf = std::conditional_t<std::is_const_v<T>, ConstView, View>;

// The view of memory with these strides.
template <Scalar T>
ViewOf<T> strided(T* data, std::int64_t batch_stride, std::int64_t head_stride, std::int64_t row_stride) {
    return {data, batch_stride, head_stride, row_stride, dtype_of<T>};
}
// In row-major order: bhnd is [batch, heads, rows, features], bnhd is [batch, rows, heads, features].
template <Scalar T>
ViewOf<T> bhnd(T* data, std::int64_t heads, std::int64_t rows, std::int64_t features) {
    return strided(data, heads * rows * features, rows * features, features);
}
template <Scalar T>
ViewOf<T> bnhd(T* data, std::int64_t heads, std::int64_t rows, std::int64_t features) {
    return strided(data, rows * heads * features, features, heads * features);
}

// A contiguous array that a call reads: a parameter, or lse. Any std::vector, std::array or std::span of
// float or double is one, but no temporary that owns its elements. An empty one is absent.
struct ConstArray {
    const void* data = nullptr;
    std::size_t size = 0;
    hone_dtype dtype = HONE_DTYPE_DEFAULT;

    ConstArray() = default;
    template <ScalarRange R>
    ConstArray(R&& values)
        : data(std::ranges::data(values)),
          size(std::ranges::size(values)),
          dtype(dtype_of<std::ranges::range_value_t<R>>) {}
};

// An array that a call writes.
struct Array {
    void* data = nullptr;
    std::size_t size = 0;
    hone_dtype dtype = HONE_DTYPE_DEFAULT;

    Array() = default;
    template <WritableScalarRange R>
    Array(R&& values)
        : data(std::ranges::data(values)),
          size(std::ranges::size(values)),
          dtype(dtype_of<std::ranges::range_value_t<R>>) {}

    operator ConstArray() const {
        ConstArray array;
        array.data = data, array.size = size, array.dtype = dtype;
        return array;
    }
};

// Lengths or offsets that a call reads: any std::vector, std::array or std::span of int32_t or int64_t is
// one, but no temporary that owns its elements.
struct ConstIntegers {
    const void* data = nullptr;
    std::size_t size = 0;
    hone_dtype dtype = HONE_INT64;
    bool given = false;  // by its values, or for later
    bool known = false;

    ConstIntegers() = default;
    template <IntegerRange R>
    ConstIntegers(R&& values)
        : data(std::ranges::data(values)),
          size(std::ranges::size(values)),
          dtype(sizeof(std::ranges::range_value_t<R>) == 4 ? HONE_INT32 : HONE_INT64),
          given(true),
          known(true) {}

    // Those whose values are not known yet: a workspace can be asked for that is enough for any.
    static ConstIntegers later() {
        ConstIntegers integers;
        integers.given = true;
        return integers;
    }
    hone_const_integers raw() const { return {data, dtype, 0}; }
};

// A boolean mask, hone_const_scores.
struct MaskView {
    const void* data = nullptr;
    std::int64_t batch = 0, heads = 0, queries = 0, keys = 0;
    std::int64_t batch_stride = 0, head_stride = 0, query_stride = 0, key_stride = 0;

    hone_const_scores raw() const {
        hone_const_scores t = {};
        t.data = data;
        t.batch = batch, t.heads = heads, t.queries = queries, t.keys = keys;
        t.batch_stride = batch_stride, t.head_stride = head_stride;
        t.query_stride = query_stride, t.key_stride = key_stride;
        t.dtype = HONE_BOOL;
        return t;
    }
};

// A mask in row-major order [batch, heads, queries, keys], each extent that of the problem or 1.
template <Byte B>
MaskView bhqk(const B* data, std::int64_t batch, std::int64_t heads, std::int64_t queries,
              std::int64_t keys) {
    return {data, batch, heads, queries, keys, heads * queries * keys, queries * keys, keys, 1};
}

// The keys that a query sees around the diagonal; -1: no bound on that side.
struct Window {
    std::int64_t left = -1, right = -1;
};

// hone_problem; the fields are described there.
struct Problem {
    hone_activation activation = HONE_SOFTMAX;
    bool causal = false;
    hone_alignment alignment = HONE_TOP_LEFT;
    std::int64_t diagonal_shift = 0;
    std::optional<Window> window = {};
    std::int64_t batch = 1, query_heads = 1, kv_heads = 1;
    std::int64_t queries = 0, keys = 0, key_dim = 0, value_dim = 0;
    std::int64_t group_heads = 0;
    double scale = 0, softmax_n = 0, weight = 0;
    hone_dtype dtype = HONE_DTYPE_DEFAULT;  // by default q's
    int threads = 0;
    const char* isa = nullptr;
    // Padded batches: [batch]. Ragged ones: [batch + 1], where q (k) has total_queries (total_keys) rows.
    ConstIntegers query_lengths = {}, key_lengths = {};
    ConstIntegers query_offsets = {}, key_offsets = {};
    std::int64_t total_queries = 0, total_keys = 0;

    hone_problem raw() const {
        hone_problem p;
        check(hone_problem_init(&p, sizeof p));
        p.dtype = dtype, p.activation = activation;
        p.flags =
            (causal ? HONE_CAUSAL : 0) | (window ? HONE_WINDOW : 0) |
            (query_lengths.given ? HONE_QUERY_LENGTHS : 0) | (key_lengths.given ? HONE_KEY_LENGTHS : 0) |
            (query_offsets.given ? HONE_RAGGED_QUERIES : 0) | (key_offsets.given ? HONE_RAGGED_KEYS : 0);
        p.alignment = alignment, p.diagonal_shift = diagonal_shift;
        if (window) p.window_left = window->left, p.window_right = window->right;
        p.query_lengths = query_lengths.raw(), p.key_lengths = key_lengths.raw();
        p.query_offsets = query_offsets.raw(), p.key_offsets = key_offsets.raw();
        p.total_queries = total_queries, p.total_keys = total_keys;
        p.batch = batch, p.query_heads = query_heads, p.kv_heads = kv_heads;
        p.queries = queries, p.keys = keys, p.key_dim = key_dim, p.value_dim = value_dim;
        p.group_heads = group_heads;
        p.scale = scale, p.softmax_n = softmax_n, p.weight = weight;
        p.threads = threads, p.isa = isa;
        return p;
    }
};

inline hone_activation_info describe(hone_activation activation) {
    hone_activation_info info = {};
    info.size = sizeof info;
    check(hone_describe_activation(activation, &info));
    return info;
}

// hone_forward_args; the fields and their shapes are described there.
struct Forward {
    ConstView q = {}, k = {}, v = {};
    View o = {};
    ConstArray sink = {}, log_prior = {}, shift = {};
    Array lse = {};
    std::span<std::byte> workspace = {};
    MaskView mask = {};
};

// hone_backward_args; the fields and their shapes are described there.
struct Backward {
    ConstView q = {}, k = {}, v = {}, o = {}, dout = {};
    ConstArray sink = {}, log_prior = {}, shift = {}, lse = {}, dlse = {};
    View dq = {}, dk = {}, dv = {};
    Array dsink = {}, dlog_prior = {}, dshift = {};
    std::span<std::byte> workspace = {};
    MaskView mask = {};
};

namespace detail {

// The problem, with its dtype taken from q, and the sizes that its arrays should have.
class Call {
  public:
    Call(const Problem& p, const ConstView& q) : problem_(p.raw()) {
        if (problem_.dtype == HONE_DTYPE_DEFAULT) problem_.dtype = q.dtype;
        const bool joint = describe(p.activation).joint;
        const std::int64_t group = !joint ? 1 : p.group_heads != 0 ? p.group_heads : p.query_heads;
        heads_ = p.query_heads;
        groups_ = group > 0 && p.query_heads % group == 0 ? p.query_heads / group : kUnknown;
        rows_ = p.query_offsets.given ? product(groups_, p.total_queries)
                                      : product(product(p.batch, groups_), p.queries);
        check_size("query_lengths", p.query_lengths, p.batch, 0);
        check_size("key_lengths", p.key_lengths, p.batch, 0);
        check_size("query_offsets", p.query_offsets, p.batch, 1);
        check_size("key_offsets", p.key_offsets, p.batch, 1);
    }
    const hone_problem& problem() const { return problem_; }

    template <class A>
    auto per_head(const char* name, const A& array) const {
        return checked(name, array, heads_);
    }
    template <class A>
    auto per_group(const char* name, const A& array) const {
        return checked(name, array, groups_);
    }
    template <class A>
    auto per_row(const char* name, const A& array) const {
        return checked(name, array, rows_);
    }

  private:
    // Of what the library will refuse by its own name.
    static constexpr std::int64_t kUnknown = -1;

    static void check_size(const char* name, const ConstIntegers& of, std::int64_t batch, std::size_t more) {
        const std::size_t size = static_cast<std::size_t>(batch) + more;
        if (of.known && batch >= 0 && of.size != size) throw wrong_size(name, of.size, size);
    }
    static Error wrong_size(const char* name, std::size_t has, std::size_t should_have) {
        return Error(HONE_INVALID_ARGUMENT, std::string(name) + ": has " + std::to_string(has) +
                                                " elements; should have " + std::to_string(should_have));
    }

    static std::int64_t product(std::int64_t a, std::int64_t b) {
        constexpr std::int64_t most = std::int64_t{1} << 48;
        if (a < 0 || b < 0 || (b > 0 && a > most / b)) return kUnknown;
        return a * b;
    }

    template <class A>
    auto checked(const char* name, const A& array, std::int64_t size) const -> decltype(array.data) {
        if (array.size == 0) return nullptr;
        const bool is_double = problem_.dtype == HONE_FLOAT64;
        if (array.dtype != (is_double ? HONE_FLOAT64 : HONE_FLOAT32))
            throw Error(HONE_INVALID_ARGUMENT, std::string(name) + ": has another type; should have " +
                                                   (is_double ? "doubles" : "floats"));
        if (size >= 0 && array.size != static_cast<std::size_t>(size))
            throw wrong_size(name, array.size, static_cast<std::size_t>(size));
        return array.data;
    }

    hone_problem problem_;
    std::int64_t heads_, groups_, rows_;
};

inline hone_forward_args args_of(const Call& call, const Forward& f) {
    hone_forward_args a;
    check(hone_forward_args_init(&a, sizeof a));
    a.q = f.q.raw(), a.k = f.k.raw(), a.v = f.v.raw(), a.o = f.o.raw();
    a.sink = call.per_group("sink", f.sink);
    a.log_prior = call.per_head("log_prior", f.log_prior);
    a.shift = call.per_head("shift", f.shift);
    a.lse = call.per_row("lse", f.lse);
    a.mask = f.mask.raw();
    a.workspace = f.workspace.data(), a.workspace_bytes = f.workspace.size();
    return a;
}

inline hone_backward_args args_of(const Call& call, const Backward& b) {
    hone_backward_args a;
    check(hone_backward_args_init(&a, sizeof a));
    a.q = b.q.raw(), a.k = b.k.raw(), a.v = b.v.raw(), a.o = b.o.raw(), a.dout = b.dout.raw();
    a.sink = call.per_group("sink", b.sink);
    a.log_prior = call.per_head("log_prior", b.log_prior);
    a.shift = call.per_head("shift", b.shift);
    a.lse = call.per_row("lse", b.lse), a.dlse = call.per_row("dlse", b.dlse);
    a.dq = b.dq.raw(), a.dk = b.dk.raw(), a.dv = b.dv.raw();
    a.dsink = call.per_group("dsink", b.dsink);
    a.dlog_prior = call.per_head("dlog_prior", b.dlog_prior);
    a.dshift = call.per_head("dshift", b.dshift);
    a.mask = b.mask.raw();
    a.workspace = b.workspace.data(), a.workspace_bytes = b.workspace.size();
    return a;
}

}  // namespace detail

// Computes o (and lse). Throws Error; then nothing was written.
inline void forward(const Problem& problem, const Forward& call) {
    const detail::Call of(problem, call.q);
    const hone_forward_args args = detail::args_of(of, call);
    check(hone_forward(&of.problem(), &args));
}

// Computes the gradients whose views and arrays are not null. Throws Error; then nothing was written.
inline void backward(const Problem& problem, const Backward& call) {
    const detail::Call of(problem, call.q);
    const hone_backward_args args = detail::args_of(of, call);
    check(hone_backward(&of.problem(), &args));
}

// The bytes of workspace that the call needs.
inline std::size_t workspace_bytes(const Problem& problem, const Forward& call) {
    const detail::Call of(problem, call.q);
    const hone_forward_args args = detail::args_of(of, call);
    std::size_t bytes = 0;
    check(hone_forward_workspace(&of.problem(), &args, &bytes));
    return bytes;
}

inline std::size_t workspace_bytes(const Problem& problem, const Backward& call) {
    const detail::Call of(problem, call.q);
    const hone_backward_args args = detail::args_of(of, call);
    std::size_t bytes = 0;
    check(hone_backward_workspace(&of.problem(), &args, &bytes));
    return bytes;
}

// The activation of that name, as in activations.def; throws Error where there is none.
inline hone_activation activation(const std::string& name) {
    std::int32_t found = 0;
    check(hone_activation_by_name(name.c_str(), &found));
    return static_cast<hone_activation>(found);
}

// All of them.
inline std::vector<hone_activation> activations() {
    std::vector<hone_activation> all;
    for (std::int32_t a = 0; a < hone_activation_count(); ++a) all.push_back(static_cast<hone_activation>(a));
    return all;
}

// The names of the implementations that this machine runs, best last.
inline std::vector<std::string> available_isas() {
    std::vector<std::string> names;
    for (std::int32_t i = 0; i < hone_isa_count(); ++i)
        if (hone_isa_available(i)) names.emplace_back(hone_isa_name(i));
    return names;
}

}  // namespace hone
