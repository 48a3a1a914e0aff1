// accuracy.hpp: how far from the truth a result may be, derived from the data of each call.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <hone/hone.hpp>
#include <limits>
#include <ostream>
#include <type_traits>
#include <vector>

#include "tests/call.hpp"
#include "tests/magnitudes.hpp"
#include "tests/spec.hpp"

namespace hone::test {

// The type in which the truth about a T is computed.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

// How far `got` is from `exact`; infinite where one is NaN or infinite and the other is not the same.
template <class A, class B>
double distance(A got, B exact) {
    if (std::isnan(got) && std::isnan(exact)) return 0;
    if (std::isinf(exact) || std::isinf(got))
        return static_cast<long double>(got) == exact ? 0 : std::numeric_limits<double>::infinity();
    const double d = static_cast<double>(std::abs(static_cast<long double>(got) - exact));
    return std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
}

// Whether a slot is an array of unrelated numbers, not rows of features.
inline bool is_array(int slot) {
    return slot == SINK || slot == LOG_PRIOR || slot == SHIFT || slot == LSE || slot == DLSE ||
           slot == DSINK || slot == DLOG_PRIOR || slot == DSHIFT;
}

// A number for each row of a tensor; for each element of an array.
class PerRow {
  public:
    PerRow() = default;
    PerRow(const Extents& extents, bool array)
        : extents_(extents),
          features_(array ? extents.features : 1),
          values_(extents.batch * extents.heads * extents.rows * features_, 0.0) {}

    double& at(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t d) {
        const std::int64_t row = (b * extents_.heads + h) * extents_.rows + i;
        return values_[features_ == 1 ? row : row * features_ + d];
    }
    double largest() const {
        double most = 0;
        for (const double x : values_) most = std::max(most, x);
        return most;
    }

  private:
    Extents extents_ = {0, 0, 0, 0};
    std::int64_t features_ = 1;
    std::vector<double> values_;
};

// The largest of value(b, h, i, d) in each row of a tensor with these extents.
template <class Value>
PerRow largest_per_row(const Extents& extents, Slot slot, Value&& value) {
    PerRow most(extents, is_array(slot));
    for (std::int64_t b = 0; b < extents.batch; ++b)
        for (std::int64_t h = 0; h < extents.heads; ++h)
            for (std::int64_t i = 0; i < extents.rows; ++i)
                for (std::int64_t d = 0; d < extents.features; ++d) {
                    double& x = most.at(b, h, i, d);
                    x = std::max(x, value(b, h, i, d));
                }
    return most;
}

template <class A, class B>
PerRow errors_per_row(Call<A>& got, Call<B>& exact, Slot slot) {
    return largest_per_row(exact[slot].extents(), slot, [&](auto b, auto h, auto i, auto d) {
        return distance(got[slot].row(b, h, i)[d], exact[slot].row(b, h, i)[d]);
    });
}

template <class S>
double largest(Tensor<S>& tensor) {
    double most = 0;
    tensor.for_each_row([&](auto, auto, auto, S* x) {
        for (std::int64_t d = 0; d < tensor.extents().features; ++d)
            if (std::isfinite(x[d])) most = std::max(most, static_cast<double>(std::abs(x[d])));
    });
    return most;
}

// Fills o and lse of a backward call: computed in wide precision and rounded, so that the errors of a
// backward pass are its own.
template <class T>
void compute_o_and_lse(Call<T>& call) {
    if (call.direction != Direction::backward || !call[O].present()) return;
    Call<Wide<T>> wide(call);
    wide.direction = Direction::forward;
    run_reference(wide);
    call[O].assign(wide[O]);
    call[LSE].assign(wide[LSE]);
}

// A call, its true results, and the error that each row of them may have.
template <class T>
struct Truth {
    Call<T> input;
    Call<Wide<T>> exact;
    std::array<PerRow, SLOTS> allowed;

    explicit Truth(Call<T> call) : input(std::move(call)) {
        compute_o_and_lse(input);
        exact = Call<Wide<T>>(input);
        run_reference(exact);
        Call<T> plain = input;
        run_reference(plain);
        Call<Wide<T>> with_lse = exact;
        if (input.direction == Direction::forward) add_lse(with_lse);
        Magnitudes<Wide<T>> magnitudes(with_lse, kEpsilon);
        for (const Slot slot : outputs(input.direction))
            if (input[slot].present()) allow(slot, plain, magnitudes);
    }

  private:
    static constexpr double kEpsilon = std::numeric_limits<T>::epsilon();
    // What a long sum may lose of the sum of its magnitudes, where plain loops lose more: 6e-6 in float32.
    static constexpr double kSumTolerance = 6e-6 / 0x1p-24 * (kEpsilon / 2);

    // The error allowed is a small multiple of the error that plain loops in T make, or what sums may lose;
    // and a floor, as plain loops may be exact by luck: 4 units in the last place of the sum of magnitudes,
    // what becomes of the row when its scores are rounded, and what is lost by flushing.
    void allow(Slot slot, Call<T>& plain, Magnitudes<Wide<T>>& magnitudes) {
        const Extents& extents = exact[slot].extents();
        const auto largest_of = [&](Tensor<Wide<T>>& tensor, Wide<T> unit) {
            return largest_per_row(extents, slot, [&](auto b, auto h, auto i, auto d) {
                return static_cast<double>(unit * tensor.row(b, h, i)[d]);
            });
        };
        constexpr T smallest = std::numeric_limits<T>::min();
        PerRow by_plain = errors_per_row(plain, exact, slot), terms = largest_of(magnitudes.terms[slot], 1);
        PerRow moved = largest_of(magnitudes.moved[slot], 1);
        PerRow flushed = largest_of(magnitudes.flushed[slot], smallest);
        const double multiple = input.direction == Direction::forward ? 2 : 3;
        allowed[slot] = largest_per_row(extents, slot, [&](auto b, auto h, auto i, auto d) {
            const double sum = terms.at(b, h, i, d);
            return std::min(multiple * by_plain.at(b, h, i, d), kSumTolerance * sum) + 4 * kEpsilon * sum +
                   moved.at(b, h, i, d) + flushed.at(b, h, i, d) + smallest;
        });
    }

    // The magnitudes take lse from the call, whether it was asked for or not.
    void add_lse(Call<Wide<T>>& call) {
        if (!describe(static_cast<hone_activation>(call.problem.activation)).normalised ||
            call[LSE].present())
            return;
        const hone_problem& p = call.problem;
        call[LSE] = Tensor<Wide<T>>({1, 1, 1, p.batch * p.query_heads * p.queries}, {});
        run_reference(call);
    }
};

// The element of a call's results that is the farthest from the truth, as a share of what is allowed.
struct Worst {
    Slot slot = O;
    std::int64_t batch = 0, head = 0, row = 0, feature = 0;
    double got = 0, exact = 0, error = 0, allowed = 0;
    double share = 0;  // error / allowed; infinite where nothing finite is allowed

    friend std::ostream& operator<<(std::ostream& out, const Worst& w) {
        return out << slot_names[w.slot] << "[" << w.batch << ", " << w.head << ", " << w.row << ", "
                   << w.feature << "] is " << w.got << ", should be " << w.exact << " within " << w.allowed
                   << ", is off by " << w.error;
    }
};

template <class T>
Worst worst_of(Call<T>& got, Truth<T>& truth, Slot slot) {
    Worst worst;
    truth.exact[slot].for_each_row([&](std::int64_t b, std::int64_t h, std::int64_t i, const Wide<T>* want) {
        const T* x = got[slot].row(b, h, i);
        for (std::int64_t d = 0; d < truth.exact[slot].extents().features; ++d) {
            const double allowed = truth.allowed[slot].at(b, h, i, d), error = distance(x[d], want[d]);
            const double share = error == 0               ? 0
                                 : std::isfinite(allowed) ? error / allowed
                                                          : std::numeric_limits<double>::infinity();
            if (share > worst.share)
                worst = {slot,  b,       h,    i, d, static_cast<double>(x[d]), static_cast<double>(want[d]),
                         error, allowed, share};
        }
    });
    return worst;
}

// Expects the results of a call to be as near to the truth as they must be.
template <class T>
void expect_accurate(Call<T>& got, Truth<T>& truth) {
    for (const Slot slot : outputs(got.direction)) {
        if (!got[slot].present()) continue;
        const Worst worst = worst_of(got, truth, slot);
        EXPECT_LE(worst.share, 1) << worst;
    }
}

// Expects a call to have written its results and nothing else.
template <class T>
void expect_only_outputs_written(Call<T>& got, Call<T>& before) {
    for (int slot = 0; slot < SLOTS; ++slot) {
        if (is_output(got.direction, slot))
            EXPECT_TRUE(got.tensors[slot].surroundings_intact()) << slot_names[slot] << ": written outside";
        else
            EXPECT_TRUE(got.tensors[slot].same_bytes(before.tensors[slot]))
                << slot_names[slot] << ": written";
    }
}

}  // namespace hone::test
