// draws.cpp: the points, by a shifted Sobol sequence, and the expectations, a block of samples at a time.
#include "theory/draws.hpp"

#include <algorithm>
#include <boost/random/sobol.hpp>
#include <cmath>
#include <random>
#include <stdexcept>

#include "model/heads.hpp"

namespace single_location {
namespace {

constexpr int kMostDimensions = 3667;  // of boost's direction numbers
constexpr int kBlock = 32;  // samples of one call: few enough that several threads share 4096 evenly

}  // namespace

int Draws::most_tokens(const Signal& signal, int others) {
    return (kMostDimensions - signal.uniforms()) / (signal.features() + others);
}

Draws::Draws(const Signal& signal, const DrawsShape& shape, std::uint64_t seed)
    : shape_(shape), features_(signal.features()) {
    const int normals = shape.tokens * coordinates(), dimensions = signal.uniforms() + normals;
    if (shape.tokens > most_tokens(signal, shape.others))
        throw std::invalid_argument("tokens: is " + std::to_string(shape.tokens) + "; should be at most " +
                                    std::to_string(most_tokens(signal, shape.others)));
    const int each = shape.count / shape.replicates;
    shape_.count = each * shape.replicates;
    tokens_.resize(std::size_t(shape_.count) * normals);
    thetas_.resize(std::size_t(shape_.count) * features_);
    std::mt19937_64 shifts(seed);
    std::vector<std::uint64_t> shift(dimensions);
    std::vector<double> uniform(dimensions);
    for (int r = 0; r < shape.replicates; ++r) {
        boost::random::sobol points(dimensions);
        for (auto& bits : shift) bits = shifts();
        for (int n = 0; n < each; ++n) {
            for (int d = 0; d < dimensions; ++d)
                uniform[d] = (static_cast<double>((points() ^ shift[d]) >> 12) + 0.5) * 0x1p-52;
            const std::size_t i = std::size_t(r) * each + n;
            double* theta = thetas_.data() + i * features_;
            double* x = tokens_.data() + i * normals;
            signal.draw(uniform, {theta, std::size_t(features_)});
            std::transform(uniform.begin() + signal.uniforms(), uniform.end(), x, normal_quantile);
            for (int f = 0; f < features_; ++f) x[f] += theta[f];
        }
    }
}

Estimate over_replicates(const std::vector<double>& values) {
    const double count = static_cast<double>(values.size());
    Estimate mean;
    for (double value : values) mean.value += value / count;
    for (double value : values) mean.error += std::pow(value - mean.value, 2);
    mean.error = std::sqrt(mean.error / (count * (count - 1)));
    return mean;
}

namespace {

// The sums of one block.
struct Sums {
    double loss;
    Matrix gradient, noise;
    Vector bias_gradient;
};

// What is the same for all blocks.
struct Question {
    const Draws& draws;
    const Attention& attention;
    Matrix queries;  // with a unit vector for each head behind, where the noise is wanted
    const Vector& bias;
    Wanted wanted;
    std::vector<int> marked;
};

// One thread's work on blocks.
class Blocks {
  public:
    explicit Blocks(const Question& ask)
        : ask_(ask),
          width_(static_cast<int>(ask.queries.cols())),
          heads_(ask.attention, {static_cast<int>(ask.queries.rows()), ask.draws.shape().tokens, width_},
                 Loss::limit, kBlock) {
        if (ask.wanted != Wanted::gradient_and_noise) return;
        padded_.setZero(kBlock * ask.draws.shape().tokens, width_);
        keys_gradient_.resize(kBlock * ask.draws.shape().tokens, width_);
    }

    Sums run(int first, int count) {
        const int tokens = ask_.draws.shape().tokens, coordinates = ask_.draws.coordinates();
        const int heads = static_cast<int>(ask_.queries.rows());
        const bool noise = ask_.wanted == Wanted::gradient_and_noise;
        const double* x = ask_.draws.tokens(first);
        if (noise)
            padded_.topLeftCorner(count * tokens, coordinates) =
                Eigen::Map<const Matrix>(x, count * tokens, coordinates);
        const Samples<double> samples = {count, noise ? padded_.data() : x, ask_.marked.data()};
        Sums sums;
        if (ask_.wanted == Wanted::loss) {
            sums.loss = heads_.forward(samples, ask_.queries.data(), ask_.bias.data());
            return sums;
        }
        Matrix gradient(heads, width_);
        sums.bias_gradient.setZero(heads);
        sums.loss =
            heads_.backward(samples, ask_.queries.data(), ask_.bias.data(),
                            {gradient.data(), ask_.attention.trained ? sums.bias_gradient.data() : nullptr,
                             noise ? keys_gradient_.data() : nullptr});
        sums.gradient = gradient.leftCols(coordinates);
        if (noise) {
            // dk_l = sum_h g_hl q_h: behind the unit vectors of the heads stands g itself.
            const auto g = keys_gradient_.topRightCorner(count * tokens, heads);
            sums.noise = g.transpose() * g;
        }
        return sums;
    }

  private:
    const Question& ask_;
    int width_;
    Heads<double> heads_;
    Matrix padded_, keys_gradient_;
};

}  // namespace

Population expect(const Draws& draws, const Attention& attention, const Matrix& queries, const Vector& bias,
                  Wanted wanted, int threads) {
    const DrawsShape& shape = draws.shape();
    const Eigen::Index heads = queries.rows();
    Question ask = {draws, attention, queries, bias, wanted, std::vector<int>(kBlock, 0)};
    if (wanted == Wanted::gradient_and_noise) {
        ask.queries.conservativeResize(Eigen::NoChange, queries.cols() + heads);
        ask.queries.rightCols(heads).setIdentity();
    }
    const int each = shape.count / shape.replicates, in_replicate = (each + kBlock - 1) / kBlock;
    std::vector<Sums> sums(std::size_t(shape.replicates) * in_replicate);
#pragma omp parallel num_threads(threads)
    {
        Blocks blocks(ask);
#pragma omp for schedule(static)
        for (int i = 0; i < static_cast<int>(sums.size()); ++i) {
            const int begin = i % in_replicate * kBlock;
            sums[i] = blocks.run(i / in_replicate * each + begin, std::min(kBlock, each - begin));
        }
    }
    Population all;
    std::vector<double> loss(shape.replicates);
    for (std::size_t i = 0; i < sums.size(); ++i) loss[i / in_replicate] += sums[i].loss / each;
    all.loss = over_replicates(loss);
    if (wanted == Wanted::loss) return all;
    all.gradient.setZero(heads, draws.coordinates());
    all.bias_gradient.setZero(heads);
    if (wanted == Wanted::gradient_and_noise) all.noise.setZero(heads, heads);
    for (const Sums& s : sums) {
        all.gradient += s.gradient / shape.count;
        all.bias_gradient += s.bias_gradient / shape.count;
        if (wanted == Wanted::gradient_and_noise) all.noise += s.noise / shape.count;
    }
    return all;
}

}  // namespace single_location
