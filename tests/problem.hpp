// problem.hpp: problems of the C interface, as tests make them.
#pragma once

#include <hone/hone.h>

#include <ostream>

namespace hone::test {

// Which keys a query sees.
enum class Mask { none, top_left, bottom_right };

inline const char* name_of(Mask mask) {
    return mask == Mask::none ? "unmasked" : mask == Mask::top_left ? "top_left" : "bottom_right";
}
inline std::ostream& operator<<(std::ostream& out, Mask mask) {
    return out << name_of(mask);
}

inline void set_mask(hone_problem& problem, Mask mask) {
    problem.flags = mask == Mask::none ? 0 : HONE_CAUSAL;
    problem.alignment = mask == Mask::bottom_right ? HONE_BOTTOM_RIGHT : HONE_TOP_LEFT;
}

// Of one of everything. (What the library's own functions make is tested in api_test.cpp.)
inline hone_problem small_problem() {
    hone_problem p = {};
    p.size = sizeof p;
    p.batch = p.query_heads = p.kv_heads = p.queries = p.keys = p.key_dim = p.value_dim = 1;
    p.dtype = HONE_FLOAT32;
    return p;
}

inline hone_forward_args no_forward_args() {
    hone_forward_args a = {};
    a.size = sizeof a;
    return a;
}

inline hone_backward_args no_backward_args() {
    hone_backward_args a = {};
    a.size = sizeof a;
    return a;
}

inline hone_tensor tensor_at(void* data, int64_t batch_stride, int64_t head_stride, int64_t row_stride) {
    hone_tensor t = {};
    t.data = data, t.batch_stride = batch_stride, t.head_stride = head_stride, t.row_stride = row_stride;
    return t;
}

}  // namespace hone::test
