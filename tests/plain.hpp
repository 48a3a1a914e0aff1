// plain.hpp: attention in plain loops over what any query may see, with scores changed before the activation
// and weights after it: what the core is checked against where the reference does not have the feature.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "reference/scores.hpp"
#include "tests/call.hpp"
#include "visibility.hpp"

namespace hone::test {

using Dual = reference::math::Dual<double>;

// An entry of the matrix of scores; the head is one of q.
struct Entry {
    std::int64_t batch, head, query, key;
};

struct Modifiers {
    Visibility visibility;
    std::function<bool(const Entry&)> hides = [](const Entry&) { return false; };
    std::function<Dual(Dual)> change = [](Dual s) { return s; };
    std::function<double(const Entry&)> keep = [](const Entry&) { return 1.0; };
    // By the mask: defaults that depend on the number of keys do not count these.
    std::function<bool(const Entry&)> masks = [](const Entry&) { return false; };

    bool sees(const Entry& at) const {
        return contains(keys_seen(visibility, at.query), at.key) && !hides(at) && !masks(at);
    }
    std::int64_t count(const Entry& row) const {
        const Range keys = keys_seen(visibility, row.query);
        std::int64_t count = 0;
        for (std::int64_t j = keys.begin; j < keys.end; ++j)
            count += !masks({row.batch, row.head, row.query, j});
        return count;
    }
};

// One call; A is the reference's activation.
template <class A>
class Plain {
  public:
    Plain(Call<double>& call, const Modifiers& modifiers)
        : call_(call),
          p_(call.problem),
          m_(modifiers),
          heads_(reference::heads_per_group<A>(p_)),
          p_slope_(heads_ * p_.keys, Dual(0)),
          scores_(heads_ * p_.keys, Dual(0)),
          ds_terms_(p_.query_heads) {}

    void forward() {
        const hone_forward_args args = call_.forward_args();
        for_rows([&](std::int64_t b, std::int64_t group, std::int64_t i) {
            const double lse = lse_of(args, b, group, i);
            weights(args, b, group, i, lse);
            for_entries(b, group, i, [&](const Entry& at, std::int64_t n) {
                const double weight = p_slope_[n].value * m_.keep(at);
                for (std::int64_t d = 0; d < p_.value_dim; ++d)
                    call_[O].row(b, at.head, i)[d] += weight * v_row(at)[d];
            });
            if (call_[LSE].present()) call_[LSE].data()[reference::lse_index<A>(p_, b, group, i)] = lse;
        });
    }

    void backward() {
        const hone_backward_args args = call_.backward_args();
        for_rows([&](std::int64_t b, std::int64_t group, std::int64_t i) {
            const double lse = lse_of(args, b, group, i);
            weights(args, b, group, i, lse);
            double delta = 0;
            if constexpr (A::normalised) {
                for_entries(b, group, i, [&](const Entry& at, std::int64_t n) {
                    delta += p_slope_[n].value * weight_gradient(at);
                });
                if (call_[DLSE].present())
                    delta -= call_[DLSE].data()[reference::lse_index<A>(p_, b, group, i)];
                const double sink = reference::sink_logit<A, double>(p_, args, group);
                if (call_[DSINK].present()) call_[DSINK].data()[group] -= std::exp(sink - lse) * delta;
            }
            for_entries(b, group, i, [&](const Entry& at, std::int64_t n) {
                const double dp = weight_gradient(at), slope = p_slope_[n].slope;
                add_gradients(at, p_slope_[n].value * m_.keep(at), slope * (dp - delta), n);
                const double terms = std::abs(slope) * (std::abs(dp) + std::abs(delta));
                if (std::isfinite(terms)) ds_terms_[at.head] += terms;
            });
        });
    }

    // The sums of the absolute terms of ds, of each head.
    const std::vector<double>& ds_terms() const { return ds_terms_; }

  private:
    double* v_row(const Entry& at) {
        return call_[call_.v_is_k ? K : V].row(at.batch, reference::kv_head(p_, at.head), at.key);
    }

    template <class Body>
    void for_rows(Body body) {
        for (std::int64_t b = 0; b < p_.batch; ++b)
            for (std::int64_t group = 0; group < p_.query_heads / heads_; ++group)
                for (std::int64_t i = 0; i < p_.queries; ++i) body(b, group, i);
    }

    // Calls body(entry, its number in the group's row) for the entries that are seen.
    template <class Body>
    void for_entries(std::int64_t b, std::int64_t group, std::int64_t i, Body body) {
        for (std::int64_t h = 0; h < heads_; ++h)
            for (std::int64_t j = 0; j < p_.keys; ++j)
                if (const Entry at = {b, group * heads_ + h, i, j}; m_.sees(at)) body(at, h * p_.keys + j);
    }

    // The changed scores of a row, and L of them: with the log-prior, without a shift.
    template <class Args>
    double lse_of(const Args& args, std::int64_t b, std::int64_t group, std::int64_t i) {
        double sum = std::exp(reference::sink_logit<A, double>(p_, args, group));
        for_entries(b, group, i, [&](const Entry& at, std::int64_t n) {
            double s = 0;
            const double* const k = call_[K].row(b, reference::kv_head(p_, at.head), at.key);
            for (std::int64_t d = 0; d < p_.key_dim; ++d) s += call_[Q].row(b, at.head, i)[d] * k[d];
            scores_[n] = m_.change(Dual(reference::scale<double>(p_) * s, 1));
            if constexpr (A::takes_log_prior)
                scores_[n].value += reference::bias<A, double>(args, at.head, 0);
            if constexpr (A::normalised) sum += A::phi(scores_[n].value);
        });
        return std::log(sum);
    }

    // The weights before they are changed, and their slopes by the changed scores, all else alike.
    template <class Args>
    void weights(const Args& args, std::int64_t b, std::int64_t group, std::int64_t i, double lse) {
        const std::int64_t keys = A::normalised ? 0 : m_.count({b, group, i, 0});  // its group is its head
        for_entries(b, group, i, [&](const Entry& at, std::int64_t n) {
            double shift = 0, weight = 1 / std::exp(lse);
            if constexpr (!A::normalised) {
                shift = reference::bias<A, double>(args, at.head, keys);
                weight = reference::weight<A, double>(p_, keys);
            }
            const auto [value, slope] = A::phi(Dual(scores_[n].value + shift, 1));
            p_slope_[n] = {weight * value, weight * slope};
        });
    }

    // Of the weight before it is changed.
    double weight_gradient(const Entry& at) {
        double dp = 0;
        for (std::int64_t d = 0; d < p_.value_dim; ++d)
            dp += call_[DOUT].row(at.batch, at.head, at.query)[d] * v_row(at)[d];
        return dp * m_.keep(at);
    }

    void add_gradients(const Entry& at, double weight, double ds, std::int64_t n) {
        const std::int64_t kv = reference::kv_head(p_, at.head);
        const double product = ds * scores_[n].slope * reference::scale<double>(p_);
        for (std::int64_t d = 0; d < p_.key_dim; ++d) {
            if (call_[DQ].present())
                call_[DQ].row(at.batch, at.head, at.query)[d] +=
                    product * call_[K].row(at.batch, kv, at.key)[d];
            if (call_[DK].present())
                call_[DK].row(at.batch, kv, at.key)[d] +=
                    product * call_[Q].row(at.batch, at.head, at.query)[d];
        }
        for (std::int64_t d = 0; d < p_.value_dim && call_[DV].present(); ++d)
            call_[DV].row(at.batch, kv, at.key)[d] +=
                weight * call_[DOUT].row(at.batch, at.head, at.query)[d];
        for (const Argument dbias : {DLOG_PRIOR, DSHIFT})
            if (call_[dbias].present()) call_[dbias].data()[at.head] += ds;
    }

    Call<double>& call_;
    const hone_problem& p_;
    const Modifiers& m_;
    const std::int64_t heads_;
    std::vector<Dual> p_slope_, scores_;
    std::vector<double> ds_terms_;
};

// Fills the call's outputs; gives the sums of the absolute terms of ds, of each head.
inline std::vector<double> run_plain(Call<double>& call, const Modifiers& modifiers) {
    std::vector<double> ds_terms;
    for (const Argument argument : outputs(call.direction))
        if (call[argument].present()) call[argument].fill([] { return 0.0; });
    reference::visit(call.problem.activation, [&]<class A>(A) {
        Plain<A> plain(call, modifiers);
        if (call.direction == Direction::forward)
            plain.forward();
        else
            plain.backward();
        ds_terms = plain.ds_terms();
    });
    return ds_terms;
}

}  // namespace hone::test
