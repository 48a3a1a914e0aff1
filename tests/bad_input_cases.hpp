// bad_input_cases.hpp: the list of wrong calls: each a change to a right one, and the word that its sentence
// must contain.
#pragma once

#include <hone/hone.h>

#include <cmath>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace hone::test {

// What a wrong call may change. Both sets of arguments are there; the call's direction says which is used.
struct Arguments {
    hone_problem problem;
    hone_forward_args forward;
    hone_backward_args backward;
    const hone_problem* problem_pointer = &problem;
    bool null_args = false;
};

enum Where : unsigned { FORWARD = 1, BACKWARD = 2, BOTH = 3 };

struct Bad {
    std::string name;
    std::string word;  // that the sentence must contain
    void (*change)(Arguments&);
    unsigned where = BOTH;
    hone_activation activation = HONE_SOFTMAX;
    hone_status status = HONE_INVALID_ARGUMENT;
};

inline void PrintTo(const Bad& bad, std::ostream* out) {
    *out << bad.name;
}

// Room for parameters that are not taken.
inline float spare[256];

inline const std::vector<Bad>& bad_problems() {
    static const std::vector<Bad> list = {
        {"problem_null", "problem", [](auto& a) { a.problem_pointer = nullptr; }},
        {"problem_size_zero", "size", [](auto& a) { a.problem.size = 0; }},
        {"problem_size_smaller", "size", [](auto& a) { a.problem.size = 120; }},
        {"problem_size_of_garbage", "size", [](auto& a) { a.problem.size = 0xcccccccccccccccc; }},
        {"problem_reserved", "reserved", [](auto& a) { a.problem.reserved = 1; }, BOTH, HONE_SOFTMAX,
         HONE_UNSUPPORTED},
        {"dtype_3", "dtype", [](auto& a) { a.problem.dtype = 3; }},
        {"dtype_negative", "dtype", [](auto& a) { a.problem.dtype = -1; }},
        {"activation_beyond", "activation", [](auto& a) { a.problem.activation = hone_activation_count(); }},
        {"activation_negative", "activation", [](auto& a) { a.problem.activation = -1; }},
        {"flags_64", "flags", [](auto& a) { a.problem.flags = 64; }, BOTH, HONE_SOFTMAX, HONE_UNSUPPORTED},
        {"flags_all", "flags", [](auto& a) { a.problem.flags = ~0u; }, BOTH, HONE_SOFTMAX, HONE_UNSUPPORTED},
        {"alignment_2", "alignment", [](auto& a) { a.problem.alignment = 2; }},
        {"alignment_negative", "alignment", [](auto& a) { a.problem.alignment = -1; }},
        {"threads_negative", "threads", [](auto& a) { a.problem.threads = -1; }},
        {"batch_negative", "batch", [](auto& a) { a.problem.batch = -1; }},
        {"batch_largest", "batch", [](auto& a) { a.problem.batch = INT64_MAX; }},
        {"query_heads_negative", "query_heads", [](auto& a) { a.problem.query_heads = -1; }},
        {"query_heads_not_a_multiple", "query_heads", [](auto& a) { a.problem.query_heads = 3; }},
        {"query_heads_fewer_than_kv_heads", "query_heads", [](auto& a) { a.problem.query_heads = 1; }},
        {"kv_heads_negative", "kv_heads", [](auto& a) { a.problem.kv_heads = -1; }},
        {"kv_heads_0", "kv_heads", [](auto& a) { a.problem.kv_heads = 0; }},
        {"queries_negative", "queries", [](auto& a) { a.problem.queries = -1; }},
        {"queries_smallest", "queries", [](auto& a) { a.problem.queries = INT64_MIN; }},
        {"keys_negative", "keys", [](auto& a) { a.problem.keys = -1; }},
        {"keys_largest", "keys", [](auto& a) { a.problem.keys = INT64_MAX; }},
        {"key_dim_0", "key_dim", [](auto& a) { a.problem.key_dim = 0; }},
        {"key_dim_largest", "key_dim", [](auto& a) { a.problem.key_dim = INT64_MAX; }},
        {"value_dim_0", "value_dim", [](auto& a) { a.problem.value_dim = 0; }},
        {"product_overflows_query_side", "queries",
         [](auto& a) { a.problem.batch = a.problem.queries = std::int64_t{1} << 40; }},
        {"product_overflows_key_side", "keys",
         [](auto& a) { a.problem.batch = a.problem.keys = std::int64_t{1} << 40; }},
        {"scale_nan", "scale", [](auto& a) { a.problem.scale = std::nan(""); }},
        {"scale_infinite", "scale", [](auto& a) { a.problem.scale = HUGE_VAL; }},
        {"scale_beyond_float32", "scale", [](auto& a) { a.problem.scale = 1e39; }},
        {"softmax_n_nan", "softmax_n", [](auto& a) { a.problem.softmax_n = std::nan(""); }, BOTH,
         HONE_SOFTMAX_1},
        {"softmax_n_negative", "softmax_n", [](auto& a) { a.problem.softmax_n = -0.5; }, BOTH,
         HONE_SOFTMAX_1},
        {"softmax_n_infinite", "softmax_n", [](auto& a) { a.problem.softmax_n = HUGE_VAL; }, BOTH,
         HONE_SOFTMAX_1},
        {"weight_nan", "weight", [](auto& a) { a.problem.weight = std::nan(""); }, BOTH, HONE_RELU},
        {"weight_infinite", "weight", [](auto& a) { a.problem.weight = -HUGE_VAL; }, BOTH, HONE_ERF},
        {"weight_not_taken", "weight", [](auto& a) { a.problem.weight = 0.5; }},
        {"weight_not_taken_by_sigmoid", "weight", [](auto& a) { a.problem.weight = 0.5; }, BOTH,
         HONE_SIGMOID},
        {"group_heads_not_a_divisor", "group_heads", [](auto& a) { a.problem.group_heads = 3; }, BOTH,
         HONE_BAYES_SOFTMAX},
        {"group_heads_negative", "group_heads", [](auto& a) { a.problem.group_heads = -1; }, BOTH,
         HONE_BAYES_SOFTMAX},
        {"group_heads_too_many", "group_heads", [](auto& a) { a.problem.group_heads = 8; }, BOTH,
         HONE_BAYES_SOFTMAX},
        {"group_heads_not_taken", "group_heads", [](auto& a) { a.problem.group_heads = 2; }},
        {"isa_unknown", "isa", [](auto& a) { a.problem.isa = "abacus"; }, BOTH, HONE_SOFTMAX,
         HONE_UNSUPPORTED},
        {"isa_empty", "isa", [](auto& a) { a.problem.isa = ""; }, BOTH, HONE_SOFTMAX, HONE_UNSUPPORTED},
    };
    return list;
}

inline const std::vector<Bad>& bad_forward_arguments() {
    static const std::vector<Bad> list = {
        {"args_null", "args", [](auto& a) { a.null_args = true; }},
        {"args_size", "size", [](auto& a) { a.forward.size = a.backward.size = 8; }},
        {"q_dtype", "q.dtype", [](auto& a) { a.forward.q.dtype = a.backward.q.dtype = HONE_FLOAT64; }},
        {"v_dtype_unknown", "v.dtype", [](auto& a) { a.forward.v.dtype = a.backward.v.dtype = -1; }},
        {"o_dtype", "o.dtype", [](auto& a) { a.forward.o.dtype = a.backward.o.dtype = HONE_FLOAT64; }},
        {"k_reserved", "k.reserved", [](auto& a) { a.forward.k.reserved[7] = a.backward.k.reserved[0] = 1; },
         BOTH, HONE_SOFTMAX, HONE_UNSUPPORTED},
        {"o_reserved", "o.reserved", [](auto& a) { a.forward.o.reserved_0 = a.backward.o.reserved_0 = 1; },
         BOTH, HONE_SOFTMAX, HONE_UNSUPPORTED},
        {"q_null", "q", [](auto& a) { a.forward.q.data = a.backward.q.data = nullptr; }},
        {"k_null", "k", [](auto& a) { a.forward.k.data = a.backward.k.data = nullptr; }},
        {"v_null", "v", [](auto& a) { a.forward.v.data = a.backward.v.data = nullptr; }},
        {"o_null", "o", [](auto& a) { a.forward.o.data = nullptr; }, FORWARD},
        {"q_stride_overflows", "q",
         [](auto& a) { a.forward.q.row_stride = a.backward.q.row_stride = INT64_MAX; }},
        {"v_stride_overflows", "v",
         [](auto& a) { a.forward.v.head_stride = a.backward.v.head_stride = INT64_MIN; }},
        {"o_batch_stride_0", "o", [](auto& a) { a.forward.o.batch_stride = 0; }, FORWARD},
        {"o_head_stride_0", "o", [](auto& a) { a.forward.o.head_stride = 0; }, FORWARD},
        {"o_row_stride_0", "o", [](auto& a) { a.forward.o.row_stride = 0; }, FORWARD},
        {"o_rows_overlap", "o", [](auto& a) { a.forward.o.row_stride = 5; }, FORWARD},
        {"o_heads_overlap", "o", [](auto& a) { a.forward.o.head_stride = 6; }, FORWARD},
        {"o_stride_overflows", "o", [](auto& a) { a.forward.o.row_stride = INT64_MAX; }, FORWARD},
        {"o_is_q", "o", [](auto& a) { a.forward.o.data = const_cast<void*>(a.forward.q.data); }, FORWARD},
        {"o_is_k", "o", [](auto& a) { a.forward.o.data = const_cast<void*>(a.forward.k.data); }, FORWARD},
        {"o_is_v", "o", [](auto& a) { a.forward.o.data = const_cast<void*>(a.forward.v.data); }, FORWARD},
        {"o_reaches_into_q", "o",
         [](auto& a) { a.forward.o.data = static_cast<float*>(const_cast<void*>(a.forward.q.data)) + 40; },
         FORWARD},
        {"lse_is_o", "lse", [](auto& a) { a.forward.lse = a.forward.o.data; }, FORWARD},
        {"lse_is_q", "lse", [](auto& a) { a.forward.lse = const_cast<void*>(a.forward.q.data); }, FORWARD},
        {"lse_is_sink", "lse", [](auto& a) { a.forward.sink = a.forward.lse; }, FORWARD},
        {"lse_not_given_by_sigmoid", "lse", [](auto& a) { a.forward.lse = spare; }, FORWARD, HONE_SIGMOID},
        {"lse_not_given_by_linear", "lse", [](auto& a) { a.forward.lse = spare; }, FORWARD, HONE_LINEAR},
        {"sink_not_taken_by_relu", "sink", [](auto& a) { a.forward.sink = a.backward.sink = spare; }, BOTH,
         HONE_RELU},
        {"sink_not_taken_by_softmax_1", "sink", [](auto& a) { a.forward.sink = a.backward.sink = spare; },
         BOTH, HONE_SOFTMAX_1},
        {"log_prior_not_taken_by_softmax", "log_prior",
         [](auto& a) { a.forward.log_prior = a.backward.log_prior = spare; }},
        {"shift_not_taken_by_softmax", "shift", [](auto& a) { a.forward.shift = a.backward.shift = spare; }},
        {"shift_not_taken_by_softplus", "shift", [](auto& a) { a.forward.shift = a.backward.shift = spare; },
         BOTH, HONE_SOFTPLUS},
        {"workspace_too_small", "workspace_bytes",
         [](auto& a) {
             a.forward.workspace = a.backward.workspace = spare;
             a.forward.workspace_bytes = a.backward.workspace_bytes = 16;
         }},
        {"workspace_on_q", "workspace",
         [](auto& a) {
             a.forward.workspace = a.backward.workspace = const_cast<void*>(a.forward.q.data);
             a.forward.workspace_bytes = a.backward.workspace_bytes = std::size_t{1} << 32;
         }},
        {"workspace_of_all_memory", "workspace",
         [](auto& a) {
             a.forward.workspace = a.backward.workspace = const_cast<void*>(a.forward.q.data);
             a.forward.workspace_bytes = a.backward.workspace_bytes = SIZE_MAX;
         }},
    };
    return list;
}

inline const std::vector<Bad>& bad_backward_arguments() {
    static const std::vector<Bad> list = {
        {"dout_null", "dout", [](auto& a) { a.backward.dout.data = nullptr; }, BACKWARD},
        {"o_null_backward", "o", [](auto& a) { a.backward.o.data = nullptr; }, BACKWARD},
        {"lse_null_backward", "lse", [](auto& a) { a.backward.lse = nullptr; }, BACKWARD},
        {"lse_null_backward_softplus", "lse", [](auto& a) { a.backward.lse = nullptr; }, BACKWARD,
         HONE_SOFTPLUS},
        {"lse_not_taken_by_erf", "lse", [](auto& a) { a.backward.lse = spare; }, BACKWARD, HONE_ERF},
        {"dlse_not_taken_by_sigmoid", "dlse", [](auto& a) { a.backward.dlse = spare; }, BACKWARD,
         HONE_SIGMOID},
        {"dsink_without_sink", "sink", [](auto& a) { a.backward.dsink = spare; }, BACKWARD},
        {"dsink_not_taken_by_softmax_1", "dsink", [](auto& a) { a.backward.dsink = spare; }, BACKWARD,
         HONE_SOFTMAX_1},
        {"dlog_prior_not_taken_by_softmax", "dlog_prior", [](auto& a) { a.backward.dlog_prior = spare; },
         BACKWARD},
        {"dshift_not_taken_by_softmax", "dshift", [](auto& a) { a.backward.dshift = spare; }, BACKWARD},
        {"dq_batch_stride_0", "dq", [](auto& a) { a.backward.dq.batch_stride = 0; }, BACKWARD},
        {"dq_row_stride_0", "dq", [](auto& a) { a.backward.dq.row_stride = 0; }, BACKWARD},
        {"dq_rows_overlap", "dq", [](auto& a) { a.backward.dq.row_stride = 7; }, BACKWARD},
        {"dk_head_stride_0", "dk", [](auto& a) { a.backward.dk.head_stride = 0; }, BACKWARD},
        {"dv_row_stride_0", "dv", [](auto& a) { a.backward.dv.row_stride = 0; }, BACKWARD},
        {"dv_stride_overflows", "dv", [](auto& a) { a.backward.dv.batch_stride = INT64_MAX; }, BACKWARD},
        {"dtype_of_dq", "dq.dtype", [](auto& a) { a.backward.dq.dtype = HONE_FLOAT64; }, BACKWARD},
        {"dq_is_q", "dq", [](auto& a) { a.backward.dq.data = const_cast<void*>(a.backward.q.data); },
         BACKWARD},
        {"dq_is_dout", "dq", [](auto& a) { a.backward.dq.data = const_cast<void*>(a.backward.dout.data); },
         BACKWARD},
        {"dq_is_o", "dq", [](auto& a) { a.backward.dq.data = const_cast<void*>(a.backward.o.data); },
         BACKWARD},
        {"dk_is_dq", "dq", [](auto& a) { a.backward.dk.data = a.backward.dq.data; }, BACKWARD},
        {"dk_is_k", "dk", [](auto& a) { a.backward.dk.data = const_cast<void*>(a.backward.k.data); },
         BACKWARD},
        {"dv_is_dk", "dk", [](auto& a) { a.backward.dv.data = a.backward.dk.data; }, BACKWARD},
        {"dv_is_v", "dv", [](auto& a) { a.backward.dv.data = const_cast<void*>(a.backward.v.data); },
         BACKWARD},
        {"dsink_is_sink", "dsink",
         [](auto& a) {
             a.backward.sink = spare;
             a.backward.dsink = spare;
         },
         BACKWARD},
        {"dshift_is_shift", "dshift",
         [](auto& a) {
             a.backward.shift = spare;
             a.backward.dshift = spare;
         },
         BACKWARD, HONE_SIGMOID},
        {"dlog_prior_is_lse", "dlog_prior",
         [](auto& a) { a.backward.dlog_prior = const_cast<void*>(a.backward.lse); }, BACKWARD,
         HONE_BAYES_SOFTMAX},
    };
    return list;
}

}  // namespace hone::test
