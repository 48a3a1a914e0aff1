/* data.h owns the interface of what the gate does with arrays: filling inputs, comparing outputs. What is
 * drawn for a name's words is bench/draws.hpp's. */
#ifndef HONE_GATE_DATA_H
#define HONE_GATE_DATA_H

#include <stdint.h>

#include "adapter.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Draws N(0, 1) from the seed. dtype: f32, f64. */
GATE_API void gate_fill(const char* dtype, void* data, int64_t count, uint64_t seed);

/* Writes the key lengths [batch] of the word `lengths`, and the offsets [batch + 1] of `ragged`. */
GATE_API void gate_lengths(int64_t batch, int64_t keys, int64_t* lengths);
GATE_API void gate_offsets(int64_t batch, int64_t rows, int64_t* offsets);

/* Writes the mask [queries, keys] of the words `documents` and `hidden`, 0 being an absent one. */
GATE_API void gate_mask(int64_t queries, int64_t keys, int64_t documents, int64_t hidden, void* mask);

/* The largest |a - b| over the largest |a|. NaN where either has a NaN or an infinity, or all of a is 0. */
GATE_API double gate_difference(const char* dtype, const void* a, const void* b, int64_t count);

#ifdef __cplusplus
}
#endif

#endif
