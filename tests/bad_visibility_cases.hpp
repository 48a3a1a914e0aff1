// bad_visibility_cases.hpp: wrong windows, lengths, offsets and masks, as bad_input_cases.hpp has them. The
// right call has a batch of 2, 4 heads on 2, 5 queries and 7 keys.
#pragma once

#include "tests/bad_input_cases.hpp"

namespace hone::test {

// A flag and what it announces: a change to a right call that is right, too, with these values.
template <class Integer>
hone_const_integers integers_at(const Integer* values) {
    return {values, sizeof(Integer) == 4 ? HONE_INT32 : HONE_INT64, 0};
}

template <std::int64_t... values>
void set_key_lengths(Arguments& a) {
    static constexpr std::int64_t array[] = {values...};
    a.problem.flags |= HONE_KEY_LENGTHS;
    a.problem.key_lengths = integers_at(array);
}
template <std::int32_t... values>
void set_query_lengths(Arguments& a) {
    static constexpr std::int32_t array[] = {values...};
    a.problem.flags |= HONE_QUERY_LENGTHS;
    a.problem.query_lengths = integers_at(array);
}
template <std::int32_t... values>
void set_key_offsets(Arguments& a) {
    static constexpr std::int32_t array[] = {values...};
    a.problem.flags |= HONE_RAGGED_KEYS, a.problem.total_keys = 7;
    a.problem.key_offsets = integers_at(array);
}
template <std::int64_t... values>
void set_query_offsets(Arguments& a) {
    static constexpr std::int64_t array[] = {values...};
    a.problem.flags |= HONE_RAGGED_QUERIES, a.problem.total_queries = 5;
    a.problem.query_offsets = integers_at(array);
}

inline void set_mask(Arguments& a, const hone_const_scores& mask) {
    a.forward.mask = a.backward.mask = mask;
}
inline void set_mask(Arguments& a, std::int64_t batch, std::int64_t heads, std::int64_t queries,
                     std::int64_t keys) {
    static const unsigned char bytes[2 * 4 * 5 * 7] = {1};
    set_mask(a, hone_const_bhqk(bytes, batch, heads, queries, keys));
}

inline const std::vector<Bad>& bad_visibility() {
    static const std::vector<Bad> list = {
        {"window_left_below_no_bound", "window_left",
         [](auto& a) { a.problem.flags = HONE_WINDOW, a.problem.window_left = -2; }},
        {"window_right_smallest", "window_right",
         [](auto& a) { a.problem.flags = HONE_WINDOW, a.problem.window_right = INT64_MIN; }},
        {"window_without_flag", "window_right", [](auto& a) { a.problem.window_right = 3; }},
        {"key_lengths_beyond", "key_lengths\\[1", [](auto& a) { set_key_lengths<7, 8>(a); }},
        {"key_lengths_negative", "key_lengths\\[0", [](auto& a) { set_key_lengths<-1, 7>(a); }},
        {"query_lengths_beyond", "query_lengths\\[0", [](auto& a) { set_query_lengths<6, 5>(a); }},
        {"query_lengths_negative", "query_lengths\\[1", [](auto& a) { set_query_lengths<5, -5>(a); }},
        {"query_lengths_missing", "query_lengths", [](auto& a) { a.problem.flags |= HONE_QUERY_LENGTHS; }},
        {"key_lengths_without_flag", "key_lengths",
         [](auto& a) { set_key_lengths<1, 1>(a), a.problem.flags = 0; }},
        {"key_lengths_of_floats", "key_lengths.dtype",
         [](auto& a) { set_key_lengths<1, 1>(a), a.problem.key_lengths.dtype = HONE_FLOAT32; }},
        {"query_lengths_reserved", "query_lengths.reserved",
         [](auto& a) { set_query_lengths<1, 1>(a), a.problem.query_lengths.reserved = 1; }, BOTH,
         HONE_SOFTMAX, HONE_UNSUPPORTED},
        {"query_offsets_fall", "query_offsets\\[2", [](auto& a) { set_query_offsets<0, 3, 2>(a); }},
        {"query_offsets_past_the_tensor", "query_offsets\\[2",
         [](auto& a) { set_query_offsets<0, 3, 6>(a); }},
        {"query_offsets_begin_negative", "query_offsets\\[0",
         [](auto& a) { set_query_offsets<-1, 3, 5>(a); }},
        {"query_offsets_begin_past_the_tensor", "query_offsets\\[0",
         [](auto& a) { set_query_offsets<6, 6, 6>(a); }},
        {"query_offsets_missing", "query_offsets", [](auto& a) { a.problem.flags |= HONE_RAGGED_QUERIES; }},
        {"query_offsets_without_flag", "query_offsets",
         [](auto& a) { set_query_offsets<0, 1, 2>(a), a.problem.flags = 0; }},
        {"key_offsets_fall", "key_offsets\\[1", [](auto& a) { set_key_offsets<3, 2, 7>(a); }},
        {"key_offsets_past_the_tensor", "key_offsets\\[1", [](auto& a) { set_key_offsets<0, 8, 8>(a); }},
        {"key_offsets_of_an_entry_longer_than_keys", "keys",
         [](auto& a) { set_key_offsets<0, 7, 7>(a), a.problem.keys = 6; }},
        {"query_offsets_of_an_entry_longer_than_queries", "queries",
         [](auto& a) { set_query_offsets<0, 1, 5>(a), a.problem.queries = 3; }},
        {"key_lengths_beyond_a_segment", "key_lengths\\[1",
         [](auto& a) { set_key_offsets<0, 4, 7>(a), set_key_lengths<4, 4>(a); }},
        {"total_queries_negative", "total_queries",
         [](auto& a) { set_query_offsets<0, 0, 0>(a), a.problem.total_queries = -1; }},
        {"total_keys_largest", "total_keys",
         [](auto& a) { set_key_offsets<0, 3, 7>(a), a.problem.total_keys = INT64_MAX; }},
        {"mask_batch_3", "mask.batch", [](auto& a) { set_mask(a, 3, 1, 5, 7); }},
        {"mask_heads_of_kv", "mask.heads", [](auto& a) { set_mask(a, 1, 2, 5, 7); }},
        {"mask_queries_fewer", "mask.queries", [](auto& a) { set_mask(a, 1, 1, 4, 7); }},
        {"mask_keys_more", "mask.keys", [](auto& a) { set_mask(a, 1, 1, 1, 8); }},
        {"mask_keys_negative", "mask.keys", [](auto& a) { set_mask(a, 1, 1, 1, -7); }},
        {"mask_of_floats", "mask.dtype",
         [](auto& a) {
             set_mask(a, 1, 1, 5, 7);
             a.forward.mask.dtype = a.backward.mask.dtype = HONE_FLOAT32;
         }},
        {"mask_reserved", "mask.reserved",
         [](auto& a) {
             set_mask(a, 1, 1, 5, 7);
             a.forward.mask.reserved[3] = a.backward.mask.reserved[0] = 1;
         },
         BOTH, HONE_SOFTMAX, HONE_UNSUPPORTED},
        {"mask_stride_overflows", "mask",
         [](auto& a) {
             set_mask(a, 1, 1, 5, 7);
             a.forward.mask.query_stride = a.backward.mask.query_stride = INT64_MAX;
         }},
        {"total_keys_without_flag", "total_keys", [](auto& a) { a.problem.total_keys = 7; }},
        {"total_queries_without_flag", "total_queries", [](auto& a) { a.problem.total_queries = 5; }},
        {"key_lengths_in_the_workspace", "key_lengths",
         [](auto& a) {
             static std::int64_t room[1 << 16];
             room[0] = room[1] = 1;
             a.problem.flags |= HONE_KEY_LENGTHS;
             a.problem.key_lengths = integers_at(room);
             a.forward.workspace = a.backward.workspace = room;
             a.forward.workspace_bytes = a.backward.workspace_bytes = sizeof room;
         }},
        {"mask_is_o", "mask", [](auto& a) { set_mask(a, hone_const_bhqk(a.forward.o.data, 1, 1, 5, 7)); },
         FORWARD},
        {"mask_is_dk", "mask", [](auto& a) { set_mask(a, hone_const_bhqk(a.backward.dk.data, 1, 1, 5, 7)); },
         BACKWARD},
    };
    return list;
}

}  // namespace hone::test
