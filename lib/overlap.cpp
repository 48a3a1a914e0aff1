// overlap.cpp: the search for two rows that meet.
//
// Both questions come to one: do terms stride * x, with 0 <= x <= steps, have a sum in a window [low, high]?
// Rows that meet start less than a row apart: hence a window, not one value.
#include "overlap.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace hone {
namespace {

using Term = Footprint::Axis;

// Two views of one buffer took 5 at most, of two million pairs drawn at random. As many as this take 0.05 to
// 0.1 ms on an AMD EPYC, with strides that have no common divisor.
constexpr int kMostTries = 10000;

// The terms of one question, and how long its answer has been looked for.
class Search {
  public:
    void add(const Term& term);
    bool reaches(std::int64_t low, std::int64_t high) { return reaches(0, count_, low, high, largest_); }

  private:
    bool reaches(int begin, int end, std::int64_t low, std::int64_t high, std::int64_t largest);
    std::int64_t divisor(int begin, int end) const;

    Term terms_[2 * kMostAxes];  // the largest stride first, no two alike
    std::int64_t largest_ = 0;   // their largest sum
    int count_ = 0, tries_ = 0;
};

void Search::add(const Term& term) {
    if (term.stride == 0 || term.steps == 0) return;
    largest_ += term.stride * term.steps;
    int at = count_;
    while (at > 0 && terms_[at - 1].stride < term.stride) --at;
    if (at > 0 && terms_[at - 1].stride == term.stride) {
        terms_[at - 1].steps += term.steps;
        return;
    }
    std::move_backward(terms_ + at, terms_ + count_, terms_ + count_ + 1);
    terms_[at] = term;
    ++count_;
}

std::int64_t Search::divisor(int begin, int end) const {
    std::int64_t divisor = terms_[end - 1].stride;
    for (int k = end - 2; k >= begin && divisor > 1; --k)
        if (terms_[k].stride % divisor != 0) divisor = std::gcd(divisor, terms_[k].stride);
    return divisor;
}

// Whether the terms from `begin` to `end` have a sum in [low, high]; the largest that they have is `largest`.
bool Search::reaches(int begin, int end, std::int64_t low, std::int64_t high, std::int64_t largest) {
    ++tries_;
    for (;;) {
        if (high < 0 || low > largest) return false;
        if (low <= 0) return true;
        const std::int64_t common = divisor(begin, end);  // of every sum
        low = (low + common - 1) / common * common;
        high = high / common * common;
        if (low > high) return false;
        // A window that a stride cannot jump over: its term only makes the window wider.
        const Term& last = terms_[end - 1];
        if (last.stride > high - low + common) break;
        low -= last.stride * last.steps;
        largest -= last.stride * last.steps;
        --end;
    }
    const auto [stride, steps] = terms_[begin];
    largest -= stride * steps;
    const std::int64_t most = std::min(steps, high / stride);
    for (std::int64_t x = low > largest ? (low - largest + stride - 1) / stride : 0;
         x <= most && tries_ < kMostTries; ++x)
        if (reaches(begin + 1, end, low - x * stride, high - x * stride, largest)) return true;
    return false;
}

}  // namespace

// The rows of b are counted from its last one backwards, so that all terms are added.
bool rows_meet(const Footprint& a, const Footprint& b) {
    Search search;
    for (const Term& axis : a.axes) search.add(axis);
    for (const Term& axis : b.axes) search.add(axis);
    const std::int64_t high = b.last - a.first - 1;
    return search.reaches(high - (a.row_bytes - 1) - (b.row_bytes - 1), high);
}

// Two rows differ by d steps along each axis, -steps <= d <= steps. Of a pair and its mirror image one has
// the first d that is not 0 above 0: for each axis, the pairs that differ along it first.
bool overlaps_itself(const Footprint& footprint) {
    std::array<Term, kMostAxes> axes = std::to_array(footprint.axes);
    std::sort(axes.begin(), axes.end(), [](const Term& a, const Term& b) { return a.stride > b.stride; });
    for (std::size_t first = 0; first < axes.size(); ++first) {
        const auto [stride, steps] = axes[first];
        if (stride == 0 || steps == 0) continue;
        Search search;
        search.add({stride, steps - 1});
        std::int64_t middle = -stride;
        for (std::size_t k = first + 1; k < axes.size(); ++k) {
            search.add({axes[k].stride, 2 * axes[k].steps});
            middle += axes[k].stride * axes[k].steps;
        }
        if (search.reaches(middle - (footprint.row_bytes - 1), middle + (footprint.row_bytes - 1)))
            return true;
    }
    return false;
}

}  // namespace hone
