// flow.cpp: the right-hand side, from gradients in reduced coordinates, and its integration.
#include "theory/flow.hpp"

#include <boost/numeric/odeint.hpp>

namespace single_location {

// [M, R] with R R^T = Q - M M^T: the symmetric root, which moves smoothly as heads align.
Matrix reduced_queries(const Overlaps& at) {
    const Eigen::Index heads = at.m.rows(), features = at.m.cols();
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(at.q - at.m * at.m.transpose());
    const Vector roots = solver.eigenvalues().cwiseMax(0).cwiseSqrt();
    Matrix queries(heads, features + heads);
    queries << at.m, solver.eigenvectors() * roots.asDiagonal() * solver.eigenvectors().transpose();
    return queries;
}

Overlaps rates(const Draws& draws, const Attention& attention, const Overlaps& at,
               const FlowOptions& options) {
    const Matrix queries = reduced_queries(at);
    const Population p =
        expect(draws, attention, queries, at.bias,
               options.noise > 0 ? Wanted::gradient_and_noise : Wanted::gradient, options.threads);
    const Matrix across = p.gradient * queries.transpose();  // [h, h']: E[sum_l g_hl chi_h'l]
    Overlaps rate = {-p.gradient.leftCols(at.m.cols()), -(across + across.transpose()), -p.bias_gradient};
    if (options.noise > 0) rate.q += options.noise * p.noise;
    return rate;
}

namespace {

using State = std::vector<double>;  // M, Q, bias, one after the other

State pack(const Overlaps& o) {
    State state(o.m.data(), o.m.data() + o.m.size());
    state.insert(state.end(), o.q.data(), o.q.data() + o.q.size());
    state.insert(state.end(), o.bias.data(), o.bias.data() + o.bias.size());
    return state;
}

Overlaps unpack(const State& state, Eigen::Index heads, Eigen::Index features) {
    const double* at = state.data();
    return {Eigen::Map<const Matrix>(at, heads, features),
            Eigen::Map<const Matrix>(at + heads * features, heads, heads),
            Eigen::Map<const Vector>(at + heads * (features + heads), heads)};
}

}  // namespace

std::vector<Moment> integrate(const Draws& draws, const Attention& attention, const Overlaps& start,
                              const std::vector<double>& times, const FlowOptions& options,
                              const std::function<void(const Moment&)>& seen) {
    namespace odeint = boost::numeric::odeint;
    const Eigen::Index heads = start.m.rows(), features = start.m.cols();
    const auto slope = [&](const State& state, State& rate, double) {
        options.poll();
        rate = pack(rates(draws, attention, unpack(state, heads, features), options));
    };
    std::vector<Moment> moments;
    const auto observe = [&](const State& state, double time) {
        Moment moment = {time, unpack(state, heads, features), {}};
        moment.loss = expect(draws, attention, reduced_queries(moment.overlaps), moment.overlaps.bias,
                             Wanted::loss, options.threads)
                          .loss;
        moments.push_back(moment);
        if (seen) seen(moments.back());
    };
    State state = pack(start);
    odeint::integrate_times(
        odeint::make_dense_output(options.tolerance, options.tolerance, odeint::runge_kutta_dopri5<State>()),
        slope, state, times.begin(), times.end(), 0.1, observe);
    return moments;
}

}  // namespace single_location
