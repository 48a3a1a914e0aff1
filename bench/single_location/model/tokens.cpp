// tokens.cpp: the directions, the labels and the tokens of a sample, from its number alone.
#include "model/tokens.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <stdexcept>

#include "random/random.hpp"

namespace single_location {
namespace {

// F orthonormal rows of length D: the thin Q of normals.
std::vector<float> random_directions(int features, int dim, std::uint64_t seed) {
    Eigen::MatrixXf normals(dim, features);
    fill_normals(seed, kDirections, 0, features, dim, normals.data());
    const Eigen::MatrixXd x = normals.cast<double>();
    const Eigen::MatrixXd q = x.householderQr().householderQ() * Eigen::MatrixXd::Identity(dim, features);
    std::vector<float> rows(static_cast<std::size_t>(features) * dim);
    for (int f = 0; f < features; ++f)
        for (int d = 0; d < dim; ++d)
            rows[static_cast<std::size_t>(f) * dim + d] = static_cast<float>(q(d, f));
    return rows;
}

// Words of a sample's label as numbers in (0, 1): number i is word i % 4 of block i / 4.
double uniform(std::uint64_t seed, std::uint64_t sample, std::uint32_t i) {
    return (random_words(seed, kLabels, sample, i / 4)[i % 4] + 0.5) * 0x1p-32;
}

}  // namespace

Tokens::Tokens(const Signal& signal, int tokens, int dim, Directions directions, std::uint64_t seed)
    : signal_(signal), tokens_(tokens), dim_(dim), seed_(seed) {
    const int features = signal.features();
    if (dim < features)
        throw std::invalid_argument("--dim should be at least the number of directions, " +
                                    std::to_string(features));
    if (directions == Directions::random) {
        directions_ = random_directions(features, dim, seed);
    } else {
        directions_.assign(static_cast<std::size_t>(features) * dim, 0.0f);
        for (int f = 0; f < features; ++f) directions_[static_cast<std::size_t>(f) * dim + f] = 1;
    }
}

void Tokens::make(std::uint64_t first, int count, float* x, int* epsilon, double* theta) const {
    const std::int64_t size = static_cast<std::int64_t>(tokens_) * dim_;
    const int features = signal_.features();
    fill_normals(seed_, kNoise, first, count, size, x);
    std::vector<double> numbers(signal_.uniforms()), drawn(features);
    for (int i = 0; i < count; ++i) {
        const std::uint64_t sample = first + i;
        epsilon[i] = static_cast<int>(uniform(seed_, sample, 0) * tokens_);
        for (int n = 0; n < signal_.uniforms(); ++n) numbers[n] = uniform(seed_, sample, 1 + n);
        signal_.draw(numbers, drawn);
        if (theta) std::copy(drawn.begin(), drawn.end(), theta + std::ptrdiff_t(i) * features);
        float* marked = x + i * size + static_cast<std::int64_t>(epsilon[i]) * dim_;
        for (int f = 0; f < features; ++f) {
            const float strength = static_cast<float>(drawn[f]);
            const float* k = directions_.data() + static_cast<std::ptrdiff_t>(f) * dim_;
            for (int d = 0; d < dim_; ++d) marked[d] += strength * k[d];
        }
    }
}

}  // namespace single_location
