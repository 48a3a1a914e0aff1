/* naive.c: an implementation by plain loops, with a fault where the compiler's command line defines one. */
#include <hone/implementation.h>
#include <math.h>
#include <stdlib.h>

#ifndef WORDS
#define WORDS "forward f32 softmax causal"
#endif
#ifndef OFF_BY
#define OFF_BY 0 /* the diagonal */
#endif

/* The diagonal lies so far, or beyond all keys. */
static int64_t visible_keys(const hone_problem* p, int64_t i) {
    const int64_t far = p->queries + p->keys;
    int64_t end = p->diagonal_shift < -far ? -far : p->diagonal_shift > far ? far : p->diagonal_shift;
    if (!(p->flags & HONE_CAUSAL)) return p->keys;
    if (p->alignment == HONE_BOTTOM_RIGHT) end += p->keys - p->queries;
    end += i + 1 + OFF_BY;
    return end < 0 ? 0 : end > p->keys ? p->keys : end;
}

/* One query: s has room for the keys. */
static void attend(const hone_problem* p, const float* q, const float* k, const float* v, int64_t seen,
                   double* s, float* o) {
    const double scale = p->scale != 0 ? p->scale : 1 / sqrt((double)p->key_dim);
    double max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < seen; ++j) {
        s[j] = 0;
        for (int64_t d = 0; d < p->key_dim; ++d) s[j] += scale * q[d] * k[j * p->key_dim + d];
        max = fmax(max, s[j]);
    }
    for (int64_t j = 0; j < seen; ++j) sum += s[j] = exp(s[j] - max);
    for (int64_t d = 0; d < p->value_dim; ++d) {
        double x = 0;
        for (int64_t j = 0; j < seen; ++j) x += s[j] / sum * v[j * p->value_dim + d];
        o[d] = (float)x;
    }
}

const char* hone_implementation_name(void) {
    return "naive";
}

const char* hone_implementation_supports(void) {
    return WORDS;
}

hone_status hone_implementation_forward(const hone_problem* p, const hone_forward_args* args) {
    double* const s = malloc(sizeof(double) * p->keys);
    for (int64_t n = 0; n < p->batch * p->query_heads; ++n)
        for (int64_t i = 0; i < p->queries; ++i) {
            const int64_t query = n * p->queries + i;
            attend(p, (const float*)args->q.data + query * p->key_dim,
                   (const float*)args->k.data + n * p->keys * p->key_dim,
                   (const float*)args->v.data + n * p->keys * p->value_dim, visible_keys(p, i), s,
                   (float*)args->o.data + query * p->value_dim);
        }
    free(s);
#ifdef WRITES_K
    ((float*)args->k.data)[0] += 1;
#endif
#ifdef CRASHES
    *(volatile int*)NULL = 1;
#endif
#ifdef FAILS
    return HONE_OUT_OF_MEMORY;
#endif
    return p->key_dim == 512 ? HONE_UNSUPPORTED : HONE_OK;
}

const char* hone_implementation_last_error(void) {
    return "it is out of luck";
}
