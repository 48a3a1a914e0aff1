/* data.h owns the interface of what the gate does with arrays: filling inputs, comparing outputs. */
#ifndef HONE_GATE_DATA_H
#define HONE_GATE_DATA_H

#include <stdint.h>

#include "adapter.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Draws N(0, 1) from the seed. dtype: f32, f64. */
GATE_API void gate_fill(const char* dtype, void* data, int64_t count, uint64_t seed);

/* The largest |a - b| over the largest |a|. NaN where either has a NaN or an infinity, or all of a is 0. */
GATE_API double gate_difference(const char* dtype, const void* a, const void* b, int64_t count);

#ifdef __cplusplus
}
#endif

#endif
