// blas_attention.cpp: attention as a chain of matrix products by OpenBLAS with loops between them.
//
// Rows are those of all query heads that share a kv head: they lie one after the other. Where there are as
// many kv heads (of all batch entries) as threads, each thread takes its share of them and OpenBLAS runs on
// one thread; else OpenBLAS splits each product, and OpenMP the loops. At 8 heads the former is the faster.
#include "blas_attention.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

namespace {

using std::int64_t;

// Rows at a time, so that the scores stay in the cache: of 64, 128, 256, 512 and all, the fastest or within
// 3% of it at N = 1024 and 4096, D = 64 and 128.
constexpr int64_t kBlock = 256;

// This thread's scratch, kept from call to call, so that its pages are there already.
float* scratch(int64_t count) {
    struct Free {
        void operator()(float* p) const { std::free(p); }
    };
    static thread_local std::unique_ptr<float, Free> memory;
    static thread_local int64_t size = 0;
    if (count > size) {
        memory.reset();
        memory.reset(static_cast<float*>(std::aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64)));
        size = count;
    }
    return memory.get();
}

// c [m, n] = alpha a [m, depth] b [n, depth]^T
void product_nt(int64_t m, int64_t n, int64_t depth, float alpha, const float* a, const float* b, float* c) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, depth, alpha, a, depth, b, depth, 0, c, n);
}

// c [m, n] = alpha a [m, depth] b [depth, n]
void product_nn(int64_t m, int64_t n, int64_t depth, float alpha, const float* a, const float* b, float* c) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, depth, alpha, a, depth, b, n, 0, c, n);
}

// c [m, n] = alpha a [depth, m]^T b [depth, n] + beta c
void product_tn(int64_t m, int64_t n, int64_t depth, float alpha, const float* a, const float* b, float beta,
                float* c) {
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, depth, alpha, a, m, b, n, beta, c, n);
}

// s -> e^{s - max}; returns its sum, and the maximum. The loops are vectorised by the compiler, the
// exponential by the mathematical library's vector variants.
float exponentials(float* s, int64_t n, float* max) {
    float m = s[0];
    for (int64_t j = 1; j < n; ++j) m = std::max(m, s[j]);
    float sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += s[j] = std::exp(s[j] - m);
    *max = m;
    return sum;
}

float dot(const float* x, const float* y, int64_t n) {
    float sum = 0;
    for (int64_t d = 0; d < n; ++d) sum += x[d] * y[d];
    return sum;
}

// One kv head's sizes: rows of all its queries, keys, features.
struct Head {
    int64_t rows, keys, dim, block;
    float scale;
    int threads;  // of the loops; those of the products are OpenBLAS's
};

void forward(const Head& h, const float* q, const float* k, const float* v, float* o, float* lse) {
    float* s = scratch(h.block * (h.keys + 1));
    float* sums = s + h.block * h.keys;
    for (int64_t first = 0; first < h.rows; first += h.block) {
        const int64_t rows = std::min(h.block, h.rows - first);
        float* block_o = o + first * h.dim;
        product_nt(rows, h.keys, h.dim, h.scale, q + first * h.dim, k, s);
#pragma omp parallel for num_threads(h.threads) if (h.threads > 1)
        for (int64_t i = 0; i < rows; ++i) {
            float max;
            sums[i] = exponentials(s + i * h.keys, h.keys, &max);
            if (lse) lse[first + i] = max + std::log(sums[i]);
        }
        product_nn(rows, h.dim, h.keys, 1, s, v, block_o);
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t d = 0; d < h.dim; ++d) block_o[i * h.dim + d] /= sums[i];
    }
}

struct Gradients {
    float *dq, *dk, *dv;
};

void backward(const Head& h, const float* q, const float* k, const float* v, const float* o, const float* lse,
              const float* dout, const Gradients& gradients) {
    float* p = scratch(2 * h.block * h.keys);
    float* ds = p + h.block * h.keys;
    for (int64_t first = 0; first < h.rows; first += h.block) {
        const int64_t rows = std::min(h.block, h.rows - first), at = first * h.dim;
        product_nt(rows, h.keys, h.dim, h.scale, q + at, k, p);
        product_nt(rows, h.keys, h.dim, 1, dout + at, v, ds);
#pragma omp parallel for num_threads(h.threads) if (h.threads > 1)
        for (int64_t i = 0; i < rows; ++i) {
            float *p_row = p + i * h.keys, *ds_row = ds + i * h.keys;
            const float l = lse[first + i];
            const float delta = dot(o + at + i * h.dim, dout + at + i * h.dim, h.dim);
            for (int64_t j = 0; j < h.keys; ++j) {
                p_row[j] = std::exp(p_row[j] - l);
                ds_row[j] = p_row[j] * (ds_row[j] - delta);
            }
        }
        const float beta = first ? 1 : 0;
        product_tn(h.keys, h.dim, rows, 1, p, dout + at, beta, gradients.dv);
        product_nn(rows, h.dim, h.keys, h.scale, ds, k, gradients.dq + at);
        product_tn(h.keys, h.dim, rows, h.scale, ds, q + at, beta, gradients.dk);
    }
}

// Calls head(sizes, kv head) for all kv heads of all batch entries.
template <class PerHead>
void for_heads(const hone_blas_problem& p, const PerHead& head) {
    const int64_t heads = p.batch * p.kv_heads;
    const bool over_heads = heads >= p.threads;
    Head sizes = {p.queries * (p.heads / p.kv_heads), p.keys, p.dim, p.block ? p.block : kBlock, 0, 1};
    sizes.block = std::min(sizes.block, sizes.rows);
    sizes.scale = 1 / std::sqrt(float(p.dim));
    sizes.threads = over_heads ? 1 : int(p.threads);
    openblas_set_num_threads(sizes.threads);
#pragma omp parallel for num_threads(p.threads) schedule(dynamic) if (over_heads)
    for (int64_t n = 0; n < heads; ++n) head(sizes, n);
}

}  // namespace

void hone_blas_forward(const hone_blas_problem* p, const float* q, const float* k, const float* v, float* o,
                       float* lse) {
    for_heads(*p, [&](const Head& h, int64_t n) {
        const int64_t row = n * h.rows * h.dim, key = n * h.keys * h.dim;
        forward(h, q + row, k + key, v + key, o + row, lse ? lse + n * h.rows : nullptr);
    });
}

void hone_blas_backward(const hone_blas_problem* p, const float* q, const float* k, const float* v,
                        const float* o, const float* lse, const float* dout, float* dq, float* dk,
                        float* dv) {
    for_heads(*p, [&](const Head& h, int64_t n) {
        const int64_t row = n * h.rows * h.dim, key = n * h.keys * h.dim;
        backward(h, q + row, k + key, v + key, o + row, lse + n * h.rows, dout + row,
                 {dq + row, dk + key, dv + key});
    });
}

const char* hone_blas_config(void) {
    return openblas_get_config();
}

const char* hone_blas_core(void) {
    return openblas_get_corename();
}
