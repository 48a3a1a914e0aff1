/* adapter.h owns the gate's interface to a version of hone: plain C, and the same whatever that version's is.
 */
#ifndef HONE_GATE_ADAPTER_H
#define HONE_GATE_ADAPTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GATE_API __attribute__((visibility("default")))

/* [batch, heads, rows, dim] with contiguous dim; strides in elements, 0 where one entry serves a whole axis.
 * data is NULL where the case has no such tensor. */
typedef struct gate_tensor {
    void* data;
    int64_t batch_stride, head_stride, row_stride;
} gate_tensor;

/* The words and numbers of a case's name (bench/cases.hpp), and where its data lies. Windows, masks, lengths
 * and offsets are for a version whose gate_words() has them; others leave them alone. */
typedef struct gate_case {
    const char* direction; /* forward, backward */
    const char* activation;
    const char* dtype; /* f32, f64 */
    const char* isa;
    int64_t batch, query_heads, kv_heads, queries, keys, dim, threads;
    int64_t causal;                    /* 1: aligned bottom-right; 0 */
    int64_t window_left, window_right; /* as in hone.h; -1: no bound */
    const void* mask;                  /* [queries, keys], a byte each; NULL: none */
    const int64_t* key_lengths;        /* [batch]; NULL: all have `keys` */
    const int64_t* offsets;            /* [batch + 1], of queries and of keys; NULL: not ragged */
    gate_tensor q, k, v, o;            /* forward writes o, backward reads it */
    gate_tensor dout, dq, dk, dv;      /* backward's */
    void* lse; /* [batch, query_heads, queries] at most, or ragged [query_heads, total]: forward writes it,
                  backward reads it; NULL: not wanted. Left alone where the activation has none */
} gate_case;

/* A call, ready to be repeated. */
typedef struct gate_call gate_call;

/* The call of that case by the libhone at this path, which is loaded apart from any other libhone and stays
 * so. The case may go away, its data may not. NULL: gate_last_error() says why. */
GATE_API gate_call* gate_open(const char* libhone, const gate_case* c);
GATE_API void gate_close(gate_call* call);

/* The bytes of workspace that it needs. */
GATE_API size_t gate_workspace(const gate_call* call);

/* Makes the call so many times; the seconds that they took together, or less than 0: gate_last_error(). */
GATE_API double gate_run(gate_call* call, void* workspace, int64_t times);

/* What this libhone knows, as words with a space between: its activations; the instruction sets that this
 * machine runs, the best last. Valid until the thread's next call of either. NULL: gate_last_error(). */
GATE_API const char* gate_activations(const char* libhone);
GATE_API const char* gate_isas(const char* libhone);

/* The optional words of a name that the version of this adapter computes, with a space between. */
GATE_API const char* gate_words(void);

/* One sentence on the thread's last failure. */
GATE_API const char* gate_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
