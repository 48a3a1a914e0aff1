// term_sum.hpp: the sum of the terms of one element of a result, as far as it tells what rounding may make of
// it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace hone::test {

// The precision of the type that is judged.
struct Precision {
    double epsilon;
    // What a long sum may lose of the sum of its magnitudes: 6e-6 in float32.
    double sum_tolerance() const { return 6e-6 / 0x1p-24 * (epsilon / 2); }
};

// A term, or a factor of one.
template <class S>
struct Term {
    S value = 0;
    S magnitude = 0;  // the sum of the magnitudes of what it is a sum of
    S moved = 0;      // how far it moves when its scores are rounded
    S flushed = 0;    // how much may be flushed, in units of the smallest normal number

    Term& operator+=(const Term& more) {
        value += more.value;
        magnitude += more.magnitude;
        moved += more.moved;
        flushed += more.flushed;
        return *this;
    }
    // A product, which may be flushed itself.
    Term times(S factor) const {
        const S x = std::abs(factor);
        return {factor * value, x * magnitude, x * moved, x * flushed + 1};
    }
};

template <class S>
class TermSum {
  public:
    void add(const Term<S>& term, const Precision& precision) {
        all_ += term;
        squares_ += all_.value * all_.value;
        // The majority's vote: of terms that are alike, if they are most, the number is found whatever is
        // between.
        const bool alike =
            std::abs(term.value - common_) <= 256 * static_cast<S>(precision.epsilon) * std::abs(term.value);
        if (votes_ == 0 && !alike) common_ = term.value, likes_ = 0;
        votes_ += alike || votes_ == 0 ? 1 : -1;
        likes_ += alike || likes_ == 0;
        most_likes_ = std::max(most_likes_, likes_);
    }

    const Term<S>& all() const { return all_; }

    // What may be lost by rounding the sum, at most what a long sum may lose: each partial sum moves by 2
    // units in the last place, in quadrature, as most roundings are independent. Terms that are alike are all
    // rounded alike, by half a unit of a partial sum that is half of the whole on average.
    S rounding(const Precision& precision) const {
        const S epsilon = static_cast<S>(precision.epsilon);
        const S lost =
            2 * epsilon * std::sqrt(squares_) + epsilon / 4 * static_cast<S>(most_likes_) * all_.magnitude;
        return std::min(lost, static_cast<S>(precision.sum_tolerance()) * all_.magnitude);
    }

  private:
    Term<S> all_;
    S squares_ = 0;  // of the partial sums
    S common_ = 0;
    std::int64_t votes_ = 0, likes_ = 0, most_likes_ = 0;
};

}  // namespace hone::test
