// heads.hpp: the heads on a block of samples: weights, loss and gradients, by the library's forward and
// backward.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "model/attention.hpp"

namespace single_location {

// finite: |y - prediction|^2 / D. limit: that of D -> infinity, sum_l (delta_l_epsilon - a_l)^2, where a
// token is given by its coordinates in what dimensions matter.
enum class Loss { finite, limit };

struct Extents {
    int heads;   // H
    int tokens;  // L
    int dim;     // of a token and of a query
};

// A block of samples.
template <class T>
struct Samples {
    int count;
    const T* tokens;    // [count, L, dim]
    const int* marked;  // [count]: epsilon, the token that is to be predicted
};

// Where gradients go, summed over the samples of a block; null: not wanted.
template <class T>
struct Gradients {
    T* queries;         // [H, dim]
    T* bias = nullptr;  // [H]
    T* keys = nullptr;  // [count, L, dim]: of the tokens as keys alone
};

// a_l = c sum_h A_hl, prediction = sum_l a_l x_l. The heads attend to unit vectors, so that the library gives
// their weights: the prediction is then one product with the tokens, not one for each head, and so is the
// gradient of a. These two are the library's linear attention. For one thread; each thread has its own.
template <class T>
class Heads {
  public:
    // `most` samples at once.
    Heads(const Attention& attention, const Extents& extents, Loss loss, int most);

    // The losses' sum. With q [H, dim], bias [H].
    double forward(const Samples<T>& samples, const T* q, const T* bias);
    // The losses' sum and its gradients.
    double backward(const Samples<T>& samples, const T* q, const T* bias, const Gradients<T>& to);

    // After either, of each sample of the block: its loss; the weights of each head, A [count, H, L].
    std::span<const double> losses() const { return losses_; }
    const T* weights() const { return weights_.data(); }

  private:
    hone::Forward attend(const Samples<T>& samples, const T* q, const T* bias);
    void sum_weights(const Samples<T>& samples);
    void predict(const Samples<T>& samples);
    void differentiate(const Samples<T>& samples);
    void linear(const hone::Problem& problem, hone::Forward call);
    std::span<T> lse_of(int samples);

    Attention attention_;
    Extents n_;
    Loss loss_;
    hone::Problem problem_, linear_;
    std::vector<T> identity_;  // [L, L]
    std::vector<T> weights_;   // [most, H, L]
    std::vector<T> off_;       // [most, L]: a - delta
    std::vector<T> residual_;  // [most, dim]: prediction - y
    std::vector<T> slope_;     // [most, L]: the gradient of the weights, the same for all heads
    std::vector<T> lse_;
    std::vector<double> losses_;
    std::vector<std::byte> workspace_;
};

}  // namespace single_location
