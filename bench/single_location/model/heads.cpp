// heads.cpp: the library's calls in the paper's shape: one query a head, shared by all samples; one kv head.
#include "model/heads.hpp"

#include <algorithm>
#include <numeric>

namespace single_location {
namespace {

// Sets the field of a call that the attention's bias is.
template <class Call>
void set_bias(Call& call, Bias kind, const hone::ConstArray& bias) {
    if (kind == Bias::sink) call.sink = bias;
    if (kind == Bias::log_prior) call.log_prior = bias;
    if (kind == Bias::shift) call.shift = bias;
}

void set_bias_gradient(hone::Backward& call, Bias kind, const hone::Array& dbias) {
    if (kind == Bias::sink) call.dsink = dbias;
    if (kind == Bias::log_prior) call.dlog_prior = dbias;
    if (kind == Bias::shift) call.dshift = dbias;
}

template <class T>
double squared_norm(const T* x, int n) {
    T squares[8] = {};  // as many sums, so that they need not wait for each other
    for (int i = 0; i < n; ++i) squares[i % 8] += x[i] * x[i];
    return std::accumulate(squares, squares + 8, 0.0);
}

}  // namespace

template <class T>
Heads<T>::Heads(const Attention& attention, const Extents& extents, Loss loss, int most)
    : attention_(attention),
      n_(extents),
      loss_(loss),
      identity_(static_cast<std::size_t>(n_.tokens) * n_.tokens),
      weights_(static_cast<std::size_t>(most) * n_.heads * n_.tokens),
      off_(static_cast<std::size_t>(most) * n_.tokens),
      residual_(loss == Loss::finite ? static_cast<std::size_t>(most) * n_.dim : 0),
      slope_(off_.size()),
      lse_(static_cast<std::size_t>(most) * n_.heads),
      losses_(most) {
    for (int l = 0; l < n_.tokens; ++l) identity_[static_cast<std::size_t>(l) * (n_.tokens + 1)] = 1;
    problem_ = {.activation = attention.activation,
                .query_heads = n_.heads,
                .queries = 1,
                .keys = n_.tokens,
                .key_dim = n_.dim,
                .value_dim = n_.tokens,
                .scale = 1,
                .weight = attention.weight,
                .threads = 1};
    linear_ = {
        .activation = HONE_LINEAR, .queries = 1, .keys = n_.tokens, .scale = 1, .weight = 1, .threads = 1};
}

template <class T>
hone::Forward Heads<T>::attend(const Samples<T>& s, const T* q, const T* bias) {
    problem_.batch = linear_.batch = s.count;
    losses_.resize(s.count);
    hone::Forward call = {.q = hone::strided(q, 0, n_.dim, n_.dim),
                          .k = hone::bhnd(s.tokens, 1, n_.tokens, n_.dim),
                          .v = hone::strided(identity_.data(), 0, 0, n_.tokens),
                          .o = hone::bhnd(weights_.data(), n_.heads, 1, n_.tokens)};
    if (hone::describe(attention_.activation).normalised) call.lse = lse_of(s.count);
    if (bias) set_bias(call, attention_.bias, std::span(bias, n_.heads));
    return call;
}

// [samples, groups]: of each head, or of all where they are joined.
template <class T>
std::span<T> Heads<T>::lse_of(int samples) {
    const int groups = hone::describe(attention_.activation).joint ? 1 : n_.heads;
    return std::span(lse_).first(static_cast<std::size_t>(samples) * groups);
}

// a - delta.
template <class T>
void Heads<T>::sum_weights(const Samples<T>& s) {
    const T share = static_cast<T>(attention_.share(n_.heads));
    for (int i = 0; i < s.count; ++i) {
        const T* weights = weights_.data() + static_cast<std::ptrdiff_t>(i) * n_.heads * n_.tokens;
        T* off = off_.data() + static_cast<std::ptrdiff_t>(i) * n_.tokens;
        std::fill(off, off + n_.tokens, T(0));
        for (int h = 0; h < n_.heads; ++h)
            for (int l = 0; l < n_.tokens; ++l) off[l] += share * weights[h * n_.tokens + l];
        off[s.marked[i]] -= 1;
    }
}

// o = (scale q k^T) v, for one row of each sample.
template <class T>
void Heads<T>::linear(const hone::Problem& problem, hone::Forward call) {
    const T no_shift[] = {0};
    call.shift = no_shift;
    workspace_.resize(std::max(workspace_.size(), hone::workspace_bytes(problem, call)));
    call.workspace = workspace_;
    hone::forward(problem, call);
}

// The losses, and of a finite dimension the residuals: off times the tokens.
template <class T>
void Heads<T>::predict(const Samples<T>& s) {
    const int size = loss_ == Loss::finite ? n_.dim : n_.tokens;
    if (loss_ == Loss::finite) {
        hone::Problem problem = linear_;
        problem.key_dim = n_.tokens, problem.value_dim = n_.dim;
        linear(problem, {.q = hone::bhnd(off_.data(), 1, 1, n_.tokens),
                         .k = hone::strided(identity_.data(), 0, 0, n_.tokens),
                         .v = hone::bhnd(s.tokens, 1, n_.tokens, n_.dim),
                         .o = hone::bhnd(residual_.data(), 1, 1, n_.dim)});
    }
    const T* residual = loss_ == Loss::finite ? residual_.data() : off_.data();
    const double norm = loss_ == Loss::finite ? 1.0 / n_.dim : 1;
    for (int i = 0; i < s.count; ++i)
        losses_[i] = norm * squared_norm(residual + static_cast<std::ptrdiff_t>(i) * size, size);
}

// The gradient of the weights: 2 c / D times the residuals' products with the tokens; in the limit 2 c off.
template <class T>
void Heads<T>::differentiate(const Samples<T>& s) {
    const double factor = 2 * attention_.share(n_.heads);
    if (loss_ == Loss::limit) {
        for (int i = 0; i < s.count * n_.tokens; ++i) slope_[i] = static_cast<T>(factor) * off_[i];
        return;
    }
    hone::Problem problem = linear_;
    problem.key_dim = n_.dim, problem.value_dim = n_.tokens;
    problem.scale = factor / n_.dim;
    linear(problem, {.q = hone::bhnd(residual_.data(), 1, 1, n_.dim),
                     .k = hone::bhnd(s.tokens, 1, n_.tokens, n_.dim),
                     .v = hone::strided(identity_.data(), 0, 0, n_.tokens),
                     .o = hone::bhnd(slope_.data(), 1, 1, n_.tokens)});
}

template <class T>
double Heads<T>::forward(const Samples<T>& s, const T* q, const T* bias) {
    hone::Forward call = attend(s, q, bias);
    workspace_.resize(std::max(workspace_.size(), hone::workspace_bytes(problem_, call)));
    call.workspace = workspace_;
    hone::forward(problem_, call);
    sum_weights(s);
    predict(s);
    return std::accumulate(losses_.begin(), losses_.end(), 0.0);
}

template <class T>
double Heads<T>::backward(const Samples<T>& s, const T* q, const T* bias, const Gradients<T>& to) {
    const double loss = forward(s, q, bias);
    differentiate(s);
    const hone::Forward forward = attend(s, q, bias);
    hone::Backward call;
    call.q = forward.q, call.k = forward.k, call.v = forward.v, call.o = forward.o, call.lse = forward.lse;
    call.dout = hone::strided(slope_.data(), n_.tokens, 0, n_.tokens);
    call.dq = hone::strided(to.queries, 0, n_.dim, n_.dim);
    if (to.keys) call.dk = hone::bhnd(to.keys, 1, n_.tokens, n_.dim);
    if (bias) set_bias(call, attention_.bias, std::span(bias, n_.heads));
    if (to.bias) set_bias_gradient(call, attention_.bias, std::span(to.bias, n_.heads));
    workspace_.resize(std::max(workspace_.size(), hone::workspace_bytes(problem_, call)));
    call.workspace = workspace_;
    hone::backward(problem_, call);
    return loss;
}

template class Heads<float>;
template class Heads<double>;

}  // namespace single_location
