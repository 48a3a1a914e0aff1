/* implementation.h: the interface of a kernel that is not hone's, so that hone-bench can time it beside hone
 * and hone-check can check it against the reference. A shared library exports the functions below:
 *
 *     cc -O3 -shared -fPIC mine.c -o mine.so
 *     hone-check --implementation ./mine.so
 *     hone-bench --implementation ./mine.so 'forward/softmax/f32/best/b1/h8/q1024/k1024/d64/threads:1'
 *
 * It is given the problems, tensors and arguments of hone.h and should do with them what hone.h says. It need
 * not be linked with hone. Of what it does not list it is asked nothing. */
#ifndef HONE_IMPLEMENTATION_H
#define HONE_IMPLEMENTATION_H

#include <hone/hone.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What tables and reports call it. */
HONE_API const char* hone_implementation_name(void);

/* What it computes: words with a space between, as in "forward f32 softmax sigmoid causal".
 *
 *     forward backward    at least one
 *     f32 f64             at least one
 *     softmax relu ...    activations, as in activations.def; `activations` stands for all of them
 *     empty               extents of 0: batch, heads, queries or keys
 *     grouped             query heads share heads of k and v (kv_heads < query_heads)
 *     value_dim           value_dim is not key_dim
 *     strides             tensors that are not row-major [batch, heads, rows, features], and masks that are
 *                         not row-major
 *     broadcast           tensors with strides of 0 where the axis has more than one entry, and gradients
 *                         summed over such axes; without `strides`, the rest is as if it had one entry
 *     causal              causality, both alignments, any shift
 *     window              windows, with causality if both are listed
 *     mask                boolean masks, which may be broadcast, by extents of 1 or strides of 0
 *     lengths             key_lengths and query_lengths, both types
 *     ragged              offsets of queries, of keys, and of both, both types. Row-major: [heads, rows,
 *                         features]
 *     lse                 forward returns lse if asked, backward takes dlse. (Backward may always read lse.)
 *     parameters          sink, log_prior, shift, group_heads, softmax_n and weight, and their gradients;
 *                         also those of a log_prior or a shift that has its default
 *     subset              backward is asked for some of the gradients alone
 *
 * What is in no list has to be right: any extents from 1 on, any scale, alignment of data and number of
 * threads. Where only some of them are computed (heads of 64 features, say), a call for others returns
 * HONE_UNSUPPORTED; it is then counted as such, not as a failure. */
HONE_API const char* hone_implementation_supports(void);

/* As hone_forward() and hone_backward(), but that args->workspace is NULL and problem->isa is for hone.
 * backward may be left out of a library that does not list it, and forward likewise. */
HONE_API hone_status hone_implementation_forward(const hone_problem* problem, const hone_forward_args* args);
HONE_API hone_status hone_implementation_backward(const hone_problem* problem,
                                                  const hone_backward_args* args);

/* One sentence on the last failure in the calling thread. It may be left out. */
HONE_API const char* hone_implementation_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
