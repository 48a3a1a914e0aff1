// trainer.cpp: a step: chunks of samples, each made and used by one thread while it lies in its cache; then
// the update.
#include "model/trainer.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "random/random.hpp"

namespace single_location {
namespace {

// Bytes of tokens in a chunk: they are read five times, and stay in L2 meanwhile.
constexpr std::int64_t kChunkBytes = 384 << 10;
constexpr int kMostInChunk = 64;
constexpr std::int64_t kUpdateBlock = 4096;  // parameters

constexpr double kDecayFirst = 0.9, kDecaySecond = 0.999, kAdamEpsilon = 1e-8;

}  // namespace

int chunk_samples(const Tokens& tokens, int batch) {
    const std::int64_t bytes = static_cast<std::int64_t>(tokens.tokens()) * tokens.dim() * sizeof(float);
    return static_cast<int>(std::clamp<std::int64_t>(kChunkBytes / bytes, 1, std::min(kMostInChunk, batch)));
}

struct Trainer::Worker {
    Worker(const Attention& attention, const Extents& n, Loss loss, int chunk)
        : heads(attention, n, loss, chunk),
          x(static_cast<std::size_t>(chunk) * n.tokens * n.dim),
          epsilon(chunk) {}

    Heads<float> heads;
    std::vector<float> x;  // [chunk, L, D]
    std::vector<int> epsilon;
};

Trainer::Trainer(const Tokens& tokens, const Attention& attention, int heads, Loss loss,
                 const TrainingOptions& options, std::uint64_t seed)
    : tokens_(tokens),
      attention_(attention),
      heads_(heads),
      options_(options),
      chunk_(chunk_samples(tokens, options.batch)),
      chunks_((options.batch + chunk_ - 1) / chunk_),
      losses_(chunks_) {
    const int dim = tokens.dim();
    const std::size_t queries = static_cast<std::size_t>(heads) * dim, parameters = queries + heads;
    state_.parameters.assign(parameters, static_cast<float>(attention.first_bias));
    set_queries(seed);
    if (options.optimizer == Optimizer::adam) {
        state_.first.assign(parameters, 0);
        state_.second.assign(parameters, 0);
    }
    gradients_.assign(chunks_ * parameters, 0);
    for (int t = 0; t < std::min(options.threads, chunks_); ++t)
        workers_.push_back(
            std::make_unique<Worker>(attention, Extents{heads, tokens.tokens(), dim}, loss, chunk_));
}

Trainer::~Trainer() = default;

void Trainer::set_queries(std::uint64_t seed) {
    const int dim = tokens_.dim(), features = tokens_.signal().features();
    float* q = state_.parameters.data();
    fill_normals(seed, kQueries, 0, heads_, dim, q);
    std::vector<float> overlap(static_cast<std::size_t>(heads_) * features);
    fill_normals(seed, kOverlaps, 0, heads_, features, overlap.data());
    const float size = static_cast<float>(options_.initial_size / std::sqrt(dim));
    for (int h = 0; h < heads_; ++h, q += dim)
        for (int d = 0; d < dim; ++d) {
            float along = 0;
            for (int f = 0; f < features; ++f)
                along +=
                    overlap[h * features + f] * tokens_.directions()[static_cast<std::size_t>(f) * dim + d];
            q[d] = size * q[d] + static_cast<float>(options_.initial_overlap) * along;
        }
}

void Trainer::gradients_of_chunk(Worker& worker, int chunk) {
    const int begin = chunk * chunk_, count = std::min(chunk_, options_.batch - begin);
    tokens_.make(static_cast<std::uint64_t>(state_.step) * options_.batch + begin, count, worker.x.data(),
                 worker.epsilon.data());
    const Samples<float> samples = {count, worker.x.data(), worker.epsilon.data()};
    float* gradient = gradients_.data() + chunk * state_.parameters.size();
    float* bias_gradient = gradient + static_cast<std::ptrdiff_t>(heads_) * tokens_.dim();
    losses_[chunk] = worker.heads.backward(samples, queries(), bias(),
                                           {gradient, attention_.trained ? bias_gradient : nullptr});
}

// Parameters begin .. end - 1: the chunks' gradients, added in their order, then SGD or Adam.
void Trainer::update(std::int64_t begin, std::int64_t end, double rate) {
    const std::size_t count = state_.parameters.size();
    float* total = gradients_.data();
    for (int c = 1; c < chunks_; ++c)
        for (std::int64_t i = begin; i < end; ++i) total[i] += gradients_[c * count + i];
    const float mean = 1.0f / static_cast<float>(options_.batch);
    if (options_.optimizer == Optimizer::sgd) {
        const float step = static_cast<float>(rate) * mean;
        for (std::int64_t i = begin; i < end; ++i) state_.parameters[i] -= step * total[i];
        return;
    }
    const double n = static_cast<double>(state_.step + 1);
    const float to_first = static_cast<float>(rate / (1 - std::pow(kDecayFirst, n)));
    const float to_second = static_cast<float>(1 / (1 - std::pow(kDecaySecond, n)));
    for (std::int64_t i = begin; i < end; ++i) {
        const float g = total[i] * mean;
        float &first = state_.first[i], &second = state_.second[i];
        first = static_cast<float>(kDecayFirst) * first + static_cast<float>(1 - kDecayFirst) * g;
        second = static_cast<float>(kDecaySecond) * second + static_cast<float>(1 - kDecaySecond) * g * g;
        state_.parameters[i] -=
            to_first * first / (std::sqrt(to_second * second) + static_cast<float>(kAdamEpsilon));
    }
}

double Trainer::step() {
    const auto parameters = static_cast<std::int64_t>(state_.parameters.size());
    double rate = options_.rate;
    if (options_.decay > 0)
        rate *= 0.5 * (1 + std::cos(std::numbers::pi * std::min<double>(state_.step, options_.decay) /
                                    static_cast<double>(options_.decay)));
#pragma omp parallel num_threads(static_cast <int>(workers_.size()))
    {
        Worker& worker = *workers_[omp_get_thread_num()];
#pragma omp for schedule(dynamic)
        for (int c = 0; c < chunks_; ++c) gradients_of_chunk(worker, c);
#pragma omp for schedule(static)
        for (std::int64_t begin = 0; begin < parameters; begin += kUpdateBlock)
            update(begin, std::min(begin + kUpdateBlock, parameters), rate);
    }
    ++state_.step;
    double loss = 0;
    for (double l : losses_) loss += l;
    return loss / options_.batch;
}

}  // namespace single_location
