// training_step.cpp: the model's Trainer behind a C interface; and the same step on tokens that lie in
// memory.
#include "training_step.hpp"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <vector>

#include "model/trainer.hpp"

namespace sl = single_location;

namespace {

using std::int64_t;

sl::TrainingOptions training_options(const hone_step_problem& p) {
    sl::TrainingOptions options;
    options.batch = int(p.batch);
    options.rate = p.rate;
    options.initial_size = p.initial_size;
    options.threads = int(p.threads);
    return options;
}

sl::Signal flipped_spike(const hone_step_problem& p) {
    return sl::Signal::flipped_spike(p.signal[0], {p.signal + 1, p.signal + p.features});
}

}  // namespace

struct hone_step {
    explicit hone_step(const hone_step_problem& p);

    int64_t sample() const { return int64_t{tokens.tokens()} * tokens.dim(); }
    int64_t chunks() const { return (int64_t(epsilon.size()) + chunk - 1) / chunk; }
    template <class PerChunk>
    void for_chunks(const PerChunk& per_chunk);
    double run_given();
    double traffic();

    sl::Tokens tokens;
    sl::Trainer trainer;
    int64_t chunk;                        // samples
    std::vector<float> x;                 // [B, L, D]
    std::vector<int> epsilon;             // [B]
    std::vector<sl::Heads<float>> heads;  // of each thread
    std::vector<float> gradients;         // [chunks, parameters]
    std::vector<double> sums;             // [chunks]: of the losses, or of the tokens
};

hone_step::hone_step(const hone_step_problem& p)
    : tokens(flipped_spike(p), int(p.tokens), int(p.dim), sl::Tokens::Directions::random, p.seed),
      trainer(tokens, sl::parse_attention(p.attention, int(p.tokens)), int(p.heads), sl::Loss::finite,
              training_options(p), p.seed),
      chunk(sl::chunk_samples(tokens, int(p.batch))),
      x(p.batch * sample()),
      epsilon(p.batch),
      sums(chunks()) {
    for (int64_t t = 0; t < p.threads; ++t)
        heads.emplace_back(trainer.attention(), sl::Extents{trainer.heads(), tokens.tokens(), tokens.dim()},
                           sl::Loss::finite, int(chunk));
    gradients.assign(chunks() * trainer.state().parameters.size(), 0);
}

// per_chunk(thread, chunk, its first sample, its samples)
template <class PerChunk>
void hone_step::for_chunks(const PerChunk& per_chunk) {
    const int64_t batch = epsilon.size();
#pragma omp parallel for num_threads(int(heads.size())) schedule(dynamic)
    for (int64_t c = 0; c < chunks(); ++c)
        per_chunk(omp_get_thread_num(), c, c * chunk, std::min(chunk, batch - c * chunk));
}

double hone_step::run_given() {
    std::vector<float>& parameters = trainer.state().parameters;
    const int64_t queries = int64_t{trainer.heads()} * tokens.dim();
    const bool trained = trainer.attention().trained;
    for_chunks([&](int thread, int64_t c, int64_t first, int64_t count) {
        float* gradient = gradients.data() + c * int64_t(parameters.size());
        const sl::Samples<float> samples = {int(count), x.data() + first * sample(), epsilon.data() + first};
        sums[c] = heads[thread].backward(samples, trainer.queries(), trainer.bias(),
                                         {gradient, trained ? gradient + queries : nullptr});
    });
    double loss = sums[0];
    for (int64_t c = 1; c < chunks(); ++c) {
        const float* gradient = gradients.data() + c * int64_t(parameters.size());
        for (std::size_t i = 0; i < parameters.size(); ++i) gradients[i] += gradient[i];
        loss += sums[c];
    }
    const float rate = float(trainer.options().rate / double(epsilon.size()));
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i] -= rate * gradients[i];
    return loss / double(epsilon.size());
}

double hone_step::traffic() {
    for_chunks([&](int, int64_t, int64_t first, int64_t count) {
        std::fill_n(x.data() + first * sample(), count * sample(), 1.0f);
    });
    for_chunks([&](int, int64_t c, int64_t first, int64_t count) {
        const float* values = x.data() + first * sample();
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < count * sample(); ++i) sum += values[i];
        sums[c] = sum;
    });
    double sum = 0;
    for (const double s : sums) sum += s;
    return sum;
}

hone_step* hone_step_new(const hone_step_problem* problem) {
    try {
        return new hone_step(*problem);
    } catch (const std::exception&) {
        return nullptr;
    }
}

void hone_step_free(hone_step* step) {
    delete step;
}

double hone_step_run(hone_step* step) {
    return step->trainer.step();
}

double hone_step_run_given(hone_step* step) {
    return step->run_given();
}

float* hone_step_make_tokens(hone_step* step) {
    const int64_t batch = step->epsilon.size();
    step->tokens.make(step->trainer.state().step * batch, int(batch), step->x.data(), step->epsilon.data());
    return step->x.data();
}

std::int32_t* hone_step_epsilon(hone_step* step) {
    return step->epsilon.data();
}

float* hone_step_queries(hone_step* step) {
    return step->trainer.state().parameters.data();
}

float* hone_step_biases(hone_step* step) {
    return hone_step_queries(step) + int64_t{step->trainer.heads()} * step->tokens.dim();
}

double hone_step_share(hone_step* step) {
    return step->trainer.attention().share(step->trainer.heads());
}

const float* hone_step_directions(hone_step* step) {
    return step->tokens.directions().data();
}

double hone_step_traffic(hone_step* step) {
    return step->traffic();
}
