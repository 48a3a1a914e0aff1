// heads.hpp: the heads on a block of samples: prediction, loss and gradients, by the library's forward and
// backward.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "model/attention.hpp"

namespace single_location {

// The extents of a model. Keys and values are the tokens themselves; in the limit of D -> infinity, where a
// token's noise is orthogonal to all others', the values may be taken as unit vectors, and the prediction as
// the weights.
struct Extents {
    int heads;      // H
    int tokens;     // L
    int key_dim;    // of the queries and keys
    int value_dim;  // of the values and the prediction
};

// A block of samples; strides in elements.
template <class T>
struct Samples {
    int count;
    const T* keys;                // [count, L, key_dim]
    std::ptrdiff_t key_stride;    // from token to token; from sample to sample L times that
    const T* values;              // [count, L, value_dim]
    std::ptrdiff_t value_batch;   // from sample to sample; 0: the same values for all
    std::ptrdiff_t value_stride;  // from token to token
    const int* marked;            // [count]: epsilon, the token whose value is to be predicted
};

// Where gradients go, summed over the samples of a block; null: not wanted.
template <class T>
struct Gradients {
    T* queries;         // [H, key_dim]
    T* bias = nullptr;  // [H]
    T* keys = nullptr;  // [count, L, key_dim], with the strides of the samples' keys
};

// prediction = c sum_h o_h; loss = norm |prediction - v_epsilon|^2 for one sample. One thread; each thread
// its own.
template <class T>
class Heads {
  public:
    // `most` samples at once.
    Heads(const Attention& attention, const Extents& extents, double norm, int most);

    // The losses' sum. With q [H, key_dim], bias [H].
    double forward(const Samples<T>& samples, const T* q, const T* bias);
    // The losses' sum and its gradients.
    double backward(const Samples<T>& samples, const T* q, const T* bias, const Gradients<T>& to);

    // After either, of each sample of the block: its loss; what each head gave, o [count, H, value_dim].
    std::span<const double> losses() const { return losses_; }
    const T* outputs() const { return o_.data(); }

  private:
    hone::Forward<T> forward_call(const Samples<T>& samples, const T* q, const T* bias);
    void residuals(const Samples<T>& samples);

    Attention attention_;
    Extents n_;
    double norm_;
    hone_problem problem_;
    std::vector<T> o_;         // [most, H, value_dim]
    std::vector<T> residual_;  // [most, value_dim]: 2 c norm (prediction - target), the gradient of every o_h
    std::vector<T> lse_;
    std::vector<double> losses_;
    std::vector<std::byte> workspace_;
};

}  // namespace single_location
