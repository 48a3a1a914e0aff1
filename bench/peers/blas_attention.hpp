// blas_attention.hpp owns the interface of the BLAS peer: softmax attention, unfused, of sgemm and a
// vectorised softmax. The scores of a block of queries are written to memory, at least once each way.
#pragma once

#include <cstdint>

extern "C" {

struct hone_blas_problem {
    std::int64_t batch, heads, kv_heads, queries, keys, dim;  // heads a multiple of kv_heads
    std::int64_t block;                                       // queries at a time; 0: the default
    std::int64_t threads;
};

// q, o, dout, dq: [B, H, Nq, D]; k, v, dk, dv: [B, Hkv, Nk, D]; lse: [B, H, Nq]; all row-major float32. The
// scale is 1/sqrt(D). lse may be null.
void hone_blas_forward(const hone_blas_problem* problem, const float* q, const float* k, const float* v,
                       float* o, float* lse);

void hone_blas_backward(const hone_blas_problem* problem, const float* q, const float* k, const float* v,
                        const float* o, const float* lse, const float* dout, float* dq, float* dk, float* dv);

// OpenBLAS's own words on its build, and on the processor that it takes this one for.
const char* hone_blas_config(void);
const char* hone_blas_core(void);
}
