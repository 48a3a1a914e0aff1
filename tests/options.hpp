// options.hpp: the description of a call: its shape, layout and options.
#pragma once

#include <cstdint>
#include <hone/hone.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/bool_mask.hpp"
#include "tests/problem.hpp"

namespace hone::test {

// Axes over which a tensor is broadcast.
struct Shared {
    bool batch = false, heads = false, rows = false;
};

// A query sees the keys from so many before its diagonal to so many after it; -1: no bound.
struct KeyWindow {
    std::int64_t left = -1, right = -1;
};

enum Gradients : unsigned { WITH_DQ = 1, WITH_DK = 2, WITH_DV = 4, WITH_PARAMETERS = 8, ALL_GRADIENTS = 15 };

struct Spec {
    std::string name;
    std::int64_t batch = 1, query_heads = 1, kv_heads = 1, queries = 5, keys = 7, key_dim = 8, value_dim = 8;
    // Causality, and its alignment; bottom_right: without causality, the alignment of windows and of shifts.
    Mask mask = Mask::none;
    bool bottom_right = false;
    std::int64_t diagonal_shift = 0;
    std::optional<KeyWindow> window = {};
    BoolMask bool_mask = {};
    // Of each batch entry; none where all have all of them. Offsets make them ragged.
    std::vector<std::int64_t> query_lengths = {}, key_lengths = {};
    std::vector<std::int64_t> query_offsets = {}, key_offsets = {};
    std::int64_t total_queries = 0, total_keys = 0;  // of ragged ones
    bool int32 = false;                              // the type of lengths and offsets
    bool nan_unseen = false;  // rows of q, k, v and dout that take no part in any result are NaN

    bool bnhd = false;
    std::int64_t padding = 0, offset = 0;  // as in Layout
    bool mixed = false;                    // instead, each tensor has a layout of its own, drawn at random
    Shared share_q = {}, share_k = {}, share_v = {}, share_dout = {};
    // The gradient of a shared input has a stride of 0 there too, but on these axes: one for each use.
    Shared keep_q = {}, keep_k = {}, keep_v = {};
    bool v_is_k = false;

    bool sink = false, log_prior = false, shift = false, dlse = false;  // parameters given
    bool lse = true;                                                    // forward returns it
    std::int64_t group_heads = 0;
    double softmax_n = 1, scale = 0, weight = 0;
    unsigned gradients = ALL_GRADIENTS;
    double amplitude = 1;                                  // of q: scores of the order of amplitude
    double size_v = 1, size_dout = 1, size_parameter = 1;  // of the others
    bool grid = true;    // scores are kept away from 0 where a slope may jump there
    bool quick = false;  // part of the reduced sweep
};

// Whether the activation takes what the spec gives.
inline bool applies(const Spec& spec, const hone_activation_info& info) {
    return (!spec.sink || info.takes_sink) && (!spec.log_prior || info.takes_log_prior) &&
           (!spec.shift || info.takes_shift) && (!spec.dlse || info.normalised) &&
           (spec.lse || info.normalised) && (spec.group_heads == 0 || info.joint) &&
           (spec.softmax_n == 1 || info.takes_softmax_n) && (spec.weight == 0 || info.takes_weight);
}

// Without the lengths and offsets themselves, which lie in the memory of a call.
inline hone_problem problem_of(const Spec& spec, hone_activation activation, hone_dtype dtype) {
    hone_problem p = small_problem();
    p.dtype = dtype;
    p.activation = activation;
    set_mask(p, spec.mask);
    if (spec.bottom_right) p.alignment = HONE_BOTTOM_RIGHT;
    p.diagonal_shift = spec.diagonal_shift;
    if (spec.window) p.flags |= HONE_WINDOW;
    if (spec.window) p.window_left = spec.window->left, p.window_right = spec.window->right;
    if (!spec.query_lengths.empty()) p.flags |= HONE_QUERY_LENGTHS;
    if (!spec.key_lengths.empty()) p.flags |= HONE_KEY_LENGTHS;
    if (!spec.query_offsets.empty()) p.flags |= HONE_RAGGED_QUERIES, p.total_queries = spec.total_queries;
    if (!spec.key_offsets.empty()) p.flags |= HONE_RAGGED_KEYS, p.total_keys = spec.total_keys;
    p.threads = 2;
    p.batch = spec.batch;
    p.query_heads = spec.query_heads;
    p.kv_heads = spec.kv_heads;
    p.queries = spec.queries;
    p.keys = spec.keys;
    p.key_dim = spec.key_dim;
    p.value_dim = spec.value_dim;
    p.group_heads = spec.group_heads;
    p.scale = spec.scale;
    p.softmax_n = spec.softmax_n;
    p.weight = spec.weight;
    return p;
}

// Cuts the queries, or the keys, of all entries from one row of them: entry b has so many, and so many rows
// before the first entry and after the last are of none.
struct Gaps {
    std::int64_t before = 0, after = 0;
};
inline std::vector<std::int64_t> offsets_of(const std::vector<std::int64_t>& rows, const Gaps& gaps,
                                            std::int64_t* total) {
    std::vector<std::int64_t> offsets = {gaps.before};
    for (const std::int64_t n : rows) offsets.push_back(offsets.back() + n);
    *total = offsets.back() + gaps.after;
    return offsets;
}
inline void make_queries_ragged(Spec& spec, const std::vector<std::int64_t>& rows, const Gaps& gaps = {}) {
    spec.query_offsets = offsets_of(rows, gaps, &spec.total_queries);
}
inline void make_keys_ragged(Spec& spec, const std::vector<std::int64_t>& rows, const Gaps& gaps = {}) {
    spec.key_offsets = offsets_of(rows, gaps, &spec.total_keys);
}

}  // namespace hone::test
