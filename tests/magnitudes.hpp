// magnitudes.hpp: how large the terms are that each result of a call is a sum of, and how far the result
// moves when what is computed on the way is rounded, or flushed to zero.
//
// All by plain loops over the weights of the reference, element by element:
//   magnitude  of o, the sum of p |v|; of dq, of |ds| |k|, where |ds| is |p'| (|dp| + |delta|), and |dp| and
//   |delta| are
//              sums of magnitudes themselves
//   moved      what becomes of the element when each product and each sum in the argument x = s + b - L of
//   its weights
//              moves by 2 units in the last place: in quadrature within one x, as the roundings of a sum are
//              independent; straight over the keys, as those of equal keys are not. p and p' are taken at
//              both ends
//   flushed    in units of the smallest normal number: a product or a sum that would be denormal may come out
//   as 0, an
//              error of less than one unit, which reaches the result by the factors that it meets
//
// Where results are flushed, in these units, with w for the factor of a row's weights (1/Z for softplus):
//   x          each of the key_dim products, times the scale, and the sum       (key_dim + 1) max(1, |scale|)
//   p          phi, the product with w, a rescale in between; what x lost       3 max(1, |w|) + |p'| of x
//   p'         the same; no phi'' here is beyond 2                              3 max(1, |w|) + 2 |w| of x
//   dp, delta  one for each product                                             value_dim, heads x value_dim
//   + 1 ds         what p', dp and delta lost, each times the other factor
// and one more for each sum that a term is added to.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <vector>

#include "reference/scores.hpp"
#include "tests/call.hpp"
#include "tests/term_sum.hpp"

namespace hone::test {

template <class S>
class Magnitudes {
  public:
    // `call` has its true lse, whether it is asked for or not.
    Magnitudes(Call<S>& call, Precision precision)
        : call_(call), args_(call.backward_args()), precision_(precision) {
        for (const Argument argument : outputs(call.direction))
            call[argument].for_each_row([&](auto b, auto h, auto i, auto) {
                const auto end =
                    static_cast<std::size_t>(at(argument, b, h, i) + call[argument].extents().features);
                if (sums_[argument].size() < end) sums_[argument].resize(end);
            });
        reference::visit(call.problem.activation, [&]<class A>(A) {
            const std::int64_t heads = reference::heads_per_group<A>(call.problem);
            for (std::int64_t b = 0; b < call.problem.batch; ++b)
                for (std::int64_t group = 0; group < call.problem.query_heads / heads; ++group)
                    for (std::int64_t i = 0; i < call.segment(Q, b).length; ++i) add_row<A>(b, group, i);
        });
    }

    const TermSum<S>& sum(Argument argument, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t d) {
        return sums_[argument][static_cast<std::size_t>(at(argument, b, h, i) + d)];
    }

  private:
    // p = factor phi(x), x = s + bias - origin; phi is exp where the row is exponential.
    struct RowConstants {
        S lse = 0, origin = 0, factor = 1;
        bool exponential = false;
    };
    struct Weight {
        Term<S> p, slope;
    };
    // A row of a result: of no features where the result is not wanted.
    struct Row {
        TermSum<S>* sums = nullptr;
        std::int64_t features = 0;
    };

    // Where a row lies among the sums of its argument: as in memory, so that what is broadcast is one.
    std::int64_t at(Argument argument, std::int64_t b, std::int64_t h, std::int64_t i) {
        return call_[argument].row(b, h, i) - call_[argument].data();
    }
    // Row i of batch entry b.
    Row row(Argument argument, std::int64_t b, std::int64_t h, std::int64_t i) {
        if (!call_[argument].present()) return {};
        const std::int64_t first = call_.row(argument, b, h, i) - call_[argument].data();
        return {sums_[argument].data() + first, call_[argument].extents().features};
    }
    // Adds term x factors x scale.
    void add(const Row& to, const Term<S>& term, const S* factors, S scale = 1) {
        for (std::int64_t d = 0; d < to.features; ++d)
            to.sums[d].add(term.times(factors[d]).times(scale), precision_);
    }
    // To one of an array of numbers.
    void add(Argument argument, std::int64_t n, const Term<S>& term) {
        if (call_[argument].present()) sums_[argument][static_cast<std::size_t>(n)].add(term, precision_);
    }
    S two_ulp() const { return 2 * static_cast<S>(precision_.epsilon); }

    template <class A>
    void add_row(std::int64_t b, std::int64_t group, std::int64_t i) {
        const hone_problem& p = call_.problem;
        const std::int64_t heads = reference::heads_per_group<A>(p), first = group * heads,
                           last = first + heads;
        RowConstants constant;
        if constexpr (A::normalised)
            constant.lse = call_[LSE].data()[reference::lse_index<A>(p, b, group, i)];
        if (constant.lse == -reference::infinity<S>) return;
        if constexpr (!A::normalised)
            constant.factor = reference::weight<A, S>(p, list_keys(b, group, i));
        else if (constant.lse <= S(A::exponential_below))
            constant.origin = constant.lse, constant.exponential = true;
        else
            constant.factor = std::exp(-constant.lse);
        if (call_.direction == Direction::forward) {
            const S moved = A::normalised ? normaliser_moved<A>(b, group, i, constant) : S(0);
            for (std::int64_t h = first; h < last; ++h) {
                set_weights<A>(b, h, i, constant);
                add_o(b, h, i, moved, std::max(S(1), std::abs(constant.factor)));
            }
            return;
        }
        const Term<S> delta = A::normalised ? delta_of<A>(b, group, i, constant.lse) : Term<S>{};
        for (std::int64_t h = first; h < last; ++h) {
            set_weights<A>(b, h, i, constant);
            add_gradients<A>(b, h, i, delta);
        }
    }

    // The share of itself by which a row's normaliser moves, and its lse with it.
    template <class A>
    S normaliser_moved(std::int64_t b, std::int64_t group, std::int64_t i, const RowConstants& constant) {
        const std::int64_t heads = reference::heads_per_group<A>(call_.problem);
        TermSum<S> normaliser;
        S lost = 1;
        for (std::int64_t h = group * heads; h < (group + 1) * heads; ++h) {
            set_weights<A>(b, h, i, constant);
            for (const Weight& weight : weights_) normaliser.add(weight.p, precision_);
            lost += static_cast<S>(weights_.size()) * std::max(S(1), constant.factor);
        }
        const S moved = normaliser.all().moved + normaliser.rounding(precision_);
        add(LSE, reference::lse_index<A>(call_.problem, b, group, i),
            {constant.lse, 1 + std::abs(constant.lse), moved, lost});
        return moved;
    }

    // Sets the keys that a row sees, and gives their number.
    std::int64_t list_keys(std::int64_t b, std::int64_t h, std::int64_t i) {
        const reference::Entry entry = reference::entry_of(call_.problem, b);
        reference::list_keys(call_.problem, call_.mask, {entry, h, i}, keys_);
        return std::ssize(keys_);
    }

    // The arguments of a row's weights, and how far they move.
    template <class A>
    void set_arguments(std::int64_t b, std::int64_t h, std::int64_t i, const RowConstants& constant) {
        const hone_problem& p = call_.problem;
        const std::int64_t keys = list_keys(b, h, i);
        const S scale = reference::scale<S>(p), bias = reference::bias<A, S>(args_, h, keys);
        const S* const q = call_.row(Q, b, h, i);
        arguments_.resize(keys);
        moves_.resize(keys);
        for (std::int64_t n = 0; n < keys; ++n) {
            const S* const k = call_.row(K, b, reference::kv_head(p, h), keys_[n]);
            S sum = 0, squares = 0;
            for (std::int64_t d = 0; d < p.key_dim; ++d) {
                const S product = q[d] * k[d];
                sum += product;
                squares += product * product + sum * sum;
            }
            const S s = scale * sum, x = s + bias - constant.origin;
            arguments_[n] = x;
            const S squared =
                scale * scale * squares + s * s + bias * bias + x * x + constant.lse * constant.lse;
            moves_[n] =
                std::isfinite(x) ? two_ulp() * std::sqrt(squared) : 0;  // infinities stay where they are
        }
    }

    template <class A>
    void set_weights(std::int64_t b, std::int64_t h, std::int64_t i, const RowConstants& constant) {
        using Dual = reference::math::Dual<S>;
        const hone_problem& p = call_.problem;
        set_arguments<A>(b, h, i, constant);
        const S lost = static_cast<S>(p.key_dim + 1) * std::max(S(1), std::abs(reference::scale<S>(p)));
        const S w = std::abs(constant.factor), own = 3 * std::max(S(1), w);
        // Where L is not in the argument, it is in the factor.
        const S factor_moved =
            constant.exponential || constant.lse == 0 ? 0 : two_ulp() * std::abs(constant.lse);
        weights_.resize(arguments_.size());
        for (std::size_t n = 0; n < weights_.size(); ++n) {
            const S x = arguments_[n], move = moves_[n];
            const auto phi = [&](S at) {
                return constant.exponential ? reference::math::exp(Dual(at, 1)) : A::phi(Dual(at, 1));
            };
            const Dual here = phi(x), above = phi(x + move), below = phi(x - move);
            const auto moved = [&](S Dual::*part) {
                return w * (std::max(std::abs(above.*part - here.*part), std::abs(below.*part - here.*part)) +
                            factor_moved * std::abs(here.*part));
            };
            const S p_slope = w * std::abs(here.slope);
            weights_[n] = {{constant.factor * here.value, w * magnitude_of_phi<A>(x, here.value),
                            moved(&Dual::value), own + p_slope * lost},
                           {constant.factor * here.slope, p_slope, moved(&Dual::slope), own + 2 * w * lost}};
        }
    }

    // erf's weight is a sum of two terms: float32 has it to an absolute accuracy.
    template <class A>
    static S magnitude_of_phi(S x, S phi) {
        if constexpr (std::is_same_v<A, reference::erf>) return 1 + std::abs(std::erf(x));
        return std::abs(phi);
    }

    // A normaliser that moves takes each weight along. Sums may be multiplied by the factor at last.
    void add_o(std::int64_t b, std::int64_t h, std::int64_t i, S normaliser_moved, S factor) {
        const std::int64_t g = reference::kv_head(call_.problem, h);
        const Row o = row(O, b, h, i);
        for (std::size_t n = 0; n < weights_.size(); ++n) {
            Term<S> p = weights_[n].p;
            p.moved += normaliser_moved * p.magnitude;
            const S* const v = call_.row(call_.v_is_k ? K : V, b, g, keys_[n]);
            for (std::int64_t d = 0; d < o.features; ++d) {
                Term<S> product = p.times(v[d]);
                product.flushed += factor;
                o.sums[d].add(product, precision_);
            }
        }
    }

    // delta - dlse, of which dsink takes its part.
    template <class A>
    Term<S> delta_of(std::int64_t b, std::int64_t group, std::int64_t i, S lse) {
        const std::int64_t heads = reference::heads_per_group<A>(call_.problem);
        Term<S> delta = {0, 0, 0, 1};
        if (call_[DLSE].present()) {
            const S dlse = call_[DLSE].data()[reference::lse_index<A>(call_.problem, b, group, i)];
            delta += {-dlse, std::abs(dlse), 0, 0};
        }
        for (std::int64_t h = group * heads; h < (group + 1) * heads; ++h) {
            if (list_keys(b, h, i) == 0) continue;
            for (std::int64_t d = 0; d < call_.problem.value_dim; ++d) {
                const S product = call_.row(DOUT, b, h, i)[d] * call_.row(O, b, h, i)[d];
                delta += {product, std::abs(product), 0, 1};
            }
        }
        if (call_[DSINK].present()) {
            const S sink = call_[SINK].data()[group], p = reference::exp_above(sink, lse);
            const S move = std::isinf(lse) ? S(0) : two_ulp() * std::hypot(sink, lse);
            add(DSINK, group,
                {-p * delta.value, p * delta.magnitude, p * move * delta.magnitude,
                 p * delta.flushed + delta.magnitude + 1});
        }
        return delta;
    }

    template <class A>
    void add_gradients(std::int64_t b, std::int64_t h, std::int64_t i, const Term<S>& delta) {
        const hone_problem& p = call_.problem;
        const std::int64_t g = reference::kv_head(p, h);
        const S scale = reference::scale<S>(p);
        const S *const q = call_.row(Q, b, h, i), *const dout = call_.row(DOUT, b, h, i);
        const Row dq = row(DQ, b, h, i);
        for (std::int64_t n = 0; n < std::ssize(weights_); ++n) {
            const std::int64_t j = keys_[n];
            const S *const k = call_.row(K, b, g, j), *const v = call_.row(call_.v_is_k ? K : V, b, g, j);
            Term<S> other = {-delta.value, delta.magnitude, 0, delta.flushed};  // dp - delta
            for (std::int64_t d = 0; d < p.value_dim; ++d)
                other += {dout[d] * v[d], std::abs(dout[d] * v[d]), 0, 1};
            const auto& [weight, slope] = weights_[n];
            const Term<S> ds = {slope.value * other.value, slope.magnitude * other.magnitude,
                                slope.moved * other.magnitude,
                                slope.magnitude * other.flushed + slope.flushed * other.magnitude + 1};
            add(row(DV, b, g, j), weight, dout);
            add(row(DK, b, g, j), ds, q, scale);
            add(dq, ds, k, scale);
            if (A::takes_log_prior) add(DLOG_PRIOR, h, ds.times(1));
            if (A::takes_shift) add(DSHIFT, h, ds.times(1));
        }
    }

    Call<S>& call_;
    const hone_backward_args args_;
    const Precision precision_;
    std::array<std::vector<TermSum<S>>, ARGUMENTS> sums_;
    std::vector<std::int64_t> keys_;  // that the row sees; below, one of each for a key
    std::vector<S> arguments_, moves_;
    std::vector<Weight> weights_;
};

}  // namespace hone::test
