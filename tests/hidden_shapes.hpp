// hidden_shapes.hpp: the part of the sweep in which keys are hidden: shifts and windows, lengths and ragged
// batches, boolean masks, alone and together. Rows that nobody sees are NaN.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/options.hpp"

namespace hone::test {

// Adds specs that are changes of one.
class Variants {
  public:
    Variants(std::vector<Spec>& specs, Spec base) : specs_(specs), base_(std::move(base)) {
        base_.nan_unseen = true;
    }
    template <class Change>
    void add(const std::string& name, Change&& change) {
        specs_.push_back(base_);
        specs_.back().name = name;
        change(specs_.back());
    }

  private:
    std::vector<Spec>& specs_;
    Spec base_;
};

inline void add_windows(std::vector<Spec>& specs) {
    constexpr std::int64_t far = std::numeric_limits<std::int64_t>::max();
    Variants square(specs, {.name = "", .query_heads = 2, .queries = 67, .keys = 71, .key_dim = 9});
    const auto window = [&](const char* name, Mask mask, std::int64_t left, std::int64_t right) {
        square.add(std::string("window_") + name, [&](Spec& s) { s.mask = mask, s.window = {left, right}; });
    };
    window("of_one_key", Mask::none, 0, 0);
    window("before", Mask::none, 5, 0);
    window("after", Mask::none, 0, 6);
    window("around", Mask::none, 16, 15);
    window("without_left", Mask::none, -1, 3);
    window("without_right", Mask::none, 3, -1);
    window("without_bounds", Mask::none, -1, -1);
    window("without_end", Mask::none, far, far);
    window("causal", Mask::top_left, 17, -1);
    window("causal_of_one_key", Mask::bottom_right, 0, 4);
    window("bottom_right", Mask::bottom_right, 32, 0);
    specs.back().quick = true;

    const auto shift = [&](const char* name, std::int64_t by, auto&& change) {
        square.add(std::string("shift_") + name, [&](Spec& s) {
            s.mask = Mask::top_left;
            s.diagonal_shift = by;
            change(s);
        });
    };
    const auto nothing = [](Spec&) {};
    shift("one", 1, nothing);
    shift("back", -19, nothing);
    shift("beyond_all", 71, nothing);
    shift("before_all", -67, nothing);
    shift("largest", far, nothing);
    shift("smallest", -far - 1, nothing);
    shift("bottom_right", -3, [](Spec& s) { s.mask = Mask::bottom_right, s.quick = true; });
    shift("window", 11, [](Spec& s) { s.window = {7, 2}; });
    shift("window_at_the_ends", far, [](Spec& s) { s.mask = Mask::none, s.window = {far - 20, 0}; });

    Variants blocks(specs, {.name = "", .queries = 311, .keys = 433, .key_dim = 4, .value_dim = 5});
    blocks.add("window_in_blocks", [](Spec& s) { s.mask = Mask::bottom_right, s.window = {64, -1}; });
    blocks.add("window_across_blocks", [](Spec& s) { s.bottom_right = true, s.window = {193, 100}; });
    blocks.add("window_in_tall_blocks", [](Spec& s) { s.queries = 433, s.keys = 311, s.window = {9, 40}; });
    Variants decode(specs,
                    {.name = "", .batch = 2, .query_heads = 7, .queries = 1, .keys = 1200, .key_dim = 16});
    decode.add("window_in_decoding", [](Spec& s) { s.mask = Mask::bottom_right, s.window = {511, -1}; });
    decode.add("window_in_splits", [](Spec& s) {
        s.queries = 3, s.bottom_right = true, s.window = {1000, 0};
    });
}

// Grouped heads, whose numbers divide no block.
inline Spec batch_of(std::int64_t batch, std::int64_t queries, std::int64_t keys) {
    return {.name = "",
            .batch = batch,
            .query_heads = 10,
            .kv_heads = 2,
            .queries = queries,
            .keys = keys,
            .key_dim = 7,
            .value_dim = 12};
}

inline void add_lengths(std::vector<Spec>& specs) {
    Variants small(specs, batch_of(4, 17, 23));
    small.add("key_lengths", [](Spec& s) { s.key_lengths = {23, 0, 1, 17}, s.quick = true; });
    small.add("query_lengths", [](Spec& s) { s.query_lengths = {17, 1, 0, 5}, s.int32 = true; });
    small.add("lengths_of_nothing", [](Spec& s) { s.query_lengths = s.key_lengths = {0, 0, 0, 0}; });
    small.add("lengths_of_nothing_with_a_sink", [](Spec& s) {
        s.key_lengths = {0, 0, 0, 0};
        s.sink = s.dlse = true;
    });
    small.add("lengths_causal", [](Spec& s) {
        s.query_lengths = {17, 12, 3, 1}, s.key_lengths = {5, 23, 3, 0};
        s.mask = Mask::bottom_right, s.int32 = s.quick = true;
    });
    small.add("lengths_with_a_window", [](Spec& s) {
        s.query_lengths = {16, 8, 0, 17}, s.key_lengths = {23, 8, 9, 1};
        s.bottom_right = true, s.diagonal_shift = -1, s.window = {4, 2};
    });
    small.add("lengths_broadcast", [](Spec& s) {
        s.query_lengths = {17, 2, 0, 9}, s.key_lengths = {1, 23, 8, 16};
        s.share_q = {.rows = true}, s.share_k = {.batch = true}, s.share_v = {.batch = true, .heads = true};
        s.share_dout = {.batch = true};
    });
    small.add("lengths_with_full_gradients", [](Spec& s) {
        s.query_lengths = {17, 2, 0, 9}, s.key_lengths = {1, 23, 8, 16};
        s.share_q = s.share_k = s.share_v = s.keep_q = s.keep_k = s.keep_v = {true, true, true};
    });
    small.add("lengths_bnhd_padded", [](Spec& s) {
        s.query_lengths = {3, 17, 8, 0}, s.key_lengths = {4, 23, 0, 11};
        s.bnhd = true, s.padding = 3, s.offset = 1, s.sink = s.dlse = true;
    });
    Variants large(specs, batch_of(3, 193, 301));
    large.add("lengths_in_blocks", [](Spec& s) {
        s.kv_heads = 1, s.query_heads = 3;
        s.query_lengths = {193, 97, 1}, s.key_lengths = {17, 301, 256};
        s.mask = Mask::bottom_right;
    });
    // Few rows, whose first window ends within a block of 512 keys that the others begin behind.
    Variants few(specs, {.name = "", .queries = 16, .keys = 1024});
    few.add("mask_and_window_at_the_end_of_a_block", [](Spec& s) {
        s.window = {2, 2}, s.diagonal_shift = 508, s.quick = true;
        s.bool_mask.shows = Shows::some_keys;
    });
    Variants decode(specs, batch_of(5, 1, 1100));
    decode.add("lengths_of_caches", [](Spec& s) {
        s.key_lengths = {1100, 193, 1, 0, 1024}, s.v_is_k = false;
    });
    decode.add("lengths_of_caches_with_a_window", [](Spec& s) {
        s.key_lengths = {1100, 193, 1, 0, 1024};
        s.mask = Mask::bottom_right, s.window = {255, -1}, s.sink = s.dlse = true;
    });
}

inline void add_ragged(std::vector<Spec>& specs) {
    Variants small(specs, batch_of(5, 17, 23));
    const auto add = [&](const char* name, auto&& change) {
        small.add(std::string("ragged_") + name, [&](Spec& s) {
            make_queries_ragged(s, {1, 17, 0, 5, 16});
            make_keys_ragged(s, {23, 8, 7, 0, 17});
            change(s);
        });
    };
    add("both", [](Spec& s) { s.quick = true; });
    add("queries", [](Spec& s) { s.key_offsets.clear(); });
    add("keys", [](Spec& s) { s.query_offsets.clear(), s.int32 = true; });
    add("with_gaps", [](Spec& s) {
        make_queries_ragged(s, {17, 0, 0, 3, 1}, {4, 2});
        make_keys_ragged(s, {0, 23, 5, 5, 2}, {1, 7});
        s.int32 = s.quick = true, s.sink = s.dlse = true;
    });
    add("empty", [](Spec& s) {
        make_queries_ragged(s, {0, 0, 0, 0, 0}, {3, 2});
        make_keys_ragged(s, {0, 0, 0, 0, 0}, {1, 1});
    });
    add("queries_padded_keys", [](Spec& s) {
        s.key_offsets.clear();
        s.key_lengths = {4, 23, 5, 17, 0}, s.mask = Mask::bottom_right;
    });
    add("causal", [](Spec& s) { s.mask = Mask::bottom_right; });
    add("causal_top_left", [](Spec& s) { s.mask = Mask::top_left, s.diagonal_shift = 2; });
    add("window", [](Spec& s) { s.window = {3, 3}, s.bottom_right = true; });
    add("with_lengths", [](Spec& s) {
        s.query_lengths = {0, 16, 0, 5, 3}, s.key_lengths = {23, 1, 0, 0, 16};
        s.mask = Mask::bottom_right;
    });
    add("bnhd_padded", [](Spec& s) { s.bnhd = true, s.padding = 5, s.offset = 3; });
    add("broadcast", [](Spec& s) {
        s.share_q = {.heads = true}, s.share_k = {.rows = true}, s.share_v = {.heads = true};
    });
    add("rows_broadcast", [](Spec& s) {
        s.share_q = {.rows = true}, s.share_v = {.heads = true, .rows = true};
        s.share_dout = {.heads = true, .rows = true};
    });
    add("v_is_k", [](Spec& s) { s.v_is_k = true, s.value_dim = s.key_dim; });
    add("groups_of_5_log_prior", [](Spec& s) { s.group_heads = 5, s.sink = s.log_prior = s.dlse = true; });
    add("shift", [](Spec& s) { s.shift = true; });

    Variants large(specs, batch_of(4, 193, 301));
    large.add("ragged_in_blocks", [](Spec& s) {
        s.kv_heads = 1, s.query_heads = 5;
        make_queries_ragged(s, {193, 1, 17, 97});
        make_keys_ragged(s, {17, 301, 193, 256});
        s.mask = Mask::bottom_right;
    });
    large.add("ragged_decoding", [](Spec& s) {
        s.queries = 2, s.keys = 1037;
        make_queries_ragged(s, {1, 2, 1, 1});
        make_keys_ragged(s, {1037, 17, 700, 1}, {1, 1});
        s.mask = Mask::bottom_right;
    });
}

inline void add_boolean_masks(std::vector<Spec>& specs) {
    Variants small(specs, batch_of(2, 37, 41));
    for (const Shows shows :
         {Shows::everything, Shows::nothing, Shows::most_keys, Shows::some_keys, Shows::few_keys,
          Shows::one_key, Shows::documents, Shows::some_rows, Shows::some_heads, Shows::a_range}) {
        small.add(std::string("mask_") + name_of(shows), [&](Spec& s) {
            s.bool_mask.shows = shows;
            s.quick = shows == Shows::some_keys;
        });
        small.add(std::string("mask_of_all_heads_with_sinks_") + name_of(shows), [&](Spec& s) {
            s.bool_mask = {.shows = shows, .one_head = true};
            s.sink = s.dlse = true;
            s.quick = shows == Shows::some_rows;
        });
    }
    for (int axes = 1; axes < 16; ++axes)
        small.add("mask_broadcast_" + std::to_string(axes), [&](Spec& s) {
            s.bool_mask = {.shows = Shows::some_keys,
                           .one_batch = (axes & 1) != 0,
                           .one_head = (axes & 2) != 0,
                           .one_query = (axes & 4) != 0,
                           .one_key = (axes & 8) != 0,
                           .by_stride = axes % 3 == 0};
        });
    const auto add = [&](const char* name, auto&& change) {
        small.add(std::string("mask_") + name, [&](Spec& s) {
            s.bool_mask.shows = Shows::most_keys;
            change(s);
        });
    };
    add("transposed", [](Spec& s) { s.bool_mask.order = 1, s.quick = true; });
    add("heads_innermost", [](Spec& s) { s.bool_mask.order = 3; });
    add("backwards", [](Spec& s) { s.bool_mask.negative = 15, s.bool_mask.padding = 3; });
    add("padded", [](Spec& s) { s.bool_mask.padding = 7; });
    add("causal", [](Spec& s) { s.mask = Mask::bottom_right, s.shift = true; });
    add("window", [](Spec& s) { s.window = {9, 3}, s.diagonal_shift = 2; });
    add("groups_of_5", [](Spec& s) { s.group_heads = 5, s.log_prior = s.sink = s.dlse = true; });
    add("groups_with_hidden_heads", [](Spec& s) {
        s.bool_mask.shows = Shows::some_heads;
        s.group_heads = 5, s.log_prior = s.dlse = true;
    });
    add("broadcast_inputs", [](Spec& s) {
        s.share_q = {.batch = true, .heads = true}, s.share_k = {.rows = true}, s.share_v = {.heads = true};
    });
    add("of_lengths", [](Spec& s) { s.query_lengths = {9, 37}, s.key_lengths = {41, 16}; });
    add("of_a_ragged_batch", [](Spec& s) {
        make_queries_ragged(s, {37, 5}, {1, 1});
        make_keys_ragged(s, {3, 41}, {2, 0});
        s.mask = Mask::bottom_right, s.bool_mask.one_head = true, s.quick = true;
    });

    Variants large(specs, {.name = "", .query_heads = 3, .queries = 199, .keys = 555, .key_dim = 5});
    large.add("mask_in_blocks", [](Spec& s) { s.bool_mask.shows = Shows::documents; });
    large.add("mask_of_keys_in_blocks",
              [](Spec& s) { s.bool_mask = {.shows = Shows::few_keys, .one_query = true}; });
    large.add("mask_in_splits", [](Spec& s) {
        s.queries = 2, s.keys = 1501;
        s.bool_mask.shows = Shows::some_keys;
    });
}

}  // namespace hone::test
