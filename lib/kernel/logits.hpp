// logits.hpp: sums of exponentials as logarithms, and the logits that the heads of a group share.
//
// Of log-priors and sinks only their distances from the largest, B, matter: where B is huge, rounding would
// swallow a head's own L. Infinite ones are treated as if they had grown together: all are B, and any finite
// one vanishes.
#pragma once

#include <cstdint>

#include "tiles.hpp"

namespace hone {
namespace {

template <class T>
inline constexpr T infinity() {
    return static_cast<T>(__builtin_inf());
}

inline float natural_log(float x) {
    return __builtin_logf(x);
}
inline double natural_log(double x) {
    return __builtin_log(x);
}
inline float natural_exp(float x) {
    return __builtin_expf(x);
}
inline double natural_exp(double x) {
    return __builtin_exp(x);
}

// e^(logit - most), for a logit <= most: 1 where they are the same, be they infinite, but 0 at -inf.
template <class T>
inline T share_of(T logit, T most) {
    return logit == -infinity<T>() ? T(0) : logit == most ? T(1) : natural_exp(logit - most);
}

// The log of a sum of exponentials, term by term: log sum = most + log(sum e^(x - most)).
template <class T>
struct LogSum {
    T most = -infinity<T>();
    double sum = 0;

    void add(T x) {
        if (x > most)
            sum = sum * share_of(most, x) + 1, most = x;
        else
            sum += share_of(x, most);
    }
    double value() const { return most + natural_log(sum); }
    // What share of the sum is e^x.
    double share(T x) const { return sum == 0 ? 0 : share_of(x, most) / sum; }
};

// A log-prior or a sink, less B.
template <class U, class T>
inline U below(T logit, T largest) {
    if (logit == -infinity<T>()) return -infinity<U>();
    return logit == largest ? U(0) : U(logit) - U(largest);
}

template <class T>
inline T sink_of(const Parameters<T>& parameter, std::int64_t group) {
    return parameter.sink ? parameter.sink[group] : -infinity<T>();
}
template <class T>
inline T prior_of(const Parameters<T>& parameter, std::int64_t head) {
    return parameter.log_prior ? parameter.log_prior[head] : T(0);
}

// B, of the sink of a group and the log-priors of the heads for which counts(head).
template <class T, class Counts>
inline T largest_logit(const Parameters<T>& parameter, std::int64_t group, std::int64_t heads,
                       Counts counts) {
    T largest = sink_of(parameter, group);
    for (std::int64_t head = group * heads; head < (group + 1) * heads; ++head)
        if (counts(head) && prior_of(parameter, head) > largest) largest = prior_of(parameter, head);
    return largest;
}

// The logits of one row of a group, less B. lse_of(head) is L_hi in U; where it is -inf, b_h does not count.
template <class U, class T, class Lse>
class RowLogits {
  public:
    RowLogits(const Parameters<T>& parameter, std::int64_t group, std::int64_t heads, Lse lse_of)
        : parameter_(parameter),
          lse_of_(lse_of),
          largest_(largest_logit(parameter, group, heads,
                                 [&](std::int64_t head) { return lse_of(head) != -infinity<U>(); })) {
        sum_.add(below<U>(sink_of(parameter, group), largest_));
        for (std::int64_t head = group * heads; head < (group + 1) * heads; ++head) sum_.add(of_head(head));
    }
    T largest() const { return largest_; }
    const LogSum<U>& sum() const { return sum_; }

    U of_head(std::int64_t head) const {
        const U lse = lse_of_(head);
        return lse == -infinity<U>() ? lse : lse + below<U>(prior_of(parameter_, head), largest_);
    }

  private:
    const Parameters<T>& parameter_;
    const Lse lse_of_;
    const T largest_;  // B
    LogSum<U> sum_;
};

template <class U, class T, class Lse>
inline RowLogits<U, T, Lse> row_logits(const Parameters<T>& parameter, std::int64_t group, std::int64_t heads,
                                       Lse lse_of) {
    return {parameter, group, heads, lse_of};
}

// L of a row of a group, less the largest log-prior or sink where that is huge; otherwise L as given, and 0.
template <class T>
struct RowLse {
    double lse;
    T largest;

    // p = e^(s + shift), of a head with this log-prior.
    T shift(T prior) const {
        return static_cast<T>(lse == -infinity<double>() ? lse : below<double>(prior, largest) - lse);
    }
    double sink_share(T sink) const { return share_of(below<double>(sink, largest), lse); }
};

}  // namespace
}  // namespace hone
