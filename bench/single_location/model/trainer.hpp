// trainer.hpp: one-pass training of the queries and biases: fresh samples at every step, by SGD or Adam.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/heads.hpp"
#include "model/tokens.hpp"

namespace single_location {

enum class Optimizer { sgd, adam };

// The samples that a thread makes and uses at a time: a function of the shape alone.
int chunk_samples(const Tokens& tokens, int batch);

struct TrainingOptions {
    int batch = 256;
    Optimizer optimizer = Optimizer::sgd;
    double rate = 0.1;       // eta
    std::int64_t decay = 0;  // the rate falls as a cosine to 0 at this step; 0: it stays
    // Of a query: its components are normal with standard deviation size / sqrt(D).
    double initial_size = 0.01;
    // Also along each hidden direction, normal with this standard deviation, at any D.
    double initial_overlap = 0;
    int threads = 1;
};

// What a run is at a moment; with the seed, all that is needed to go on.
struct TrainingState {
    std::int64_t step = 0;
    std::vector<float> parameters;     // the queries [H, D], then the biases [H]
    std::vector<float> first, second;  // Adam's moments of them
};

// In the limit the tokens are to be the coordinates along the directions alone. Every result is bitwise the
// same for any number of threads.
class Trainer {
  public:
    Trainer(const Tokens& tokens, const Attention& attention, int heads, Loss loss,
            const TrainingOptions& options, std::uint64_t seed);
    ~Trainer();

    // One step on the next `batch` samples; returns their mean loss before it.
    double step();

    int heads() const { return heads_; }
    const Attention& attention() const { return attention_; }
    const Tokens& tokens() const { return tokens_; }
    const TrainingOptions& options() const { return options_; }
    TrainingState& state() { return state_; }
    const float* queries() const { return state_.parameters.data(); }
    const float* bias() const { return queries() + static_cast<std::ptrdiff_t>(heads_) * tokens_.dim(); }

  private:
    struct Worker;  // one thread's buffers

    void set_queries(std::uint64_t seed);
    void gradients_of_chunk(Worker& worker, int chunk);
    void update(std::int64_t begin, std::int64_t end, double rate);

    const Tokens& tokens_;
    Attention attention_;
    int heads_;
    TrainingOptions options_;
    TrainingState state_;
    int chunk_, chunks_;            // samples of a chunk, chunks of a batch
    std::vector<float> gradients_;  // [chunks, parameters]
    std::vector<double> losses_;    // [chunks]
    std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace single_location
