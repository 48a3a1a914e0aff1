// normaliser.hpp: what a row carries from key block to key block, how two parts of a row join, and what
// backward needs of it.
//
// A normaliser has
//     begin(offset)       the state of a row before any key; offset: the logit beside the keys' own
//     weigh(row)          a block of scores -> weights, and the state follows; gives what o so far is worth
//     join(state, part)   the state of both; gives what the o of each is worth
//     factor(state)       what o is worth in the end
//     lse(state)          L
// and for backward
//     constants(...)      shift and weight of RowConstants
//     kDeltaFromOutput    whether delta is do . o; else it is 0
//     kWeightPower        p = weight^kWeightPower phi
// One that needs another pass over the scores of a row first takes them from for_scores (forward.hpp), as the
// pass that weighs does.
#pragma once

#include "kernel/weigh.hpp"

namespace hone {
namespace {

// What the o of a row, and of a part that joins it, are worth.
template <class T>
struct Worth {
    T kept, added;
};

// Takes the maximum of a row to `most`; gives what its o is worth then.
template <class T>
inline T raise_maximum(RowState<T>& state, T most) {
    if (most == state.maximum) return 1;
    const T worth = natural_exp(state.maximum - most);
    state.maximum = most;
    state.sum *= worth;
    return worth;
}

// What both that divide by a sum have in common: weights are carried times e^-maximum.
struct Divided {
    static constexpr bool kDeltaFromOutput = true;

    template <class T>
    static RowState<T> begin(T offset) {
        return {offset == -infinity<T>() ? 0.0 : 1.0, offset};
    }
    template <class T>
    static Worth<T> join(RowState<T>& state, const RowState<T>& part) {
        const T most = part.maximum > state.maximum ? part.maximum : state.maximum;
        const auto worth = [&](T maximum) { return maximum == most ? T(1) : natural_exp(maximum - most); };
        const Worth<T> both = {worth(state.maximum), worth(part.maximum)};
        state.sum = state.sum * static_cast<double>(both.kept) + part.sum * static_cast<double>(both.added);
        state.maximum = most;
        return both;
    }
    template <class T>
    static T factor(const RowState<T>& state, const RowConstants<T>&) {
        return state.sum == 0 ? T(0) : static_cast<T>(1 / state.sum);
    }
    template <class T>
    static T lse(const RowState<T>& state) {
        return state.maximum + natural_log(static_cast<T>(state.sum));
    }
    template <class Act, class T>
    static RowConstants<T> constants(const Parameters<T>&, std::int64_t, std::int64_t) {
        return {0, 1, 0};
    }
};

struct MaximumAndSum : Divided {
    static constexpr int kWeightPower = 0;

    template <class Act, class T>
    static T weigh(const Scores<T>& row, const RowConstants<T>&, RowState<T>& state) {
        const T here = row_maximum(row), most = here > state.maximum ? here : state.maximum;
        // Where every score so far is -inf, any finite maximum gives weights of 0.
        const T sum = hone::weigh<T, Act>(row, most == -infinity<T>() ? T(0) : -most);
        const T worth = raise_maximum(state, most);
        state.sum += sum;
        return worth;
    }
    // The weight e^-L is in the shift.
    template <class Act, class T>
    static RowConstants<T> backward_constants(const RowLse<T>& row, T prior) {
        return {row.shift(prior), 1, 0};
    }
};

// A row whose sum in one block of keys is larger than kLarge carries its weights times e^-kLowered from then
// on, as if kLowered were its maximum: any phi that is finite is then of the order of kLarge at most, and
// what vanishes of the order of kLarge^-2 of the sum.
template <class T>
inline constexpr T kLarge = sizeof(T) == 4 ? 0x1p32 : 0x1p256;
template <class T>
inline constexpr T kLowered = sizeof(T) == 4 ? 66 : 532;  // 3/4 of the exponent's range

// phi needs no maximum. Rows of which all scores are below Act::exponential_below are taken as exponential.
struct Sum : Divided {
    static constexpr int kWeightPower = 2;

    template <class Act, class T>
    static T weigh(const Scores<T>& row, const RowConstants<T>& constant, RowState<T>& state) {
        const T here = row_maximum(row);
        T most = here > state.maximum ? here : state.maximum;
        if (most < static_cast<T>(Act::exponential_below))
            return MaximumAndSum::weigh<activation::Exponential>(row, constant, state);
        T sum = hone::weigh<T, Act>(row, T(0));
        most = sum > kLarge<T> || state.maximum > 0 ? kLowered<T> : T(0);
        if (most > 0) sum = scale_weights(row, natural_exp(-kLowered<T>));
        const T worth = raise_maximum(state, most);
        state.sum += sum;
        return worth;
    }
    // The weight is e^(-L/2), which p takes twice; a row that is taken as exponential has a shift, as other
    // rows have none.
    template <class Act, class T>
    static RowConstants<T> backward_constants(const RowLse<T>& row, T prior) {
        if (!(row.lse < Act::exponential_below)) return {0, static_cast<T>(natural_exp(-row.lse / 2)), 0};
        return MaximumAndSum::backward_constants<Act>(row, prior);
    }
};

// Element-wise: nothing is carried, and rows have a shift and a weight.
struct None {
    static constexpr bool kDeltaFromOutput = false;
    static constexpr int kWeightPower = 1;

    template <class T>
    static RowState<T> begin(T) {
        return {};
    }
    template <class Act, class T>
    static T weigh(const Scores<T>& row, const RowConstants<T>& constant, RowState<T>&) {
        hone::weigh<T, Act>(row, constant.shift);
        return 1;
    }
    template <class T>
    static Worth<T> join(RowState<T>&, const RowState<T>&) {
        return {1, 1};
    }
    template <class T>
    static T factor(const RowState<T>&, const RowConstants<T>& constant) {
        return constant.weight;
    }
    template <class Act, class T>
    static RowConstants<T> constants(const Parameters<T>& parameter, std::int64_t head, std::int64_t seen) {
        if (seen == 0) return {0, 0, 0};
        const double keys = static_cast<double>(seen);
        const double shift = parameter.shift ? parameter.shift[head] : Act::default_shift(keys);
        const bool given = Act::takes_weight && parameter.weight != 0;
        return {static_cast<T>(shift), static_cast<T>(given ? parameter.weight : Act::default_weight(keys)),
                0};
    }
};

template <Normaliser normaliser>
struct NormaliserNamed;
template <>
struct NormaliserNamed<Normaliser::maximum_and_sum> {
    using Type = MaximumAndSum;
};
template <>
struct NormaliserNamed<Normaliser::sum> {
    using Type = Sum;
};
template <>
struct NormaliserNamed<Normaliser::none> {
    using Type = None;
};
template <class Act>
using NormaliserOf = typename NormaliserNamed<Act::normaliser>::Type;

// The logit beside the keys' own in the normaliser of one head.
template <class T, class Act>
inline T offset_of(const Parameters<T>& parameter, std::int64_t head) {
    if constexpr (Act::normaliser == Normaliser::maximum_and_sum)
        return Act::offset(parameter, head);
    else
        return -infinity<T>();
}

}  // namespace
}  // namespace hone
