/* hone.h: the C interface of hone, attention forward and backward on the CPU.
 *
 *     s = scale * q k^T + b      scores, [batch, query_heads, queries, keys], never stored
 *     p = activation(s)          weights; a key that is hidden from a query has p = 0 exactly
 *     o = p v
 *
 * Initialise a hone_problem (what is computed) and a hone_forward_args or hone_backward_args (where the data
 * lies), set their fields, then call. Every function is thread-safe and may be called from many threads at
 * once; none throws. A result is bitwise the same whatever the number of threads, and whatever rounding mode
 * the caller has set: within a call the processor rounds to nearest and, on x86, flushes results below the
 * type's smallest normal number to 0. Denormal inputs are read as they are, but slowly: a denormal v takes up
 * to a hundred times as long.
 *
 * The interface is made to last. A struct begins with its size, as the caller's compiler knows it. Later
 * versions append fields, for which 0 means that they are absent or have their default: a program that was
 * compiled for 0.2.0 runs with every later version. This version takes a struct of a later one if every field
 * that it does not know is 0. Fields that are called reserved should be 0. Enumerators keep their
 * values. */
#ifndef HONE_HONE_H
#define HONE_HONE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; hone_version() is the library's. */
#define HONE_VERSION_MAJOR 0
#define HONE_VERSION_MINOR 3
#define HONE_VERSION_PATCH 0

#if defined(__GNUC__)
#define HONE_API __attribute__((visibility("default")))
#else
#define HONE_API
#endif

typedef enum hone_status {
    HONE_OK = 0,
    HONE_INVALID_ARGUMENT = 1, /* hone_last_error() names the argument and what it should be */
    HONE_UNSUPPORTED = 2,      /* this machine, build or version lacks what is asked for */
    HONE_OUT_OF_MEMORY = 3     /* the workspace could not be allocated */
} hone_status;

/* How numbers are stored. DEFAULT is float32 for a problem, the problem's dtype for a tensor, bool for a mask
 * and int64 for lengths and offsets. */
typedef enum hone_dtype {
    HONE_DTYPE_DEFAULT = 0,
    HONE_FLOAT32 = 1,
    HONE_FLOAT64 = 2,
    HONE_BOOL = 16, /* a byte; what is not 0 is true */
    HONE_INT32 = 17,
    HONE_INT64 = 18
} hone_dtype;

/* The same list as activations.def. */
typedef enum hone_activation {
    HONE_SOFTMAX = 0,
    HONE_SOFTMAX_1 = 1,
    HONE_BAYES_SOFTMAX = 2,
    HONE_SOFTPLUS = 3,
    HONE_SIGMOID = 4,
    HONE_RELU = 5,
    HONE_RELU_SQUARED = 6,
    HONE_LINEAR = 7,
    HONE_ERF = 8,
    /* New activations go above this line. */
} hone_activation;

/* Options that are on or off. */
typedef enum hone_flags {
    HONE_CAUSAL = 1,         /* query i sees key j where j <= i + diagonal */
    HONE_WINDOW = 2,         /* window_left and window_right count */
    HONE_RAGGED_QUERIES = 4, /* the queries of all batch entries lie in one row: see query_offsets */
    HONE_RAGGED_KEYS = 8,    /* and so do the keys: see key_offsets */
    HONE_QUERY_LENGTHS = 16, /* query_lengths counts */
    HONE_KEY_LENGTHS = 32    /* key_lengths counts */
} hone_flags;

/* Where the diagonal lies: TOP_LEFT, diagonal = diagonal_shift; BOTTOM_RIGHT, keys - queries more than that.
 * The keys and queries are a batch entry's own, where it has lengths or offsets. */
typedef enum hone_alignment { HONE_TOP_LEFT = 0, HONE_BOTTOM_RIGHT = 1 } hone_alignment;

/* Integers that a call reads, apart from everything that it writes. data is NULL where there are none. */
typedef struct hone_const_integers {
    const void* data;
    int32_t dtype; /* HONE_INT32 or HONE_INT64; 0: int64 */
    int32_t reserved;
} hone_const_integers;

/* What is computed.
 *
 * Batch entries may differ in how many queries and keys they have; each is then computed as if it were alone,
 * with the same bits. Padded: entry b has the first query_lengths[b] of the Nq queries and the first
 * key_lengths[b] of the Nk keys. What lies beyond is not read; o, dq, dk and dv are 0 there, and lse is -inf.
 * Ragged: there is no batch axis. q and o are [total_queries, Hq, D] or [Hq, total_queries, D], as strides
 * have it (batch strides do not count), and lse is [Hq, total_queries]; entry b has the rows from
 * query_offsets[b] to query_offsets[b + 1] - 1. k and v likewise, by key_offsets. Rows of no entry are
 * neither read nor written. Lengths may shorten the entries of a ragged batch, too. */
typedef struct hone_problem {
    size_t size;   /* sizeof(hone_problem), as hone_problem_init() sets it */
    int32_t dtype; /* hone_dtype: of each tensor whose own is 0. Parameters, lse, dlse and their gradients
                      are float64 where this is, else float32 */
    int32_t activation;  /* hone_activation */
    uint32_t flags;      /* hone_flags, or'ed */
    int32_t alignment;   /* hone_alignment: of the diagonal */
    int64_t batch;       /* B   >= 0; where it, the heads or the queries are 0, gradients become 0 */
    int64_t query_heads; /* Hq  >= 0, a multiple of kv_heads: query head h reads kv head h / (Hq/Hkv) */
    int64_t kv_heads;    /* Hkv >= 0 */
    int64_t queries;     /* Nq  >= 0; ragged: at least those of any entry */
    int64_t keys;        /* Nk  >= 0; ragged: at least those of any entry */
    int64_t key_dim;     /* Dk  >= 1 */
    int64_t value_dim;   /* Dv  >= 1 */
    int64_t group_heads; /* bayes_softmax: query heads that share a normaliser, a divisor of Hq; 0: all */
    double scale;        /* of q k^T; 0: 1/sqrt(Dk) */
    double softmax_n;    /* softmax_1: the n > 0 added to the normaliser; 0: 1. (n = 0 is softmax) */
    double weight;       /* relu, relu_squared, linear, erf: w; 0: 1/(number of keys that the query sees) */
    int32_t threads; /* OpenMP threads; 0: OpenMP's default. At most 64 or the number of CPUs, whichever is
                        more; fewer where there is too little work, and 1 in the child of a fork() */
    int32_t reserved;
    const char* isa; /* NULL: HONE_ISA, else the best that this machine runs; or a hone_isa_name() */
    /* From 0.3.0 on. */
    int64_t diagonal_shift; /* moves the diagonal of causality and windows to later keys */
    int64_t window_left; /* with HONE_WINDOW: query i sees key j where i + diagonal - window_left <= j, and */
    int64_t window_right;              /* j <= i + diagonal + window_right; -1: no bound on that side */
    int64_t total_queries;             /* with HONE_RAGGED_QUERIES: rows of q, o, dout and dq */
    int64_t total_keys;                /* with HONE_RAGGED_KEYS: rows of k, v, dk and dv */
    hone_const_integers query_lengths; /* [B], with HONE_QUERY_LENGTHS: 0 to the queries that are there */
    hone_const_integers key_lengths;   /* [B], with HONE_KEY_LENGTHS: 0 to the keys that are there */
    hone_const_integers query_offsets; /* [B + 1], with HONE_RAGGED_QUERIES: rising, 0 to total_queries */
    hone_const_integers key_offsets;   /* [B + 1], with HONE_RAGGED_KEYS: rising, 0 to total_keys */
} hone_problem;

/* A tensor [batch, heads, rows, features] that a call writes. Features are contiguous; strides are in
 * elements, and a stride of 0 broadcasts that axis. data is NULL where the tensor is not wanted. All tensors
 * of a call have one dtype. */
typedef struct hone_tensor {
    void* data;
    int64_t batch_stride;
    int64_t head_stride;
    int64_t row_stride;
    int32_t dtype; /* hone_dtype; 0: the problem's */
    int32_t reserved_0;
    int64_t reserved[8];
} hone_tensor;

/* A tensor that a call reads. */
typedef struct hone_const_tensor {
    const void* data;
    int64_t batch_stride;
    int64_t head_stride;
    int64_t row_stride;
    int32_t dtype;
    int32_t reserved_0;
    int64_t reserved[8];
} hone_const_tensor;

/* A tensor [batch, query_heads, queries, keys] that a call reads: a mask. An extent is that of the problem
 * (or 0, which means the same), or 1, which broadcasts the axis, as a stride of 0 does. Strides are in
 * elements. Query i and key j are counted within the batch entry. data is NULL where there is none. */
typedef struct hone_const_scores {
    const void* data;
    int64_t batch, heads, queries, keys; /* extents */
    int64_t batch_stride, head_stride, query_stride, key_stride;
    int32_t dtype; /* HONE_BOOL, or 0 */
    int32_t reserved_0;
    int64_t reserved[4];
} hone_const_scores;

/* Parameters are arrays; NULL: the default. */
typedef struct hone_forward_args {
    size_t size;           /* sizeof(hone_forward_args) */
    hone_const_tensor q;   /* [B, Hq, Nq, Dk] */
    hone_const_tensor k;   /* [B, Hkv, Nk, Dk] */
    hone_const_tensor v;   /* [B, Hkv, Nk, Dv]; may be the same memory as k */
    hone_tensor o;         /* out: [B, Hq, Nq, Dv] */
    const void* sink;      /* softmax: [Hq], bayes_softmax: [Hq/group_heads]; a logit that takes weight and
                              adds nothing to o (+inf takes all weight); NULL: none */
    const void* log_prior; /* bayes_softmax: b, [Hq]; NULL: 0. Where some of a group's sink and log-priors are
                              +inf, these share all weight, as in the limit where they grow together:
                              heads by their scores, the sink like a score of 0 */
    const void* shift; /* sigmoid, relu, relu_squared, linear, erf: b, [Hq]; NULL: the activation's default
                          (sigmoid: -log(keys that the query sees), linear: 1, else 0) */
    void* lse;         /* out, or NULL: L, the log of the normaliser, contiguous [B, Hq, Nq] (ragged queries:
                          [Hq, total_queries]); bayes_softmax: Hq/group_heads for Hq. Not for the element-wise
                          activations */
    void* workspace;   /* hone_forward_workspace() bytes at any alignment; NULL: the call allocates it */
    size_t workspace_bytes;
    /* From 0.3.0 on. */
    hone_const_scores mask; /* a query sees the keys where this is not 0, among those that it would see */
} hone_forward_args;

/* A gradient whose data is NULL is not computed. The gradient of an input that is broadcast over an
 * axis may have a stride of 0 there: it is then summed over that axis. Gradients are overwritten, not added
 * to. */
typedef struct hone_backward_args {
    size_t size; /* sizeof(hone_backward_args) */
    hone_const_tensor q, k, v;
    hone_const_tensor o;    /* forward's output; needed by the normalised activations only */
    hone_const_tensor dout; /* the gradient of o: [B, Hq, Nq, Dv] */
    const void* sink;
    const void* log_prior;
    const void* shift;
    const void* lse;  /* forward's lse; needed by the normalised activations only */
    const void* dlse; /* the gradient of lse, the shape of lse; NULL: 0 */
    hone_tensor dq, dk, dv;
    void* dsink;      /* the shape of sink */
    void* dlog_prior; /* [Hq] */
    void* dshift;     /* [Hq] */
    void* workspace;
    size_t workspace_bytes;
    /* From 0.3.0 on. */
    hone_const_scores mask;
} hone_backward_args;

/* Initialise a struct; `size` is its sizeof as the caller knows it. Every option becomes absent or its
 * default. HONE_INVALID_ARGUMENT for NULL, or for a size that no version has. */
HONE_API hone_status hone_problem_init(hone_problem* problem, size_t size);
HONE_API hone_status hone_forward_args_init(hone_forward_args* args, size_t size);
HONE_API hone_status hone_backward_args_init(hone_backward_args* args, size_t size);

/* Computes o (and lse). If the status is not HONE_OK, nothing was written. */
HONE_API hone_status hone_forward(const hone_problem* problem, const hone_forward_args* args);

/* Computes the gradients asked for; recomputes p from q, k and lse. If the status is not HONE_OK, nothing
 * was written. */
HONE_API hone_status hone_backward(const hone_problem* problem, const hone_backward_args* args);

/* The bytes of workspace that the call with these arguments needs, with this isa and number of threads (0:
 * OpenMP's default at this moment). The data need not exist yet: of the pointers it only matters which
 * parameters and gradients are NULL. Lengths and offsets are read if they are there; where one is NULL, the
 * bytes are enough for any that total_queries, total_keys, queries and keys allow. */
HONE_API hone_status hone_forward_workspace(const hone_problem* problem, const hone_forward_args* args,
                                            size_t* bytes);
HONE_API hone_status hone_backward_workspace(const hone_problem* problem, const hone_backward_args* args,
                                             size_t* bytes);

/* One sentence on the last failure in the calling thread; "" if there was none. Valid until that thread's
 * next failure. */
HONE_API const char* hone_last_error(void);

/* What an activation is and which parameters it takes: 1 for yes. */
typedef struct hone_activation_info {
    size_t size;        /* in: sizeof(hone_activation_info) */
    const char* name;   /* as in activations.def */
    int32_t normalised; /* has an lse; 0: element-wise */
    int32_t joint;      /* normalised over a group of heads and their keys */
    int32_t takes_sink, takes_log_prior, takes_shift, takes_weight, takes_softmax_n;
    int32_t reserved;
} hone_activation_info;

/* Activations are numbered from 0 to hone_activation_count() - 1. */
HONE_API int32_t hone_activation_count(void);

/* Fills *info, up to the bytes that its size says; HONE_INVALID_ARGUMENT where there is no such activation.
 */
HONE_API hone_status hone_describe_activation(int32_t activation, hone_activation_info* info);

/* Sets *activation to the one of that name; HONE_INVALID_ARGUMENT where there is none. */
HONE_API hone_status hone_activation_by_name(const char* name, int32_t* activation);

/* The implementations in this build, best last: names for index 0 .. hone_isa_count() - 1 (NULL beyond),
 * and whether this machine runs it. */
HONE_API int32_t hone_isa_count(void);
HONE_API const char* hone_isa_name(int32_t index);
HONE_API int32_t hone_isa_available(int32_t index);

/* The implementation that runs where a problem names none: the one that HONE_ISA names (it is read at
 * the first call), else the best; NULL where HONE_ISA names one that is unknown or that this machine does not
 * run. */
HONE_API const char* hone_isa_active(void);

/* The library's version, such as "0.3.0". */
HONE_API const char* hone_version(void);

/* A tensor in row-major order [batch, heads, rows, features]. */
static inline hone_tensor hone_bhnd(void* data, int64_t heads, int64_t rows, int64_t features) {
    hone_tensor t = {data, 0, 0, 0, HONE_DTYPE_DEFAULT, 0, {0}};
    t.batch_stride = heads * rows * features;
    t.head_stride = rows * features;
    t.row_stride = features;
    return t;
}

/* A tensor in row-major order [batch, rows, heads, features]. */
static inline hone_tensor hone_bnhd(void* data, int64_t heads, int64_t rows, int64_t features) {
    hone_tensor t = {data, 0, 0, 0, HONE_DTYPE_DEFAULT, 0, {0}};
    t.batch_stride = rows * heads * features;
    t.head_stride = features;
    t.row_stride = heads * features;
    return t;
}

/* The same tensor, to be read. */
static inline hone_const_tensor hone_const(hone_tensor tensor) {
    hone_const_tensor t = {tensor.data, 0, 0, 0, tensor.dtype, tensor.reserved_0, {0}};
    size_t i;
    t.batch_stride = tensor.batch_stride;
    t.head_stride = tensor.head_stride;
    t.row_stride = tensor.row_stride;
    for (i = 0; i < sizeof t.reserved / sizeof t.reserved[0]; ++i) t.reserved[i] = tensor.reserved[i];
    return t;
}

/* hone_bhnd and hone_bnhd for memory that is only read. */
static inline hone_const_tensor hone_const_bhnd(const void* data, int64_t heads, int64_t rows,
                                                int64_t features) {
    hone_const_tensor t = hone_const(hone_bhnd(NULL, heads, rows, features));
    t.data = data;
    return t;
}
static inline hone_const_tensor hone_const_bnhd(const void* data, int64_t heads, int64_t rows,
                                                int64_t features) {
    hone_const_tensor t = hone_const(hone_bnhd(NULL, heads, rows, features));
    t.data = data;
    return t;
}

/* A mask in row-major order [batch, heads, queries, keys], each extent that of the problem or 1. */
static inline hone_const_scores hone_const_bhqk(const void* data, int64_t batch, int64_t heads,
                                                int64_t queries, int64_t keys) {
    hone_const_scores t = {NULL, 0, 0, 0, 0, 0, 0, 0, 0, HONE_DTYPE_DEFAULT, 0, {0}};
    t.data = data;
    t.batch = batch, t.heads = heads, t.queries = queries, t.keys = keys;
    t.batch_stride = heads * queries * keys;
    t.head_stride = queries * keys;
    t.query_stride = keys;
    t.key_stride = 1;
    return t;
}

#ifdef __cplusplus
}
#endif

#endif
