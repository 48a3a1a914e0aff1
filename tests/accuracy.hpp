// accuracy.hpp: how far from the truth a result may be, derived from the data of each call.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <hone/hone.hpp>
#include <limits>
#include <type_traits>

#include "tests/call.hpp"
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

struct Deviation {
    double error = 0;  // the largest
    std::int64_t batch = 0, head = 0, row = 0, feature = 0;
    double got = 0, exact = 0;
};

template <class A, class B>
Deviation deviation(Tensor<A>& got, Tensor<B>& exact) {
    Deviation worst;
    exact.for_each_row([&](std::int64_t b, std::int64_t h, std::int64_t i, B* want) {
        const A* x = got.row(b, h, i);
        for (std::int64_t d = 0; d < exact.extents().features; ++d)
            if (const double error = distance(x[d], want[d]); error > worst.error)
                worst = {error, b, h, i, d, static_cast<double>(x[d]), static_cast<double>(want[d])};
    });
    return worst;
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

// Every input changed by at most `amount` of itself.
template <class S>
Call<S> shaken(Call<S> call, double amount) {
    Random random("shaken");
    for (int slot = 0; slot < SLOTS; ++slot) {
        if (is_output(call.direction, slot)) continue;
        Tensor<S> original = call.tensors[slot];
        call.tensors[slot].for_each_row([&](std::int64_t b, std::int64_t h, std::int64_t i, S* x) {
            for (std::int64_t d = 0; d < original.extents().features; ++d)
                x[d] = original.row(b, h, i)[d] * (1 + static_cast<S>(amount * random.symmetric()));
        });
    }
    return call;
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

// The absolute values of a tensor, times sign.
template <class S>
Tensor<S> magnitude(Tensor<S> tensor, S sign = 1) {
    tensor.for_each_row([&](auto, auto, auto, S* x) {
        for (std::int64_t d = 0; d < tensor.extents().features; ++d) x[d] = sign * std::abs(x[d]);
    });
    return tensor;
}

// q or k with two features more, whose values are `first` and `second`.
template <class S>
Tensor<S> widened(Tensor<S>& from, S first, S second) {
    Extents extents = from.extents();
    extents.features += 2;
    Tensor<S> wide(extents, {});
    wide.for_each_row([&](std::int64_t b, std::int64_t h, std::int64_t i, S* x) {
        std::copy_n(from.row(b, h, i), extents.features - 2, x);
        x[extents.features - 2] = first;
        x[extents.features - 1] = second;
    });
    return wide;
}

// The scale of each output of a forward call: of o, the largest sum of p |v|. The absolute error of L = log Z
// is the relative error of Z, and the rounding of L itself.
template <class S>
std::array<double, SLOTS> forward_scales(Call<S> call) {
    if (!call.v_is_k) call[V] = magnitude(call[V]);
    if (call.v_is_k) call[V] = magnitude(call[K]);
    call.v_is_k = false;
    run_reference(call);
    std::array<double, SLOTS> scales = {};
    scales[O] = largest(call[O]);
    scales[LSE] = 1 + largest(call[LSE]);
    return scales;
}

// The scale of each output of a backward call: the largest sum of the magnitudes of its terms. With |dout|,
// |v|,
// -|o| and |dlse| for inputs, ds is |p| (|dp| + |delta|), a bound on the true one. Two features more, 0 and 1
// in q but 1 and 0 in k, leave every score as it is and receive the sums of ds over the keys and over the
// queries.
template <class S>
std::array<double, SLOTS> backward_scales(Call<S> call) {
    const std::int64_t features = call.problem.key_dim;
    const double scale =
        call.problem.scale != 0 ? call.problem.scale : 1 / std::sqrt(static_cast<double>(features));
    std::array<double, SLOTS> scales = {};
    const double largest_q = largest(call[Q]), largest_k = largest(call[K]);
    call[V] = magnitude(call[call.v_is_k ? K : V]);
    call.v_is_k = false;
    call[DOUT] = magnitude(call[DOUT]);
    call[O] = magnitude(call[O], S(-1));
    call[DLSE] = magnitude(call[DLSE]);
    call[Q] = widened(call[Q], S(0), S(1));
    call[K] = widened(call[K], S(1), S(0));
    for (const Slot slot : {DQ, DK})
        if (call[slot].present()) call[slot] = widened(call[slot], S(0), S(0));
    call.problem.key_dim = features + 2;
    call.problem.scale = scale;
    run_reference(call);
    for (const Slot slot : outputs(Direction::backward)) scales[slot] = largest(call[slot]);
    const auto largest_of = [&](Slot slot, std::int64_t feature) {
        double most = 0;
        call[slot].for_each_row([&](auto, auto, auto, S* x) {
            most = std::max(most, std::abs(static_cast<double>(x[feature])));
        });
        return most;
    };
    scales[DQ] = largest_of(DQ, features) * largest_k;
    scales[DK] = largest_of(DK, features + 1) * largest_q;
    return scales;
}

// A call, its true results, and the error that each may have.
template <class T>
struct Truth {
    Call<T> input;
    Call<Wide<T>> exact;
    std::array<double, SLOTS> allowed = {};

    // The error allowed is a small multiple of the error that plain loops in T make, and a floor, as plain
    // loops may be exact by luck: 4 units in the last place of the scale of the output, and what becomes of
    // the output when the inputs move by 2 units in the last place (the rounding of scores acts like that).
    explicit Truth(Call<T> call) : input(std::move(call)) {
        compute_o_and_lse(input);
        exact = Call<Wide<T>>(input);
        run_reference(exact);
        Call<T> plain = input;
        run_reference(plain);
        constexpr double epsilon = std::numeric_limits<T>::epsilon();
        Call<Wide<T>> moved = shaken(Call<Wide<T>>(input), 2 * epsilon);
        run_reference(moved);
        const bool forward = input.direction == Direction::forward;
        const auto scales = forward ? forward_scales(input) : backward_scales(input);
        for (const Slot slot : outputs(input.direction))
            if (input[slot].present())
                allowed[slot] = (forward ? 2 : 3) * deviation(plain[slot], exact[slot]).error +
                                4 * epsilon * scales[slot] + deviation(moved[slot], exact[slot]).error +
                                std::numeric_limits<T>::denorm_min();
    }
};

// Expects the results of a call to be as near to the truth as they must be.
template <class T>
void expect_accurate(Call<T>& got, Truth<T>& truth) {
    for (const Slot slot : outputs(got.direction)) {
        if (!got[slot].present()) continue;
        ASSERT_TRUE(std::isfinite(truth.allowed[slot])) << slot_names[slot];
        const Deviation worst = deviation(got[slot], truth.exact[slot]);
        EXPECT_LE(worst.error, truth.allowed[slot])
            << slot_names[slot] << "[" << worst.batch << ", " << worst.head << ", " << worst.row << ", "
            << worst.feature << "] is " << worst.got << ", should be " << worst.exact
            << " (largest: " << largest(truth.exact[slot]) << ")";
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
