// magnitudes.hpp: how large the terms are that each result of a call is a sum of, and how far the result
// moves when what is computed on the way is rounded, or flushed to zero.
//
// All by plain loops over the weights of the reference, element by element:
//   terms     the sum of the magnitudes of an element's terms: of o, p |v|; of dq, |ds| |k|, where |ds| is
//             |p'| (|dp| + |delta|), and |dp| and |delta| are sums of magnitudes themselves
//   moved     what becomes of the element when each product and each sum in the argument x = s + b - L of its
//   weights
//             moves by 2 units in the last place: in quadrature within one x, as the roundings of a sum are
//             independent; straight over the keys, as those of equal keys are not. p and p' are taken at both
//             ends
//   flushed   in units of the smallest normal number: a product or a sum that would be denormal may come out
//   as 0, an
//             error of less than one unit, which reaches the result by the factors that it meets
//
// Where results are flushed, in these units, with w for the factor of a row's weights (1/Z for softplus):
//   x         each of the key_dim products, times the scale, and the sum       (key_dim + 1) max(1, |scale|)
//   p         phi, the product with w, a rescale in between; what x lost       3 max(1, |w|) + |p'| of x
//   p'        the same; no phi'' here is beyond 2                              3 max(1, |w|) + 2 |w| of x
//   dp, delta one for each product                                             value_dim, heads x value_dim +
//   1 ds        what p', dp and delta lost, each times the other factor
// and one more for each sum that a term is added to.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "reference/scores.hpp"
#include "tests/call.hpp"

namespace hone::test {

template <class S>
struct Magnitude {
    S terms = 0, moved = 0, flushed = 0;

    Magnitude& operator+=(const Magnitude& more) {
        terms += more.terms;
        moved += more.moved;
        flushed += more.flushed;
        return *this;
    }
    // As a term of a sum, whose own product may be flushed.
    Magnitude times(S factor) const {
        const S x = std::abs(factor);
        return {x * terms, x * moved, x * flushed + 1};
    }
};

// The magnitudes of a call's results, each tensor in the layout of the result's.
template <class S>
class Magnitudes {
  public:
    // `call` has its true lse, whether it is asked for or not; `epsilon` is that of the type which is judged.
    Magnitudes(Call<S>& call, double epsilon)
        : call_(call), args_(call.backward_args()), two_ulp_(2 * static_cast<S>(epsilon)) {
        for (const Slot slot : outputs(call.direction)) {
            if (!call[slot].present()) continue;
            terms[slot] = moved[slot] = flushed[slot] = call[slot];
            for (Tensor<S>* tensor : {&terms[slot], &moved[slot], &flushed[slot]})
                tensor->fill([] { return S(0); });
        }
        reference::visit(call.problem.activation, [&]<class A>(A) {
            const std::int64_t heads = reference::heads_per_group<A>(call.problem);
            for (std::int64_t b = 0; b < call.problem.batch; ++b)
                for (std::int64_t group = 0; group < call.problem.query_heads / heads; ++group)
                    for (std::int64_t i = 0; i < call.problem.queries; ++i) add_row<A>(b, group, i);
        });
    }

    std::array<Tensor<S>, SLOTS> terms, moved, flushed;

  private:
    // p = factor phi(x), x = s + bias - origin.
    struct RowConstants {
        S lse = 0, origin = 0, factor = 1;
    };
    struct Weight {
        Magnitude<S> p, slope;
    };
    // A row of a result: of no features where the result is not wanted.
    struct Row {
        S *terms = nullptr, *moved = nullptr, *flushed = nullptr;
        std::int64_t features = 0;

        void add(std::int64_t d, const Magnitude<S>& term) const {
            terms[d] += term.terms;
            moved[d] += term.moved;
            flushed[d] += term.flushed;
        }
        // Adds term x factors x scale.
        void add(const Magnitude<S>& term, const S* factors, S scale = 1) const {
            for (std::int64_t d = 0; d < features; ++d) add(d, term.times(factors[d]).times(scale));
        }
    };

    Row row(Slot slot, std::int64_t b, std::int64_t h, std::int64_t i) {
        if (!call_[slot].present()) return {};
        return {terms[slot].row(b, h, i), moved[slot].row(b, h, i), flushed[slot].row(b, h, i),
                call_[slot].extents().features};
    }
    // One of an array of numbers.
    void add(Slot slot, std::int64_t n, const Magnitude<S>& term) {
        if (const Row array = row(slot, 0, 0, 0); array.features > 0) array.add(n, term);
    }

    template <class A>
    void add_row(std::int64_t b, std::int64_t group, std::int64_t i) {
        const hone_problem& p = call_.problem;
        const std::int64_t heads = reference::heads_per_group<A>(p), keys = reference::visible_keys(p, i);
        const std::int64_t at = reference::lse_index<A>(p, b, group, i);
        RowConstants constant;
        if constexpr (A::normalised) constant.lse = call_[LSE].data()[at];
        if (constant.lse == -reference::infinity<S>) return;
        if constexpr (!A::normalised)
            constant.factor = reference::weight<A, S>(p, keys);
        else if constexpr (A::exponential)
            constant.origin = constant.lse;
        else
            constant.factor = std::exp(-constant.lse);
        const std::int64_t first = group * heads, last = first + heads;
        if (call_.direction == Direction::forward) {
            S moved_sum = 0;  // of all weights that share the normaliser
            for (std::int64_t h = first; A::normalised && h < last; ++h) {
                set_weights<A>(b, h, i, constant);
                for (const Weight& weight : weights_) moved_sum += weight.p.moved;
            }
            for (std::int64_t h = first; h < last; ++h) {
                if (heads > 1 || !A::normalised) set_weights<A>(b, h, i, constant);
                add_o(b, h, i, moved_sum, std::max(S(1), std::abs(constant.factor)));
            }
            const S lost = 1 + static_cast<S>(heads * keys) * std::max(S(1), constant.factor);
            add(LSE, at, {1 + std::abs(constant.lse), moved_sum, lost});
            return;
        }
        const Magnitude<S> delta = A::normalised ? delta_of<A>(b, group, i, constant.lse) : Magnitude<S>{};
        for (std::int64_t h = first; h < last; ++h) {
            set_weights<A>(b, h, i, constant);
            add_gradients<A>(b, h, i, delta);
        }
    }

    // The arguments of a row's weights, and how far they move.
    template <class A>
    void set_arguments(std::int64_t b, std::int64_t h, std::int64_t i, const RowConstants& constant) {
        const hone_problem& p = call_.problem;
        const std::int64_t keys = reference::visible_keys(p, i);
        const S scale = reference::scale<S>(p), bias = reference::bias<A, S>(args_, h, keys);
        const S* const q = call_[Q].row(b, h, i);
        arguments_.resize(keys);
        moves_.resize(keys);
        for (std::int64_t j = 0; j < keys; ++j) {
            const S* const k = call_[K].row(b, reference::kv_head(p, h), j);
            S sum = 0, squares = 0;
            for (std::int64_t d = 0; d < p.key_dim; ++d) {
                const S product = q[d] * k[d];
                sum += product;
                squares += product * product + sum * sum;
            }
            const S s = scale * sum, x = s + bias - constant.origin;
            arguments_[j] = x;
            const S squared =
                scale * scale * squares + s * s + bias * bias + x * x + constant.lse * constant.lse;
            moves_[j] =
                std::isfinite(x) ? two_ulp_ * std::sqrt(squared) : 0;  // infinities stay where they are
        }
    }

    template <class A>
    void set_weights(std::int64_t b, std::int64_t h, std::int64_t i, const RowConstants& constant) {
        using Dual = reference::math::Dual<S>;
        const hone_problem& p = call_.problem;
        set_arguments<A>(b, h, i, constant);
        const S lost = static_cast<S>(p.key_dim + 1) * std::max(S(1), std::abs(reference::scale<S>(p)));
        const S w = std::abs(constant.factor), own = 3 * std::max(S(1), w);
        weights_.resize(arguments_.size());
        for (std::size_t j = 0; j < weights_.size(); ++j) {
            const S x = arguments_[j], move = moves_[j];
            const Dual here = A::phi(Dual(x, 1)), above = A::phi(Dual(x + move, 1)),
                       below = A::phi(Dual(x - move, 1));
            const auto moved = [&](S Dual::*part) {
                return w * std::max(std::abs(above.*part - here.*part), std::abs(below.*part - here.*part));
            };
            const S slope = w * std::abs(here.slope);
            weights_[j] = {{w * magnitude_of_phi<A>(x, here.value), moved(&Dual::value), own + slope * lost},
                           {slope, moved(&Dual::slope), own + 2 * w * lost}};
        }
    }

    // erf's weight is a sum of two terms: float32 has it to an absolute accuracy.
    template <class A>
    static S magnitude_of_phi(S x, S phi) {
        if constexpr (std::is_same_v<A, reference::erf>) return 1 + std::abs(std::erf(x));
        return std::abs(phi);
    }

    // A sum of weights that moves takes each of them along. Sums may be multiplied by the factor at last.
    void add_o(std::int64_t b, std::int64_t h, std::int64_t i, S moved_sum, S factor) {
        const std::int64_t g = reference::kv_head(call_.problem, h);
        const Row o = row(O, b, h, i);
        for (std::size_t j = 0; j < weights_.size(); ++j) {
            Magnitude<S> p = weights_[j].p;
            p.moved += moved_sum * p.terms;
            o.add(p, call_[call_.v_is_k ? K : V].row(b, g, static_cast<std::int64_t>(j)));
            for (std::int64_t d = 0; d < o.features; ++d) o.flushed[d] += factor;
        }
    }

    // dlse - delta, of which dsink takes its part.
    template <class A>
    Magnitude<S> delta_of(std::int64_t b, std::int64_t group, std::int64_t i, S lse) {
        const std::int64_t heads = reference::heads_per_group<A>(call_.problem);
        Magnitude<S> delta = {0, 0, 1};
        if (call_[DLSE].present())
            delta.terms = std::abs(call_[DLSE].data()[reference::lse_index<A>(call_.problem, b, group, i)]);
        for (std::int64_t h = group * heads; h < (group + 1) * heads; ++h)
            for (std::int64_t d = 0; d < call_.problem.value_dim; ++d)
                delta += {std::abs(call_[DOUT].row(b, h, i)[d] * call_[O].row(b, h, i)[d]), 0, 1};
        if (call_[DSINK].present()) {
            const S sink = call_[SINK].data()[group], p = reference::exp_above(sink, lse);
            const S move = std::isinf(lse) ? S(0) : two_ulp_ * std::hypot(sink, lse);
            add(DSINK, group, {p * delta.terms, p * move * delta.terms, p * delta.flushed + delta.terms + 1});
        }
        return delta;
    }

    template <class A>
    void add_gradients(std::int64_t b, std::int64_t h, std::int64_t i, const Magnitude<S>& delta) {
        const hone_problem& p = call_.problem;
        const std::int64_t g = reference::kv_head(p, h);
        const S scale = reference::scale<S>(p);
        const S *const q = call_[Q].row(b, h, i), *const dout = call_[DOUT].row(b, h, i);
        const Row dq = row(DQ, b, h, i);
        for (std::int64_t j = 0; j < std::ssize(weights_); ++j) {
            const S *const k = call_[K].row(b, g, j), *const v = call_[call_.v_is_k ? K : V].row(b, g, j);
            Magnitude<S> other = delta;  // |dp| + |delta|
            for (std::int64_t d = 0; d < p.value_dim; ++d) other += {std::abs(dout[d] * v[d]), 0, 1};
            const auto& [weight, slope] = weights_[j];
            const Magnitude<S> ds = {slope.terms * other.terms, slope.moved * other.terms,
                                     slope.terms * other.flushed + slope.flushed * other.terms + 1};
            row(DV, b, g, j).add(weight, dout);
            row(DK, b, g, j).add(ds, q, scale);
            dq.add(ds, k, scale);
            if (A::takes_log_prior) add(DLOG_PRIOR, h, ds.times(1));
            if (A::takes_shift) add(DSHIFT, h, ds.times(1));
        }
    }

    Call<S>& call_;
    const hone_backward_args args_;
    const S two_ulp_;
    std::vector<S> arguments_, moves_;
    std::vector<Weight> weights_;
};

}  // namespace hone::test
