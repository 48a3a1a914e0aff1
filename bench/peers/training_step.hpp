// training_step.hpp owns the C interface of the single-location model's training step, for peers.py: a step
// with tokens of its own making, one with tokens given, and what it costs to write and read the tokens once.
#pragma once

#include <cstdint>

extern "C" {

struct hone_step_problem {
    const char* attention;  // as parse_attention() takes it: softmax_1+b
    std::int64_t batch, heads, tokens, dim;
    std::int64_t features;      // F
    const double* signal;       // [F]: theta = (signal[0], +-signal[1], ..., +-signal[F - 1])
    double rate, initial_size;  // of SGD; of a query before the first step
    std::int64_t threads, seed;
};

struct hone_step;

// Null where an argument is refused.
hone_step* hone_step_new(const hone_step_problem* problem);
void hone_step_free(hone_step* step);

// One step on the next batch of the seed's stream; on those of the last hone_step_make_tokens(). Both return
// the mean loss before the step.
double hone_step_run(hone_step* step);
double hone_step_run_given(hone_step* step);

// All that follow are the step's memory.
// Makes the batch that the next hone_step_run() will train on: [B, L, D]; and what is marked in it: [B].
float* hone_step_make_tokens(hone_step* step);
std::int32_t* hone_step_epsilon(hone_step* step);
// The queries [H, D] and the biases [H], to be read and to be set; the directions of the signal [F, D].
float* hone_step_queries(hone_step* step);
float* hone_step_biases(hone_step* step);
const float* hone_step_directions(hone_step* step);

// c of prediction = c sum_h A_h X.
double hone_step_share(hone_step* step);

// Writes a buffer of the tokens' size, then reads all of it; returns its sum.
double hone_step_traffic(hone_step* step);
}
