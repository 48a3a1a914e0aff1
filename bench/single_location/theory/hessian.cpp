// hessian.cpp: Newton's method for the fixed point, and the Hessian's block in which heads move apart, by
// central differences of exact gradients.
#include "theory/hessian.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace single_location {
namespace {

constexpr double kDifference = 1e-3;  // the error of a central difference is its square
constexpr double kStationary = 1e-9;  // of the gradient's norm
constexpr int kMostSteps = 200;
constexpr double kLongestStep = 0.5;

// The loss as a function of one vector x for each head: its query [F + 1], then its bias if that is trained.
class Landscape {
  public:
    Landscape(const Draws& draws, const Attention& attention, int heads, int threads,
              const std::function<void()>& poll)
        : draws_(draws), attention_(attention), heads_(heads), threads_(threads), poll_(poll) {}

    Eigen::Index size() const { return draws_.coordinates() + (attention_.trained ? 1 : 0); }

    Vector start() const {
        Vector x = Vector::Zero(size());
        if (attention_.trained) x[x.size() - 1] = attention_.first_bias;
        return x;
    }

    // [H, size]: the gradient with head 0 at `first`, head 1 at `second`, the others at x.
    Matrix gradient(const Vector& x, const Vector& first, const Vector& second) {
        poll_();
        const Eigen::Index coordinates = draws_.coordinates();
        Matrix all = x.transpose().replicate(heads_, 1);
        all.row(0) = first, all.row(1) = second;
        const Vector bias = attention_.trained ? Vector(all.rightCols(1))
                                               : Vector(Vector::Constant(heads_, attention_.first_bias));
        const Population p =
            expect(draws_, attention_, all.leftCols(coordinates), bias, Wanted::gradient, threads_);
        loss_ = p.loss;
        all.leftCols(coordinates) = p.gradient;
        if (attention_.trained) all.rightCols(1) = p.bias_gradient;
        return all;
    }
    // Of the loss where all heads are at x.
    Vector shared_gradient(const Vector& x) { return gradient(x, x, x).colwise().sum(); }
    Estimate loss() const { return loss_; }

    // The derivative of `gradient` along each axis, as a symmetric matrix.
    template <class Function>
    Eigen::MatrixXd derivative(Function gradient) const {
        Eigen::MatrixXd matrix(size(), size());
        for (Eigen::Index i = 0; i < size(); ++i) {
            const Vector step = kDifference * Vector::Unit(size(), i);
            matrix.col(i) = (gradient(step) - gradient(-step)) / (2 * kDifference);
        }
        return (matrix + matrix.transpose()) / 2;
    }

  private:
    const Draws& draws_;
    const Attention& attention_;
    int heads_, threads_;
    const std::function<void()>& poll_;
    Estimate loss_;
};

// Newton steps whose curvatures are taken as positive, so that they go downhill.
Vector fixed_point(Landscape& landscape) {
    Vector x = landscape.start();
    for (int i = 0; i < kMostSteps; ++i) {
        const Vector gradient = landscape.shared_gradient(x);
        if (gradient.norm() < kStationary) return x;
        const auto curvature =
            landscape.derivative([&](const Vector& step) { return landscape.shared_gradient(x + step); });
        const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(curvature);
        const Vector along = eigen.eigenvectors().transpose() * gradient;
        Vector step = -(eigen.eigenvectors() * along.cwiseQuotient(eigen.eigenvalues().cwiseAbs()));
        step *= std::min(1.0, kLongestStep / step.norm());
        x += step;
    }
    throw std::runtime_error("no fixed point with equal heads is found in " + std::to_string(kMostSteps) +
                             " steps");
}

// Its columns are the modes of one set of draws, the lowest eigenvalue first.
Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> parting(Landscape& landscape, const Vector& x) {
    return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(landscape.derivative([&](const Vector& step) {
        const Matrix gradient = landscape.gradient(x, x + step, x - step);
        return Vector((gradient.row(0) - gradient.row(1)) / 2);
    }));
}

}  // namespace

Unspecialised unspecialised(const Signal& signal, const Attention& attention, int heads,
                            const DrawsShape& shape, std::uint64_t seed, int threads, int sets,
                            const std::function<void()>& poll) {
    if (heads < 2) throw std::runtime_error("heads part only where there are two at least");
    DrawsShape with_elsewhere = shape;
    with_elsewhere.others = 1;
    Unspecialised all;
    std::vector<Vector> eigenvalues;
    std::vector<double> losses;
    for (int set = 0; set < sets; ++set) {
        const Draws draws(signal, with_elsewhere, seed + set);
        Landscape landscape(draws, attention, heads, threads, poll);
        const Vector x = fixed_point(landscape);
        losses.push_back(landscape.loss().value);
        const auto modes = parting(landscape, x);
        eigenvalues.push_back(modes.eigenvalues());
        if (set > 0) continue;
        all.query = x.head(draws.coordinates());
        all.bias = attention.trained ? x[x.size() - 1] : attention.first_bias;
        for (Eigen::Index m = 0; m < x.size(); ++m) {
            Eigen::Index feature = 0;
            modes.eigenvectors().col(m).cwiseAbs().maxCoeff(&feature);
            all.modes.push_back({static_cast<int>(feature), {}, modes.eigenvectors().col(m)});
        }
    }
    all.loss = over_replicates(losses);
    for (std::size_t m = 0; m < all.modes.size(); ++m) {
        std::vector<double> values;
        for (const Vector& v : eigenvalues) values.push_back(v[static_cast<Eigen::Index>(m)]);
        all.modes[m].eigenvalue = over_replicates(values);
    }
    return all;
}

}  // namespace single_location
