// accuracy.hpp: how far from the truth a result may be, derived from the data of each call.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <hone/hone.hpp>
#include <limits>
#include <ostream>
#include <string>
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

// Whether a argument is an array of unrelated numbers, not rows of features.
inline bool is_array(int argument) {
    return argument == SINK || argument == LOG_PRIOR || argument == SHIFT || argument == LSE ||
           argument == DLSE || argument == DSINK || argument == DLOG_PRIOR || argument == DSHIFT;
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

// The largest of value(b, h, i, d) in each row of a tensor.
template <class S, class Value>
PerRow largest_per_row(Tensor<S>& tensor, Argument argument, Value&& value) {
    PerRow most(tensor.extents(), is_array(argument));
    tensor.for_each_element([&](auto b, auto h, auto i, auto d) {
        double& x = most.at(b, h, i, d);
        x = std::max(x, value(b, h, i, d));
    });
    return most;
}

template <class A, class B>
PerRow errors_per_row(Call<A>& got, Call<B>& exact, Argument argument) {
    return largest_per_row(exact[argument], argument, [&](auto b, auto h, auto i, auto d) {
        return distance(got[argument].row(b, h, i)[d], exact[argument].row(b, h, i)[d]);
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

// Makes NaN of the padding of o and lse, which backward does not read.
template <class T>
void poison_padding(Call<T>& call) {
    for (const Argument argument : {O, LSE})
        call[argument].for_each_row([&](std::int64_t b, auto, std::int64_t i, T* x) {
            if (!call.counts(argument, b, i)) std::fill_n(x, call[argument].extents().features, poison<T>());
        });
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
    poison_padding(call);
}

// A call, its true results, and the error that each row of them may have.
template <class T>
struct Truth {
    Call<T> input;
    Call<Wide<T>> exact;
    std::array<PerRow, ARGUMENTS> allowed;

    explicit Truth(Call<T> call) : input(std::move(call)) {
        compute_o_and_lse(input);
        exact = Call<Wide<T>>(input);
        run_reference(exact);
        Call<T> plain = input;
        run_reference(plain);
        Call<Wide<T>> with_lse = exact;
        if (input.direction == Direction::forward) add_lse(with_lse);
        Magnitudes<Wide<T>> magnitudes(with_lse, kPrecision);
        for (const Argument argument : outputs(input.direction))
            if (input[argument].present()) allow(argument, plain, magnitudes);
    }

  private:
    static constexpr Precision kPrecision = {std::numeric_limits<T>::epsilon()};

    // The error allowed is a small multiple of the error that plain loops in T make, which may be nothing by
    // luck and so is taken with what the roundings of the sum may come to; or what a long sum may lose, where
    // that is less; and a floor: 4 units in the last place of the sum of magnitudes, and what becomes of the
    // row when its scores are rounded and small numbers flushed.
    void allow(Argument argument, Call<T>& plain, Magnitudes<Wide<T>>& magnitudes) {
        Tensor<Wide<T>>& tensor = exact[argument];
        PerRow by_plain = errors_per_row(plain, exact, argument),
               largest(tensor.extents(), is_array(argument));
        PerRow rounding = largest, floor = largest;
        const double multiple = input.direction == Direction::forward ? 2 : 3;
        // What is not finite is judged by itself: infinite or NaN in the truth, too.
        const auto raise = [](double& most, Wide<T> x) {
            if (std::isfinite(x)) most = std::max(most, static_cast<double>(x));
        };
        tensor.for_each_element([&](auto b, auto h, auto i, auto d) {
            const TermSum<Wide<T>>& sum = magnitudes.sum(argument, b, h, i, d);
            const Term<Wide<T>>& all = sum.all();
            const Wide<T> flushed = std::numeric_limits<T>::min() * (1 + all.flushed);
            raise(largest.at(b, h, i, d), all.magnitude);
            raise(rounding.at(b, h, i, d), argument == LSE ? 0 : sum.rounding(kPrecision));
            raise(floor.at(b, h, i, d), 4 * kPrecision.epsilon * all.magnitude + all.moved + flushed);
            // A normaliser that may be flushed altogether may leave any lse, and any share of it.
            if (argument == LSE ? flushed > 0.25 : std::isinf(flushed))
                floor.at(b, h, i, d) = std::numeric_limits<double>::infinity();
        });
        allowed[argument] = largest_per_row(tensor, argument, [&](auto b, auto h, auto i, auto d) {
            return std::min(multiple * by_plain.at(b, h, i, d) + rounding.at(b, h, i, d),
                            kPrecision.sum_tolerance() * largest.at(b, h, i, d)) +
                   floor.at(b, h, i, d);
        });
    }

    // The magnitudes take lse from the call, whether it was asked for or not.
    void add_lse(Call<Wide<T>>& call) {
        if (!describe(static_cast<hone_activation>(call.problem.activation)).normalised ||
            call[LSE].present())
            return;
        call[LSE] = Tensor<Wide<T>>(call.lse_extents(), {});
        run_reference(call);
    }
};

// The element of a call's results that is the farthest from the truth, as a share of what is allowed.
struct Worst {
    Argument argument = O;
    std::int64_t batch = 0, head = 0, row = 0, feature = 0;
    double got = 0, exact = 0, error = 0, allowed = 0;
    double share = 0;  // error / allowed

    friend std::ostream& operator<<(std::ostream& out, const Worst& w) {
        return out << argument_names[w.argument] << "[" << w.batch << ", " << w.head << ", " << w.row << ", "
                   << w.feature << "] is " << w.got << ", should be " << w.exact << " within " << w.allowed
                   << ", is off by " << w.error;
    }
};

template <class T>
Worst worst_of(Call<T>& got, Truth<T>& truth, Argument argument) {
    Worst worst;
    truth.exact[argument].for_each_row([&](std::int64_t b, std::int64_t h, std::int64_t i,
                                           const Wide<T>* want) {
        const T* x = got[argument].row(b, h, i);
        for (std::int64_t d = 0; d < truth.exact[argument].extents().features; ++d) {
            const double allowed = truth.allowed[argument].at(b, h, i, d), error = distance(x[d], want[d]);
            const double share = error == 0 || std::isinf(allowed) ? 0 : error / allowed;
            if (share > worst.share)
                worst = {
                    argument, b,       h,    i, d, static_cast<double>(x[d]), static_cast<double>(want[d]),
                    error,    allowed, share};
        }
    });
    return worst;
}

// The first argument that a call wrote where it should not, such as "k" or "beside dk"; "" for none.
template <class T>
std::string wrongly_written(Call<T>& got, Call<T>& before) {
    for (int argument = 0; argument < ARGUMENTS; ++argument) {
        const std::string name = argument_names[argument];
        if (is_output(got.direction, argument)) {
            if (!got.tensors[argument].surroundings_intact()) return "beside " + name;
        } else if (!got.tensors[argument].same_bytes(before.tensors[argument])) {
            return name;
        }
    }
    return "";
}

}  // namespace hone::test
