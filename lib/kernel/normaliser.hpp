// normaliser.hpp: what a row carries from key block to key block, how two parts of a row join, and what
// backward needs of it.
//
// RowFunctions is the interface. A normaliser that needs another pass over the scores of a row first takes
// them from for_strips (strips.hpp), as the pass that weighs does; one whose delta is not do . o gives its
// own to row_constants.hpp.
#pragma once

#include "kernel/differentiate.hpp"

namespace hone {
namespace {

// The factors for the o of a row, and for that of a part that joins it.
template <class T>
struct Rescale {
    T kept, added;
};

// An activation with its normaliser, as blocks of rows use it. `head` is one of q; `key_count`: of the keys
// that the row sees.
template <class T>
struct RowFunctions {
    // Whether the shift or the weight is a default that may depend on key_count.
    bool (*counts_keys)(const Parameters<T>&);
    // Shift and weight in forward; null where there are none.
    RowConstants<T> (*constants)(const Parameters<T>&, std::int64_t head, std::int64_t key_count);
    // The states of rows before any key: those of the sink, if there is one.
    void (*begin)(const Parameters<T>&, const QueryHead* at, std::int64_t rows, RowState<T>*);
    // Scores -> weights; the states follow.
    void (*weigh)(const ScoreRows<T>&);
    // Merges the second state into the first.
    Rescale<T> (*join)(RowState<T>&, const RowState<T>&);
    // The factors for the o of rows in the end; and L, null where there is none.
    void (*factors)(const RowState<T>*, const RowConstants<T>*, std::int64_t rows, T*);
    T (*lse)(const RowState<T>&);

    // Shift and weight in backward, from L.
    RowConstants<T> (*backward_constants)(const Parameters<T>&, const RowLse<T>&, std::int64_t head,
                                          std::int64_t key_count);
    // s -> p, dp -> ds; differentiate_and_sum also gives the sum of ds.
    T (*differentiate)(const Scores<T>&, T* dp, const RowConstants<T>&);
    T (*differentiate_and_sum)(const Scores<T>&, T* dp, const RowConstants<T>&);
    bool takes_log_prior;
};

// A row that has seen no key, and has no sink.
template <class T>
inline constexpr RowState<T> kNoState = {0, -infinity<T>()};

// Of each normaliser, what the passes over a row need:
//   divides            phi is divided by a sum: forward adds it up, and backward subtracts delta
//   in_groups          groups of rows are weighed together
//   shifts<Act>        x = s + shift
//   weight_power<Act>  p = weight^n phi(x), in backward

// Shared by the two that divide by a sum: weights are carried times e^-maximum.
struct Divided {
    static constexpr bool divides = true;
    template <class T, class Act>
    static bool counts_keys(const Parameters<T>&) {
        return false;
    }

    template <class T>
    static Rescale<T> join(RowState<T>& state, const RowState<T>& part) {
        const T most = part.maximum > state.maximum ? part.maximum : state.maximum;
        const auto rescale = [&](T maximum) { return maximum == most ? T(1) : natural_exp(maximum - most); };
        const Rescale<T> both = {rescale(state.maximum), rescale(part.maximum)};
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
};

struct MaximumAndSum : Divided {
    static constexpr bool in_groups = true;
    template <class Act>
    static constexpr bool shifts = true;
    template <class Act>
    static constexpr int weight_power = 0;  // e^-L is part of the shift

    template <class T, class Act>
    static RowState<T> begin(const Parameters<T>& parameter, std::int64_t head) {
        const T offset = Act::offset(parameter, head);
        return {offset == -infinity<T>() ? 0.0 : 1.0, offset};
    }
    // Where every score so far is -inf, any finite maximum gives weights of 0.
    template <class T>
    static T shift_of(T maximum) {
        return maximum == -infinity<T>() ? T(0) : -maximum;
    }
    // With the bits that the row has in a group.
    template <class T, class Act>
    static void weigh_row(const ScoreRows<T>& of, std::int64_t r) {
        const Scores<T> row = scores_of(of, r);
        const T before = of.state[r].maximum, here = row_maximum(row), most = here > before ? here : before;
        const T rescale = most == before ? T(1) : first_of(exp(Vectors<T>(before - most)));
        const T sum = hone::weigh_row<T, Act, MaximumAndSum>(row, shift_of(most));
        of.state[r] = {of.state[r].sum * static_cast<double>(rescale) + sum, most};
        of.rescale[r] = rescale;
    }
    // No row waits for the one before: the maxima of a group are found first, and raised together.
    template <class T, class Act>
    static void weigh_group(const ScoreRows<T>& of, Range group) {
        constexpr int n = kGroupRows<T>;
        alignas(64) T maximum[n], change[n] = {}, shift[n], sum[n];
        row_maxima(of, group, maximum);
        for (std::int64_t i = 0; i < count(group); ++i) {
            T& most = of.state[group.begin + i].maximum;
            const T before = most;
            most = maximum[i] > before ? maximum[i] : before;
            change[i] = before - most;
            shift[i] = shift_of(most);
        }
        // Below 0 where the maximum rose; NaN where it was infinite and still is.
        const Vectors<T> lowered = load_vectors(change), zero(0);
        alignas(64) T rescale[n];
        store(rescale, exp(select(lowered < zero, lowered, zero)));
        hone::weigh_group<T, Act, MaximumAndSum>(of, group, shift, sum);
        for (std::int64_t i = 0; i < count(group); ++i) {
            double& total = of.state[group.begin + i].sum;
            total = total * static_cast<double>(rescale[i]) + sum[i];
            of.rescale[group.begin + i] = rescale[i];
        }
    }
    // The weight e^-L is in the shift.
    template <class T, class Act>
    static RowConstants<T> backward_constants(const Parameters<T>& parameter, const RowLse<T>& row,
                                              std::int64_t head, std::int64_t) {
        return {row.shift(prior_of(parameter, head)), 1, 0};
    }
    template <class T, class Act, Sums sums>
    static T differentiate(const Scores<T>& row, T* dp, const RowConstants<T>& constant) {
        return hone::differentiate<T, Act, MaximumAndSum, sums>(row, dp, constant);
    }
};

// A row whose sum in one block of keys is larger than kLarge carries its weights times e^-kLowered from then
// on, as if kLowered were its maximum: any phi that is finite is then of the order of kLarge at most, and
// what vanishes of the order of kLarge^-2 of the sum.
template <class T>
inline constexpr T kLarge = sizeof(T) == 4 ? 0x1p32 : 0x1p256;
template <class T>
inline constexpr T kLowered = sizeof(T) == 4 ? 66 : 532;  // 3/4 of the exponent's range

// Raises the maximum of a row to `most`; gives the factor for its o.
template <class T>
inline T raise_maximum(RowState<T>& state, T most) {
    if (most == state.maximum) return 1;
    const T rescale = natural_exp(state.maximum - most);
    state.maximum = most;
    state.sum *= rescale;
    return rescale;
}

// phi needs no maximum. Rows of which all scores are below Act::exponential_below are taken as exponential.
struct Sum : Divided {
    using Low = activation::Exponential;

    // The search for the next row's maximum fills the gaps of a long chain of operations.
    static constexpr bool in_groups = false;
    template <class Act>
    static constexpr bool shifts = false;
    // phi may be near overflow where e^-L is below the normal numbers, and so is ds: the weight is its root.
    template <class Act>
    static constexpr int weight_power = 2;

    template <class T, class Act>
    static RowState<T> begin(const Parameters<T>&, std::int64_t) {
        return kNoState<T>;
    }
    template <class T, class Act>
    static void weigh_row(const ScoreRows<T>& of, std::int64_t r) {
        RowState<T>& state = of.state[r];
        const Scores<T> row = scores_of(of, r);
        const T here = row_maximum(row);
        T most = here > state.maximum ? here : state.maximum;
        if (most < static_cast<T>(Act::exponential_below)) return MaximumAndSum::weigh_row<T, Low>(of, r);
        T sum = hone::weigh_row<T, Act, Sum>(row, 0);
        most = sum > kLarge<T> || state.maximum > 0 ? kLowered<T> : T(0);
        if (most > 0) sum = scale_weights(row, natural_exp(-kLowered<T>));
        of.rescale[r] = raise_maximum(state, most);
        state.sum += sum;
    }
    // The weight is e^(-L/2), which p takes twice. A row that is taken as exponential has a shift, as other
    // rows have none.
    template <class T, class Act>
    static RowConstants<T> backward_constants(const Parameters<T>& parameter, const RowLse<T>& row,
                                              std::int64_t head, std::int64_t key_count) {
        if (!(row.lse < Act::exponential_below)) return {0, static_cast<T>(natural_exp(-row.lse / 2)), 0};
        return MaximumAndSum::backward_constants<T, Low>(parameter, row, head, key_count);
    }
    template <class T, class Act, Sums sums>
    static T differentiate(const Scores<T>& row, T* dp, const RowConstants<T>& constant) {
        if (constant.shift != 0) return hone::differentiate<T, Low, MaximumAndSum, sums>(row, dp, constant);
        return hone::differentiate<T, Act, Sum, sums>(row, dp, constant);
    }
};

// Element-wise: nothing is carried, and rows have a shift and a weight.
struct None {
    static constexpr bool divides = false, in_groups = true;
    template <class T, class Act>
    static bool counts_keys(const Parameters<T>& parameter) {
        return (Act::takes_shift && !parameter.shift) || (Act::takes_weight && parameter.weight == 0);
    }
    template <class Act>
    static constexpr bool shifts = Act::takes_shift;
    template <class Act>
    static constexpr int weight_power = Act::takes_weight ? 1 : 0;

    template <class T, class Act>
    static RowConstants<T> constants(const Parameters<T>& parameter, std::int64_t head,
                                     std::int64_t key_count) {
        if (key_count == 0) return {0, 0, 0};
        const double keys = static_cast<double>(key_count);
        const double shift = parameter.shift ? parameter.shift[head] : Act::default_shift(keys);
        const bool given = Act::takes_weight && parameter.weight != 0;
        const double weight = given ? parameter.weight : Act::default_weight(keys);
        return {static_cast<T>(shift), static_cast<T>(weight), 0};
    }
    template <class T, class Act>
    static RowState<T> begin(const Parameters<T>&, std::int64_t) {
        return kNoState<T>;
    }
    template <class T, class Act>
    static void weigh_row(const ScoreRows<T>& of, std::int64_t r) {
        hone::weigh_row<T, Act, None>(scores_of(of, r), of.constant[r].shift);
        of.rescale[r] = 1;
    }
    template <class T, class Act>
    static void weigh_group(const ScoreRows<T>& of, Range group) {
        T shift[kGroupRows<T>];
        for (std::int64_t r = group.begin; r < group.end; ++r) {
            shift[r - group.begin] = of.constant[r].shift;
            of.rescale[r] = 1;
        }
        hone::weigh_group<T, Act, None>(of, group, shift, static_cast<T*>(nullptr));
    }
    template <class T>
    static Rescale<T> join(RowState<T>&, const RowState<T>&) {
        return {1, 1};
    }
    template <class T>
    static T factor(const RowState<T>&, const RowConstants<T>& constant) {
        return constant.weight;
    }
    template <class T, class Act>
    static RowConstants<T> backward_constants(const Parameters<T>& parameter, const RowLse<T>&,
                                              std::int64_t head, std::int64_t key_count) {
        return constants<T, Act>(parameter, head, key_count);
    }
    template <class T, class Act, Sums sums>
    static T differentiate(const Scores<T>& row, T* dp, const RowConstants<T>& constant) {
        return hone::differentiate<T, Act, None, sums>(row, dp, constant);
    }
};

// (A row with a mask comes alone.)
template <class T, class Act, class N>
void weigh_rows(const ScoreRows<T>& of) {
    for (std::int64_t r = 0, end; r < of.rows; r = end) {
        end = smaller(r + (N::in_groups ? kGroupRows<T> : 1), of.rows);
        if (end - r == 1)
            N::template weigh_row<T, Act>(of, r);
        else if constexpr (N::in_groups)
            N::template weigh_group<T, Act>(of, {r, end});
    }
}

template <class T, class Act, class N>
void begin_rows(const Parameters<T>& parameter, const QueryHead* at, std::int64_t rows, RowState<T>* state) {
    for (std::int64_t r = 0; r < rows; ++r) state[r] = N::template begin<T, Act>(parameter, at[r].head);
}

template <class T, class N>
void row_factors(const RowState<T>* state, const RowConstants<T>* constant, std::int64_t rows, T* factor) {
    for (std::int64_t r = 0; r < rows; ++r) factor[r] = N::factor(state[r], constant[r]);
}

template <class T, class Act, class N>
constexpr RowFunctions<T> row_functions_with() {
    RowConstants<T> (*constants)(const Parameters<T>&, std::int64_t, std::int64_t) = nullptr;
    T (*lse)(const RowState<T>&) = nullptr;
    if constexpr (Act::normaliser == Normaliser::none)
        constants = N::template constants<T, Act>;
    else
        lse = N::template lse<T>;
    constexpr Sums sums = Act::takes_shift || Act::takes_log_prior ? Sums::ds : Sums::none;
    return {N::template counts_keys<T, Act>,
            constants,
            begin_rows<T, Act, N>,
            weigh_rows<T, Act, N>,
            N::template join<T>,
            row_factors<T, N>,
            lse,
            N::template backward_constants<T, Act>,
            N::template differentiate<T, Act, Sums::none>,
            N::template differentiate<T, Act, sums>,
            Act::takes_log_prior};
}

template <class T, class Act>
constexpr RowFunctions<T> row_functions() {
    if constexpr (Act::normaliser == Normaliser::maximum_and_sum)
        return row_functions_with<T, Act, MaximumAndSum>();
    else if constexpr (Act::normaliser == Normaliser::sum)
        return row_functions_with<T, Act, Sum>();
    else
        return row_functions_with<T, Act, None>();
}

}  // namespace
}  // namespace hone
