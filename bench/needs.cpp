// needs.cpp: how each word of hone/implementation.h shows in the structs of hone.h.
#include "needs.hpp"

#include <cstdint>
#include <hone/hone.hpp>
#include <initializer_list>

namespace hone::bench {
namespace {

struct Axis {
    std::int64_t extent, stride;
};

struct Layout {
    bool broadcast = false, strided = false;
};

// Axes come innermost first, with the stride of a row-major first axis. One that is broadcast is as if it had
// one entry. Where there is no element, strides mean nothing.
Layout layout_of(std::initializer_list<Axis> axes, std::int64_t row_major) {
    Layout layout;
    for (const Axis& axis : axes)
        if (axis.extent == 0) return layout;
    for (const Axis& axis : axes) {
        if (axis.extent <= 1) continue;
        if (axis.stride == 0) {
            layout.broadcast = true;
        } else {
            layout.strided |= axis.stride != row_major;
            row_major *= axis.extent;
        }
    }
    return layout;
}

// Collects what a call needs. The words come in the order of hone/implementation.h, with the activation's
// after the type's.
class Needs {
  public:
    Needs(const hone_problem& problem, const char* direction)
        : problem_(problem), info_(describe(static_cast<hone_activation>(problem.activation))) {
        words_ = {direction, problem.dtype == HONE_FLOAT64 ? "f64" : "f32", info_.name};
    }

    // A tensor with a row for each query; one with a row for each key.
    void queries(const hone_const_tensor& t, std::int64_t features) {
        const bool ragged = problem_.flags & HONE_RAGGED_QUERIES;
        add_tensor(t, problem_.query_heads, ragged ? problem_.total_queries : problem_.queries, features,
                   ragged ? 1 : problem_.batch);
    }
    void keys(const hone_const_tensor& t, std::int64_t features) {
        const bool ragged = problem_.flags & HONE_RAGGED_KEYS;
        add_tensor(t, problem_.kv_heads, ragged ? problem_.total_keys : problem_.keys, features,
                   ragged ? 1 : problem_.batch);
    }
    // A mask may be broadcast whether the tensors may or not.
    void mask(const hone_const_scores& m) {
        mask_ = m.data;
        if (!m.data) return;
        const auto extent = [](std::int64_t own, std::int64_t of_problem) {
            return own == 0 ? of_problem : own;
        };
        const Layout layout = layout_of({{extent(m.keys, problem_.keys), m.key_stride},
                                         {extent(m.queries, problem_.queries), m.query_stride},
                                         {extent(m.heads, problem_.query_heads), m.head_stride},
                                         {extent(m.batch, problem_.batch), m.batch_stride}},
                                        1);
        layout_.strided |= layout.strided;
    }
    void lse(const void* lse_or_its_gradient) { lse_ = lse_or_its_gradient; }
    void parameters(std::initializer_list<const void*> arrays) {
        for (const void* array : arrays) parameters_ |= array != nullptr;
    }
    void wanted(bool gradient) { subset_ |= !gradient; }

    std::vector<std::string> words() {
        const hone_problem& p = problem_;
        const bool group = info_.joint && p.group_heads != 0 && p.group_heads != p.query_heads;
        const bool n = info_.takes_softmax_n && p.softmax_n != 0 && p.softmax_n != 1;
        const bool weight = info_.takes_weight && p.weight != 0;
        add("empty", p.batch == 0 || p.query_heads == 0 || p.queries == 0 || p.keys == 0);
        add("grouped", p.query_heads > p.kv_heads);
        add("value_dim", p.value_dim != p.key_dim);
        add("strides", layout_.strided);
        add("broadcast", layout_.broadcast);
        add("causal", p.flags & HONE_CAUSAL);
        add("window", p.flags & HONE_WINDOW);
        add("mask", mask_);
        add("lengths", p.flags & (HONE_QUERY_LENGTHS | HONE_KEY_LENGTHS));
        add("ragged", p.flags & (HONE_RAGGED_QUERIES | HONE_RAGGED_KEYS));
        add("lse", lse_);
        add("parameters", parameters_ || group || n || weight);
        add("subset", subset_);
        return words_;
    }

  private:
    void add(const char* word, bool needed) {
        if (needed) words_.push_back(word);
    }
    void add_tensor(const hone_const_tensor& t, std::int64_t heads, std::int64_t rows, std::int64_t features,
                    std::int64_t batch) {
        if (!t.data) return;
        const Layout layout =
            layout_of({{rows, t.row_stride}, {heads, t.head_stride}, {batch, t.batch_stride}}, features);
        layout_.strided |= layout.strided;
        layout_.broadcast |= layout.broadcast;
    }

    const hone_problem& problem_;
    const hone_activation_info info_;
    std::vector<std::string> words_;
    Layout layout_;
    bool mask_ = false, lse_ = false, parameters_ = false, subset_ = false;
};

}  // namespace

std::vector<std::string> known_words() {
    std::vector<std::string> words = {"forward",    "backward", "f32",        "f64",       "empty",
                                      "grouped",    "strides",  "value_dim",  "broadcast", "causal",
                                      "window",     "mask",     "lengths",    "ragged",    "lse",
                                      "parameters", "subset",   "activations"};
    for (int a = 0; a < hone_activation_count(); ++a)
        words.push_back(describe(static_cast<hone_activation>(a)).name);
    return words;
}

std::vector<std::string> needs(const hone_problem& problem, const hone_forward_args& args) {
    Needs needs(problem, "forward");
    needs.queries(args.q, problem.key_dim);
    needs.keys(args.k, problem.key_dim);
    needs.keys(args.v, problem.value_dim);
    needs.queries(hone_const(args.o), problem.value_dim);
    needs.mask(args.mask);
    needs.lse(args.lse);
    needs.parameters({args.sink, args.log_prior, args.shift});
    return needs.words();
}

std::vector<std::string> needs(const hone_problem& problem, const hone_backward_args& args) {
    Needs needs(problem, "backward");
    for (const hone_const_tensor& t : {args.q, hone_const(args.dq)}) needs.queries(t, problem.key_dim);
    for (const hone_const_tensor& t : {args.o, args.dout}) needs.queries(t, problem.value_dim);
    for (const hone_const_tensor& t : {args.k, hone_const(args.dk)}) needs.keys(t, problem.key_dim);
    for (const hone_const_tensor& t : {args.v, hone_const(args.dv)}) needs.keys(t, problem.value_dim);
    needs.mask(args.mask);
    needs.lse(args.dlse);
    needs.parameters({args.sink, args.log_prior, args.shift, args.dsink, args.dlog_prior, args.dshift});
    needs.wanted(args.dq.data && args.dk.data && args.dv.data);
    needs.wanted(!args.sink || args.dsink);
    needs.wanted(!args.log_prior || args.dlog_prior);
    needs.wanted(!args.shift || args.dshift);
    return needs.words();
}

}  // namespace hone::bench
