// test_set.cpp: blocks of test samples, in double precision, through the library's forward.
#include "experiment/test_set.hpp"

#include <algorithm>

#include "model/heads.hpp"
#include "theory/bayes.hpp"

namespace single_location {
namespace {

constexpr int kBlock = 32;  // samples of one call

}  // namespace

struct TestSet::Buffers {
    std::vector<float> drawn;
    std::vector<double> x, theta;
    std::vector<int> epsilon;
};

TestSet::TestSet(const Settings& settings, const Tokens& trained_on, std::uint64_t seed)
    : tokens_(settings.tokens),
      dim_(trained_on.dim()),
      samples_(settings.samples / kReplicates * kReplicates),
      threads_(settings.threads),
      signal_(trained_on.signal()) {
    const int features = signal_.features();
    directions_ = Eigen::Map<const Eigen::Matrix<float, -1, -1, Eigen::RowMajor>>(
                      trained_on.directions().data(), features, dim_)
                      .cast<double>();
    auto draws = std::make_unique<Draws>(signal_, DrawsShape{tokens_, 0, samples_, kReplicates}, seed);
    bayes_ = bayes_risk(signal_, *draws);
    if (settings.dim == 0)
        draws_ = std::move(draws);
    else
        fresh_ = std::make_unique<Tokens>(trained_on.with_seed(seed));
}

// Samples first .. first + count - 1.
Samples<double> TestSet::load(Buffers& b, int first, int count) const {
    const std::size_t size = static_cast<std::size_t>(tokens_) * dim_;
    b.theta.resize(static_cast<std::size_t>(count) * signal_.features());
    b.epsilon.assign(count, 0);
    const double* x = nullptr;
    if (draws_) {
        x = draws_->tokens(first);
        std::copy_n(draws_->theta(first), b.theta.size(), b.theta.begin());
    } else {
        b.drawn.resize(count * size);
        fresh_->make(first, count, b.drawn.data(), b.epsilon.data(), b.theta.data());
        b.x.assign(b.drawn.begin(), b.drawn.end());
        x = b.x.data();
    }
    return {count, x, b.epsilon.data()};
}

Estimate TestSet::risk(const Attention& attention, const Parameters& at, const Poll& poll) const {
    if (draws_) return expect(*draws_, attention, at.queries, at.bias, Wanted::loss, threads_).loss;
    const int heads = static_cast<int>(at.queries.rows());
    std::vector<double> losses(samples_);
    std::vector<std::unique_ptr<Heads<double>>> models;
    for (int t = 0; t < threads_; ++t)
        models.push_back(
            std::make_unique<Heads<double>>(attention, Extents{heads, tokens_, dim_}, Loss::finite, kBlock));
    std::vector<Buffers> buffers(threads_);
    const int turn = kBlock * threads_;
    for (int begin = 0; begin < samples_; begin += turn) {
        poll();
#pragma omp parallel for num_threads(threads_) schedule(static, 1)
        for (int t = 0; t < threads_; ++t) {
            const int first = begin + t * kBlock, count = std::min(kBlock, samples_ - first);
            if (count <= 0) continue;
            models[t]->forward(load(buffers[t], first, count), at.queries.data(), at.bias.data());
            std::copy(models[t]->losses().begin(), models[t]->losses().end(), losses.begin() + first);
        }
    }
    std::vector<double> means(kReplicates);
    for (int i = 0; i < samples_; ++i) {
        const int each = samples_ / kReplicates;
        means[i / each] += losses[i] / each;
    }
    return over_replicates(means);
}

void TestSet::weigh(const Attention& attention, const Parameters& at,
                    const std::function<void(const Weighed&)>& seen, const Poll& poll) const {
    const int heads = static_cast<int>(at.queries.rows()), features = signal_.features();
    const int each = samples_ / kReplicates;
    Heads<double> model(attention, {heads, tokens_, dim_}, Loss::limit, kBlock);
    Buffers buffers;
    Matrix weight(heads, tokens_);
    for (int first = 0; first < samples_; first += kBlock) {
        poll();
        const int count = std::min(kBlock, samples_ - first);
        model.forward(load(buffers, first, count), at.queries.data(), at.bias.data());
        for (int i = 0; i < count; ++i) {
            weight = attention.share(heads) *
                     Eigen::Map<const Matrix>(model.weights() + std::ptrdiff_t(i) * heads * tokens_, heads,
                                              tokens_);
            seen({(first + i) / each, buffers.theta.data() + std::ptrdiff_t(i) * features, buffers.epsilon[i],
                  weight.data()});
        }
    }
}

Matrix TestSet::overlaps(const Parameters& at) const {
    return at.queries * directions_.transpose();
}

}  // namespace single_location
