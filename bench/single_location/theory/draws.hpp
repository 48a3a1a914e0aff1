// draws.hpp: fixed quasi-random samples of the model in the limit of D -> infinity, for expectations over
// them.
//
// There the loss is sum_l (delta_l_epsilon - a_l)^2, and a query matters through its components along the F
// hidden directions and along the other queries: a token is taken as its coordinates in a space of that
// dimension, standard normal, plus theta in the first F at epsilon. Tokens are exchangeable, so epsilon = 0.
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <vector>

#include "model/attention.hpp"
#include "model/signal.hpp"

namespace single_location {

// What is drawn: the coordinates are F plus `others`.
struct DrawsShape {
    int tokens;
    int others = 0;
    int count = 4096;    // in all, a multiple of the replicates
    int replicates = 8;  // independent random shifts of one Sobol sequence: their spread tells the error
};

// [heads, coordinates], row-major as the library reads it.
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

class Draws {
  public:
    // The most tokens of which there can be draws: the Sobol sequence has so many dimensions.
    static int most_tokens(const Signal& signal, int others);

    // Throws std::invalid_argument where there are more.
    Draws(const Signal& signal, const DrawsShape& shape, std::uint64_t seed);

    const DrawsShape& shape() const { return shape_; }
    int features() const { return features_; }
    int coordinates() const { return features_ + shape_.others; }
    // Sample i: its tokens [L, coordinates], its theta [F].
    const double* tokens(int i) const {
        return tokens_.data() + std::size_t(i) * shape_.tokens * coordinates();
    }
    const double* theta(int i) const { return thetas_.data() + std::size_t(i) * features_; }

  private:
    DrawsShape shape_;
    int features_;
    std::vector<double> tokens_, thetas_;
};

struct Estimate {
    double value = 0;
    double error = 0;  // one standard error
};

// The mean of independent estimates, with the standard error that their spread tells; NaN for one.
Estimate over_replicates(const std::vector<double>& values);

// The loss at some queries [H, coordinates] and biases [H], and what else was wanted.
struct Population {
    Estimate loss;
    Matrix gradient;       // of the loss in the queries: E[sum_l g_hl x_l]
    Vector bias_gradient;  // E[sum_l g_hl] where the bias is added to the scores
    Matrix noise;          // [H, H]: E[sum_l g_hl g_h'l]
};

enum class Wanted { loss, gradient, gradient_and_noise };

// Expectations over the draws, by the library's kernels in double precision; the same for any number of
// threads.
Population expect(const Draws& draws, const Attention& attention, const Matrix& queries, const Vector& bias,
                  Wanted wanted, int threads);

}  // namespace single_location
