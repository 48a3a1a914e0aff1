/* blas_example.c: an implementation to begin from: softmax attention by a BLAS, a block of scores at a time.
 *
 *     cc -O3 -march=native -fopenmp -shared -fPIC blas_example.c -o blas_example.so -lopenblas -lm
 *     hone-check --implementation ./blas_example.so
 *     hone-bench --implementation ./blas_example.so
 *
 * For each block of queries of a head:
 *
 *     forward     s = scale q k^T      p = e^(s - L)       L = log sum e^s      o = p v
 *     backward    dp = do v^T          ds = p (dp - delta + dL)                 delta = do . o
 *                 dv += p^T do         dq = scale ds k                          dk += scale ds^T q
 *
 * What is not so here as hone has it: a NaN in a row of k or v that some query of a block sees reaches those
 * of the block that do not see it. */
#include <cblas.h>
#include <hone/implementation.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>

enum { BLOCK = 128 }; /* queries: with 1024 keys, 512 KiB of scores */

typedef struct matrix {
    float* data;
    int64_t stride; /* from row to row */
} matrix;

/* The queries [first, first + rows) of a block, and the keys [0, keys) that any of them sees. */
typedef struct block {
    int64_t first, rows, keys;
} block;

static int64_t at_most(int64_t x, int64_t most) {
    return x < most ? x : most;
}

static int64_t at_least(int64_t x, int64_t least) {
    return x > least ? x : least;
}

static float* row(matrix m, int64_t i) {
    return m.data + i * m.stride;
}

static matrix rows_from(matrix m, int64_t i) {
    return (matrix){row(m, i), m.stride};
}

/* One head of a tensor [batch, heads, rows, features]; data is NULL where the tensor is absent. */
static matrix head_of(const hone_const_tensor* t, int64_t b, int64_t h) {
    matrix m = {(float*)t->data, t->row_stride};
    if (m.data) m.data += b * t->batch_stride + h * t->head_stride;
    return m;
}

static matrix output_head(const hone_tensor* t, int64_t b, int64_t h) {
    const hone_const_tensor view = hone_const(*t);
    return head_of(&view, b, h);
}

/* How many keys query i sees: the first so many. */
static int64_t visible_keys(const hone_problem* p, int64_t i) {
    const int64_t far = p->queries + p->keys;
    int64_t diagonal = at_most(at_least(p->diagonal_shift, -far), far);
    if (!(p->flags & HONE_CAUSAL)) return p->keys;
    if (p->alignment == HONE_BOTTOM_RIGHT) diagonal += p->keys - p->queries;
    return at_most(at_least(i + diagonal + 1, 0), p->keys);
}

/* The block that begins with the first query from i on that sees a key; none is left where it has no rows. */
static block next_block(const hone_problem* p, int64_t i) {
    block x = {i, 0, 0};
    while (x.first < p->queries && visible_keys(p, x.first) == 0) ++x.first;
    x.rows = at_most(BLOCK, p->queries - x.first);
    if (x.rows > 0) x.keys = visible_keys(p, x.first + x.rows - 1);
    return x;
}

/* s [rows, keys] = scale a b^T */
static void scores(block x, int64_t features, float scale, matrix a, matrix b, float* s) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, x.rows, x.keys, features, scale, a.data, a.stride,
                b.data, b.stride, 0, s, x.keys);
}

/* c [rows, features] = scale p b */
static void combine(block x, int64_t features, float scale, const float* p, matrix b, matrix c) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, x.rows, features, x.keys, scale, p, x.keys, b.data,
                b.stride, 0, c.data, c.stride);
}

/* c [keys, features] += scale p^T a */
static void accumulate(block x, int64_t features, float scale, const float* p, matrix a, matrix c) {
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, x.keys, features, x.rows, scale, p, x.keys, a.data,
                a.stride, 1, c.data, c.stride);
}

static void set_zero(matrix m, int64_t rows, int64_t features) {
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t d = 0; d < features; ++d) row(m, i)[d] = 0;
}

/* s -> p in a row of so many keys, of which it sees some; returns L. */
static float softmax(float* s, int64_t seen, int64_t keys) {
    float max = s[0], sum = 0;
    for (int64_t j = 1; j < seen; ++j) max = s[j] > max ? s[j] : max;
    for (int64_t j = 0; j < seen; ++j) sum += s[j] = expf(s[j] - max);
    for (int64_t j = 0; j < seen; ++j) s[j] /= sum;
    for (int64_t j = seen; j < keys; ++j) s[j] = 0;
    return max + logf(sum);
}

static float scale_of(const hone_problem* p) {
    return (float)(p->scale != 0 ? p->scale : 1 / sqrt((double)p->key_dim));
}

static void forward_head(const hone_problem* p, const hone_forward_args* a, int64_t b, int64_t h, float* s) {
    const int64_t kv_head = h / (p->query_heads / p->kv_heads);
    const matrix q = head_of(&a->q, b, h), k = head_of(&a->k, b, kv_head), v = head_of(&a->v, b, kv_head);
    const matrix o = output_head(&a->o, b, h);
    float* lse = a->lse ? (float*)a->lse + (b * p->query_heads + h) * p->queries : NULL;
    set_zero(o, p->queries, p->value_dim);
    for (int64_t i = 0; lse && i < p->queries; ++i) lse[i] = -INFINITY;
    for (block x = next_block(p, 0); x.rows > 0; x = next_block(p, x.first + x.rows)) {
        scores(x, p->key_dim, scale_of(p), rows_from(q, x.first), k, s);
        for (int64_t i = 0; i < x.rows; ++i) {
            const float l = softmax(s + i * x.keys, visible_keys(p, x.first + i), x.keys);
            if (lse) lse[x.first + i] = l;
        }
        combine(x, p->value_dim, 1, s, v, rows_from(o, x.first));
    }
}

/* One query head's part in the gradients; s and ds are blocks of scores. */
static void backward_head(const hone_problem* p, const hone_backward_args* a, int64_t b, int64_t h, float* s,
                          float* ds) {
    const int64_t kv_head = h / (p->query_heads / p->kv_heads), first = (b * p->query_heads + h) * p->queries;
    const matrix q = head_of(&a->q, b, h), k = head_of(&a->k, b, kv_head), v = head_of(&a->v, b, kv_head);
    const matrix o = head_of(&a->o, b, h), dout = head_of(&a->dout, b, h), dq = output_head(&a->dq, b, h);
    const matrix dk = output_head(&a->dk, b, kv_head), dv = output_head(&a->dv, b, kv_head);
    const float *lse = (const float*)a->lse + first, *dlse = a->dlse ? (const float*)a->dlse + first : NULL;
    if (dq.data) set_zero(dq, p->queries, p->key_dim);
    for (block x = next_block(p, 0); x.rows > 0; x = next_block(p, x.first + x.rows)) {
        scores(x, p->key_dim, scale_of(p), rows_from(q, x.first), k, s);
        scores(x, p->value_dim, 1, rows_from(dout, x.first), v, ds);
        for (int64_t i = 0; i < x.rows; ++i) {
            const int64_t query = x.first + i, seen = visible_keys(p, query);
            float *p_row = s + i * x.keys, *ds_row = ds + i * x.keys;
            float delta = dlse ? -dlse[query] : 0;
            for (int64_t d = 0; d < p->value_dim; ++d) delta += row(dout, query)[d] * row(o, query)[d];
            for (int64_t j = 0; j < seen; ++j) {
                p_row[j] = expf(p_row[j] - lse[query]);
                ds_row[j] = p_row[j] * (ds_row[j] - delta);
            }
            for (int64_t j = seen; j < x.keys; ++j) p_row[j] = ds_row[j] = 0;
        }
        if (dv.data) accumulate(x, p->value_dim, 1, s, rows_from(dout, x.first), dv);
        if (dk.data) accumulate(x, p->key_dim, scale_of(p), ds, rows_from(q, x.first), dk);
        if (dq.data) combine(x, p->key_dim, scale_of(p), ds, k, rows_from(dq, x.first));
    }
}

/* All query heads that share a head of k and v, which add to its gradients in turn. */
static void backward_kv_head(const hone_problem* p, const hone_backward_args* a, int64_t b, int64_t kv_head,
                             float* s) {
    const int64_t group = p->query_heads / p->kv_heads;
    if (a->dk.data) set_zero(output_head(&a->dk, b, kv_head), p->keys, p->key_dim);
    if (a->dv.data) set_zero(output_head(&a->dv, b, kv_head), p->keys, p->value_dim);
    for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h)
        backward_head(p, a, b, h, s, s + BLOCK * p->keys);
}

const char* hone_implementation_name(void) {
    return "OpenBLAS";
}

const char* hone_implementation_supports(void) {
    return "forward backward f32 softmax grouped value_dim strides causal lse subset";
}

/* A thread takes a head at a time, and OpenBLAS runs on that thread alone. */
static int threads_of(const hone_problem* p) {
    openblas_set_num_threads(1);
    return p->threads > 0 ? p->threads : omp_get_max_threads();
}

hone_status hone_implementation_forward(const hone_problem* p, const hone_forward_args* args) {
    const int threads = threads_of(p);
    const int64_t size = BLOCK * p->keys, heads = p->query_heads;
    float* const scratch = malloc(sizeof(float) * threads * size);
    if (!scratch) return HONE_OUT_OF_MEMORY;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t n = 0; n < p->batch * heads; ++n)
        forward_head(p, args, n / heads, n % heads, scratch + omp_get_thread_num() * size);
    free(scratch);
    return HONE_OK;
}

hone_status hone_implementation_backward(const hone_problem* p, const hone_backward_args* args) {
    const int threads = threads_of(p);
    const int64_t size = 2 * BLOCK * p->keys, heads = p->kv_heads;
    float* const scratch = malloc(sizeof(float) * threads * size);
    if (!scratch) return HONE_OUT_OF_MEMORY;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t n = 0; n < p->batch * heads; ++n)
        backward_kv_head(p, args, n / heads, n % heads, scratch + omp_get_thread_num() * size);
    free(scratch);
    return HONE_OK;
}
