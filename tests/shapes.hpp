// shapes.hpp: the shapes, layouts and options that the sweep over kernels runs through.
#pragma once

#include <string>
#include <vector>

#include "tests/effort.hpp"
#include "tests/hidden_shapes.hpp"
#include "tests/option_shapes.hpp"
#include "tests/spec.hpp"

namespace hone::test {

// Extents around vector widths, register tiles and blocks of rows and keys.
inline void add_extents(std::vector<Spec>& specs) {
    specs.push_back({.name = "single", .queries = 1, .keys = 1, .key_dim = 1, .value_dim = 1});
    specs.push_back({.name = "prime",
                     .batch = 2,
                     .query_heads = 3,
                     .kv_heads = 3,
                     .queries = 37,
                     .keys = 53,
                     .key_dim = 17,
                     .value_dim = 13,
                     .quick = true});
    for (const int n : {1,  2,  3,  4,  5,   8,   9,   15,  16,  17,  31,  32,  33,  47,  48, 49,
                        63, 64, 65, 97, 128, 191, 192, 193, 255, 256, 257, 288, 299, 320, 321})
        specs.push_back({.name = "keys_" + std::to_string(n), .queries = 4, .keys = n, .key_dim = 6});
    for (const int n : {2,  3,  5,   6,   7,   8,   11,  12,  13,  23,  24,  25,  47,  64,  65, 95,
                        96, 97, 127, 128, 143, 144, 145, 191, 192, 193, 199, 257, 287, 288, 289})
        specs.push_back({.name = "queries_" + std::to_string(n), .queries = n, .keys = 11, .key_dim = 6});
    for (const int n : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 64, 65, 80, 127, 128, 129, 512}) {
        specs.push_back({.name = "dim_" + std::to_string(n), .keys = 19, .key_dim = n, .value_dim = n});
        specs.push_back({.name = "key_dim_" + std::to_string(n), .keys = 19, .key_dim = n, .value_dim = 5});
        specs.push_back({.name = "value_dim_" + std::to_string(n), .keys = 19, .key_dim = 5, .value_dim = n});
    }
    specs.push_back({.name = "several_blocks", .queries = 433, .keys = 641, .key_dim = 5, .value_dim = 7});
    specs.push_back({.name = "one_query_many_keys", .queries = 1, .keys = 2051, .key_dim = 16});
    specs.push_back({.name = "rows_in_splits", .queries = 67, .keys = 2300, .key_dim = 20, .value_dim = 12});
    specs.push_back({.name = "many_queries_one_key", .queries = 1031, .keys = 1, .key_dim = 16});
    specs.push_back(
        {.name = "tall_64", .queries = 201, .keys = 67, .key_dim = 64, .value_dim = 64, .quick = true});
    // Whole panels of features in rows near each other, which are read where they lie: v in forward; in
    // backward rows one after the other or, where heads share a kv head or lie between, copied together.
    for (const bool bnhd : {false, true})
        for (const int heads : {5, 10})
            for (const int dim : {16, 32})
                specs.push_back({.name = "near_" + std::to_string(heads) + "_" + std::to_string(dim) +
                                         (bnhd ? "_bnhd" : ""),
                                 .query_heads = heads,
                                 .kv_heads = 5,
                                 .queries = 31,
                                 .keys = 37,
                                 .key_dim = dim,
                                 .value_dim = 2 * dim,
                                 .bnhd = bnhd,
                                 .quick = heads == 5 && dim == 16});
    specs.push_back({.name = "wide_80", .queries = 67, .keys = 301, .key_dim = 80, .value_dim = 80});
    specs.push_back({.name = "no_key", .batch = 2, .queries = 3, .keys = 0});
}

inline void add_masks(std::vector<Spec>& specs) {
    const auto both = [&](Spec spec) {
        const std::string shape = "_" + spec.name;
        spec.mask = Mask::top_left;
        spec.name = "top_left" + shape;
        specs.push_back(spec);
        spec.mask = Mask::bottom_right;
        spec.name = "bottom_right" + shape;
        specs.push_back(spec);
    };
    both({.name = "square", .queries = 33, .keys = 33});
    both({.name = "wide", .queries = 17, .keys = 49});
    both({.name = "tall", .queries = 49, .keys = 17, .quick = true});
    both({.name = "one_query", .queries = 1, .keys = 23});
    both({.name = "one_key", .queries = 23, .keys = 1});
    both({.name = "blocks", .queries = 311, .keys = 433, .key_dim = 4, .value_dim = 4});
    both({.name = "near_blocks", .queries = 67, .keys = 555, .key_dim = 8, .value_dim = 32});
    both({.name = "tall_blocks", .queries = 433, .keys = 311, .key_dim = 4, .value_dim = 4});
    both({.name = "heads",
          .batch = 2,
          .query_heads = 6,
          .kv_heads = 2,
          .queries = 71,
          .keys = 89,
          .key_dim = 16,
          .value_dim = 24});
    both({.name = "few_rows_in_splits",
          .query_heads = 3,
          .queries = 5,
          .keys = 2100,
          .key_dim = 20,
          .value_dim = 9});
    both({.name = "rows_in_splits", .queries = 83, .keys = 1100});
    both({.name = "tall_heads", .query_heads = 5, .queries = 83, .keys = 41});
}

inline Spec grouped_heads() {
    return {.name = "gqa",
            .batch = 2,
            .query_heads = 6,
            .kv_heads = 2,
            .queries = 37,
            .keys = 41,
            .key_dim = 9,
            .value_dim = 12};
}

inline void add_heads(std::vector<Spec>& specs) {
    specs.push_back(grouped_heads());
    specs.push_back({.name = "mqa", .batch = 2, .query_heads = 5, .queries = 67, .keys = 43, .key_dim = 16});
    specs.push_back(
        {.name = "mqa_decode", .batch = 3, .query_heads = 7, .queries = 1, .keys = 331, .key_dim = 16});
}

inline void add_layouts(std::vector<Spec>& specs) {
    const auto add = [&](const char* name, bool bnhd, std::int64_t padding, std::int64_t offset,
                         bool in_quick) {
        Spec spec = grouped_heads();
        spec.name = name;
        spec.mask = Mask::bottom_right;
        spec.bnhd = bnhd;
        spec.padding = padding;
        spec.offset = offset;
        spec.quick = in_quick;
        specs.push_back(spec);
    };
    add("bnhd", true, 0, 0, false);
    add("misaligned", false, 0, 1, false);
    add("padded", false, 3, 0, false);
    add("bnhd_padded_misaligned", true, 5, 3, true);
    // Rows of zeros that do not lie together: of keys that no row sees, of rows that see no key.
    add("bnhd_padded_unseen_keys", true, 3, 1, false);
    specs.back().mask = Mask::top_left;
    specs.back().keys = 61;
    add("bnhd_padded_rows_without_keys", true, 3, 1, false);
    specs.back().queries = 97;
    specs.back().keys = 23;
}

inline void add_broadcasts(std::vector<Spec>& specs) {
    // One learned query per head, the tokens of a sentence as keys and values.
    specs.push_back({.name = "single_location",
                     .batch = 5,
                     .query_heads = 4,
                     .queries = 1,
                     .keys = 7,
                     .key_dim = 33,
                     .value_dim = 33,
                     .share_q = {.batch = true},
                     .v_is_k = true,
                     .quick = true});
    // As its training has it: long tokens, one gradient for what all heads give together.
    for (const int heads : {2, 7, 11})
        specs.push_back({.name = "single_location_" + std::to_string(heads),
                         .batch = 3,
                         .query_heads = heads,
                         .queries = 1,
                         .keys = 22,
                         .key_dim = 301,
                         .value_dim = 301,
                         .share_q = {.batch = true},
                         .share_dout = {.heads = true},
                         .v_is_k = true,
                         .gradients = WITH_DQ | WITH_PARAMETERS});
    const Spec base = {.name = "", .batch = 3, .query_heads = 4, .kv_heads = 2, .queries = 19, .keys = 23};
    const auto add = [&](const char* name, Shared q, Shared k, Shared v, Shared dout, bool sum) {
        Spec spec = base;
        spec.name = name;
        spec.share_q = q;
        spec.share_k = k;
        spec.share_v = v;
        spec.share_dout = dout;
        if (!sum) spec.keep_q = spec.keep_k = spec.keep_v = {true, true, true};
        specs.push_back(spec);
    };
    const Shared batch = {.batch = true}, heads = {.heads = true}, rows = {.rows = true};
    const Shared all = {true, true, true}, none = {};
    add("kv_shared_by_batch", none, batch, batch, none, true);
    add("kv_shared_by_heads", none, heads, heads, none, true);
    add("k_shared_by_batch_v_by_heads", none, batch, heads, none, true);
    add("q_shared_by_heads", heads, none, none, none, true);
    add("q_shared_by_rows", rows, none, none, none, true);
    add("kv_shared_by_rows", none, rows, rows, none, true);
    add("q_shared_by_all", all, none, none, none, true);
    add("kv_shared_by_all", none, all, all, all, true);
    add("shared_with_full_gradients", batch, heads, batch, none, false);
    add("dout_shared_by_all", none, none, none, all, true);
}

// The whole sweep: some hundred specs, of which HONE_TEST_QUICK keeps a few.
inline std::vector<Spec> all_specs() {
    std::vector<Spec> specs;
    add_extents(specs);
    add_masks(specs);
    add_heads(specs);
    add_layouts(specs);
    add_broadcasts(specs);
    add_parameters(specs);
    add_lse(specs);
    add_scores(specs);
    add_gradients(specs);
    add_windows(specs);
    add_lengths(specs);
    add_ragged(specs);
    add_boolean_masks(specs);
    if (quick()) std::erase_if(specs, [](const Spec& spec) { return !spec.quick; });
    return specs;
}

}  // namespace hone::test
