// heads.cpp: the library's calls in the paper's shape: one query a head, shared by all samples; one kv head.
#include "model/heads.hpp"

#include <algorithm>
#include <numeric>

namespace single_location {
namespace {

// Sets the field of a call that the attention's bias is.
template <class Call, class T>
void set_bias(Call& call, Bias kind, const T* bias) {
    if (kind == Bias::sink) call.sink = bias;
    if (kind == Bias::log_prior) call.log_prior = bias;
    if (kind == Bias::shift) call.shift = bias;
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
      problem_(hone_problem_default()),
      unit_(static_cast<std::size_t>(n_.tokens) * n_.tokens),
      weights_(static_cast<std::size_t>(most) * n_.heads * n_.tokens),
      off_(static_cast<std::size_t>(most) * n_.tokens),
      residual_(loss == Loss::finite ? static_cast<std::size_t>(most) * n_.dim : 0),
      slope_(off_.size()),
      lse_(static_cast<std::size_t>(most) * n_.heads),
      losses_(most) {
    for (int l = 0; l < n_.tokens; ++l) unit_[static_cast<std::size_t>(l) * (n_.tokens + 1)] = 1;
    problem_.kv_heads = problem_.queries = 1;
    problem_.keys = n_.tokens;
    problem_.scale = 1;
    problem_.threads = 1;
    linear_ = problem_;
    linear_.activation = HONE_LINEAR;
    linear_.weight = 1;
    problem_.activation = attention.activation;
    problem_.query_heads = n_.heads;
    problem_.key_dim = n_.dim;
    problem_.value_dim = n_.tokens;
    problem_.weight = attention.weight;
}

template <class T>
hone::Forward<T> Heads<T>::attend(const Samples<T>& s, const T* q, const T* bias) {
    problem_.batch = linear_.batch = s.count;
    losses_.resize(s.count);
    hone::Forward<T> call;
    call.q = {q, 0, n_.dim, n_.dim};
    call.k = hone::View<const T>::bhnd(s.tokens, 1, n_.tokens, n_.dim);
    call.v = {unit_.data(), 0, 0, n_.tokens};
    call.o = hone::View<T>::bhnd(weights_.data(), n_.heads, 1, n_.tokens);
    if (hone::describe(attention_.activation).normalised) call.lse = lse_.data();
    set_bias(call, attention_.bias, bias);
    return call;
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
void Heads<T>::linear(hone_problem problem, hone::Forward<T> call) {
    const T no_shift = 0;
    call.shift = &no_shift;
    workspace_.resize(std::max(workspace_.size(), hone::workspace_bytes(problem, call)));
    call.workspace = workspace_;
    hone::forward(problem, call);
}

// The losses, and of a finite dimension the residuals: off times the tokens.
template <class T>
void Heads<T>::predict(const Samples<T>& s) {
    const int size = loss_ == Loss::finite ? n_.dim : n_.tokens;
    if (loss_ == Loss::finite) {
        hone_problem problem = linear_;
        problem.key_dim = n_.tokens, problem.value_dim = n_.dim;
        linear(problem, {.q = hone::View<const T>::bhnd(off_.data(), 1, 1, n_.tokens),
                         .k = {unit_.data(), 0, 0, n_.tokens},
                         .v = hone::View<const T>::bhnd(s.tokens, 1, n_.tokens, n_.dim),
                         .o = hone::View<T>::bhnd(residual_.data(), 1, 1, n_.dim)});
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
    hone_problem problem = linear_;
    problem.key_dim = n_.dim, problem.value_dim = n_.tokens;
    problem.scale = factor / n_.dim;
    linear(problem, {.q = hone::View<const T>::bhnd(residual_.data(), 1, 1, n_.dim),
                     .k = hone::View<const T>::bhnd(s.tokens, 1, n_.tokens, n_.dim),
                     .v = {unit_.data(), 0, 0, n_.tokens},
                     .o = hone::View<T>::bhnd(slope_.data(), 1, 1, n_.tokens)});
}

template <class T>
double Heads<T>::forward(const Samples<T>& s, const T* q, const T* bias) {
    hone::Forward<T> call = attend(s, q, bias);
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
    const hone::Forward<T> forward = attend(s, q, bias);
    hone::Backward<T> call;
    call.q = forward.q, call.k = forward.k, call.v = forward.v, call.o = forward.o, call.lse = forward.lse;
    call.dout = {slope_.data(), n_.tokens, 0, n_.tokens};
    call.dq = {to.queries, 0, n_.dim, n_.dim};
    if (to.keys) call.dk = hone::View<T>::bhnd(to.keys, 1, n_.tokens, n_.dim);
    set_bias(call, attention_.bias, bias);
    if (to.bias && attention_.bias == Bias::sink) call.dsink = to.bias;
    if (to.bias && attention_.bias == Bias::log_prior) call.dlog_prior = to.bias;
    if (to.bias && attention_.bias == Bias::shift) call.dshift = to.bias;
    workspace_.resize(std::max(workspace_.size(), hone::workspace_bytes(problem_, call)));
    call.workspace = workspace_;
    hone::backward(problem_, call);
    return loss;
}

template class Heads<float>;
template class Heads<double>;

}  // namespace single_location
