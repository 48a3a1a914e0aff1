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

}  // namespace

template <class T>
Heads<T>::Heads(const Attention& attention, const Extents& extents, double norm, int most)
    : attention_(attention),
      n_(extents),
      norm_(norm),
      problem_(hone_problem_default()),
      o_(static_cast<std::size_t>(most) * n_.heads * n_.value_dim),
      residual_(static_cast<std::size_t>(most) * n_.value_dim),
      lse_(static_cast<std::size_t>(most) * n_.heads),
      losses_(most) {
    problem_.activation = attention.activation;
    problem_.query_heads = n_.heads;
    problem_.kv_heads = problem_.queries = 1;
    problem_.keys = n_.tokens;
    problem_.key_dim = n_.key_dim;
    problem_.value_dim = n_.value_dim;
    problem_.scale = 1;
    problem_.weight = attention.weight;
    problem_.threads = 1;
}

template <class T>
hone::Forward<T> Heads<T>::forward_call(const Samples<T>& s, const T* q, const T* bias) {
    problem_.batch = s.count;
    losses_.resize(s.count);
    hone::Forward<T> call;
    call.q = {q, 0, n_.key_dim, n_.key_dim};
    call.k = {s.keys, n_.tokens * s.key_stride, 0, s.key_stride};
    call.v = {s.values, s.value_batch, 0, s.value_stride};
    call.o = hone::View<T>::bhnd(o_.data(), n_.heads, 1, n_.value_dim);
    if (hone::describe(attention_.activation).normalised) call.lse = lse_.data();
    set_bias(call, attention_.bias, bias);
    return call;
}

// The residuals and the losses from o.
template <class T>
void Heads<T>::residuals(const Samples<T>& s) {
    const int dim = n_.value_dim;
    const T share = static_cast<T>(attention_.share(n_.heads));
    const T slope = static_cast<T>(2 * attention_.share(n_.heads) * norm_);
    for (int i = 0; i < s.count; ++i) {
        const T* o = o_.data() + static_cast<std::ptrdiff_t>(i) * n_.heads * dim;
        const T* target = s.values + i * s.value_batch + s.marked[i] * s.value_stride;
        T* r = residual_.data() + static_cast<std::ptrdiff_t>(i) * dim;
        std::copy(o, o + dim, r);
        for (int h = 1; h < n_.heads; ++h)
            for (int d = 0; d < dim; ++d) r[d] += o[h * dim + d];
        T squares[8] = {};  // as many sums, so that they need not wait for each other
        for (int d = 0; d < dim; ++d) {
            const T x = share * r[d] - target[d];
            squares[d % 8] += x * x;
            r[d] = slope * x;
        }
        losses_[i] = norm_ * std::accumulate(squares, squares + 8, 0.0);
    }
}

template <class T>
double Heads<T>::forward(const Samples<T>& s, const T* q, const T* bias) {
    hone::Forward<T> call = forward_call(s, q, bias);
    workspace_.resize(std::max(workspace_.size(), hone::workspace_bytes(problem_, call)));
    call.workspace = workspace_;
    hone::forward(problem_, call);
    residuals(s);
    return std::accumulate(losses_.begin(), losses_.end(), 0.0);
}

template <class T>
double Heads<T>::backward(const Samples<T>& s, const T* q, const T* bias, const Gradients<T>& to) {
    const double loss = forward(s, q, bias);
    const hone::Forward<T> forward = forward_call(s, q, bias);
    hone::Backward<T> call;
    call.q = forward.q, call.k = forward.k, call.v = forward.v, call.o = forward.o, call.lse = forward.lse;
    call.dout = {residual_.data(), n_.value_dim, 0, n_.value_dim};
    call.dq = {to.queries, 0, n_.key_dim, n_.key_dim};
    if (to.keys) call.dk = {to.keys, n_.tokens * s.key_stride, 0, s.key_stride};
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
