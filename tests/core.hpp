// core.hpp: the core with what no public option asks for: windows of keys, stages, and small blocks, beside
// plain loops.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

#include "dispatch.hpp"
#include "rounding.hpp"
#include "run.hpp"
#include "tests/plain.hpp"
#include "tests/search_spec.hpp"

namespace hone::test {

// What no public option asks for.
template <class T>
struct Setting {
    Modifiers modifiers;
    Stages<T> stages = {};
    bool small_blocks = false;  // many blocks and splits of few keys
};

// Blocks as small as they may be.
inline Tuning small_blocks(Tuning tuning) {
    tuning.forward_rows = 2 * tuning.tile_rows;
    tuning.backward_rows = 3 * tuning.tile_rows;
    tuning.block_keys = tuning.in_place_keys = kSliceKeys;
    tuning.split_keys = 2 * kSliceKeys;
    tuning.few_rows = 3;
    return tuning;
}

// The way of a call, from the plan on.
template <class T>
void run_core(Call<T>& call, const std::string& isa, const Setting<T>& setting) {
    const Rounding rounding;
    const Isa* kernels = nullptr;
    ASSERT_EQ(choose_isa(isa.c_str(), &kernels), HONE_OK);
    const Tiles<T>* tiles;
    if constexpr (std::is_same_v<T, float>)
        tiles = &kernels->f32;
    else
        tiles = &kernels->f64;
    const hone_problem& p = call.problem;
    const Tuning tuning = setting.small_blocks ? small_blocks(tiles->tuning) : tiles->tuning;
    const Machine machine = {p.threads, tuning};
    const auto run_with = [&](const auto& plan, const auto& args) {
        Storage<std::byte> workspace(plan.bytes, std::byte{0x5a});
        auto planned = call_of<T>(plan, p, args, workspace.data());
        planned.stages = setting.stages;
        run(planned, *tiles);
    };
    const hone_activation_info& info = *activation_info(p.activation);
    const Visibility& visibility = setting.modifiers.visibility;
    if (call.direction == Direction::forward) {
        const hone_forward_args args = call.forward_args();
        run_with(plan_forward(p, args, info, visibility, machine), args);
    } else {
        const hone_backward_args args = call.backward_args();
        run_with(plan_backward(p, args, info, visibility, machine), args);
    }
}

// What is right, and how large the terms of a sum are all together that may cancel each other.
struct Right {
    Call<double> call;
    double ds_terms = 0;
};

// The largest difference to what is right, as a share of the largest value that is right, or of 1, the size
// of the inputs; inf where one is NaN and the other is not. A gradient of a parameter is the sum of so many
// ds that rounding is a share of their terms: 32 units of 2^-24 of them are as much as is allowed here.
template <class T>
double worst_share(Call<T>& call, Right& of, Argument argument) {
    const bool sums_ds = argument == DSINK || argument == DLOG_PRIOR || argument == DSHIFT;
    Call<double>& right = of.call;
    double largest = sums_ds ? std::max(1.0, of.ds_terms / 100) : 1, worst = 0;
    right[argument].for_each_row([&](auto b, auto h, auto i, double* want) {
        for (std::int64_t d = 0; d < right[argument].extents().features; ++d) {
            const double got = call[argument].row(b, h, i)[d];
            if (std::isnan(got) != std::isnan(want[d])) worst = std::numeric_limits<double>::infinity();
            if (!std::isfinite(want[d]) && got == want[d]) continue;
            if (std::isnan(got)) continue;
            largest = std::max(largest, std::abs(want[d]));
            worst = std::max(worst, std::abs(got - want[d]));
        }
    });
    return worst / largest;
}

// Sets some rows of k and v to NaN.
template <class T>
void poison_keys(Call<T>& call, std::int64_t every) {
    for (const Argument argument : {K, V})
        if (call[argument].present())
            call[argument].for_each_row([&](auto, auto, std::int64_t j, T* x) {
                if (j % every == every - 1)
                    x[j % call[argument].extents().features] = std::numeric_limits<T>::quiet_NaN();
            });
}

// What one ISA gives, beside what is right.
template <class T>
std::string faults_on(const std::string& isa, const Call<T>& inputs, Right& right,
                      const Setting<T>& setting) {
    std::string faults;
    const auto fault = [&](int argument, const std::string& what) {
        faults += isa + ": " + argument_names[argument] + " " + what + "; ";
    };
    Call<T> call = inputs, one_thread = inputs;
    one_thread.problem.threads = 1;
    run_core(call, isa, setting);
    run_core(one_thread, isa, setting);
    for (int argument = 0; argument < ARGUMENTS; ++argument)
        if (is_output(call.direction, argument)
                ? !call.tensors[argument].surroundings_intact()
                : !call.tensors[argument].same_bytes(inputs.tensors[argument]))
            fault(argument, "is written where it should not be");
    for (const Argument argument : outputs(call.direction)) {
        if (!call[argument].present()) continue;
        if (!call[argument].same_bytes(one_thread[argument])) fault(argument, "has other bits on one thread");
        const double worst = worst_share(call, right, argument);
        if (worst > (sizeof(T) == 4 ? 2e-4 : 1e-10)) fault(argument, "is off by " + std::to_string(worst));
    }
    return faults;
}

// What is wrong with the core on one call; empty where nothing is.
template <class T>
std::string faults_of(Call<T> call, const Setting<T>& setting) {
    Right right = {Call<double>(call)};
    if (call.direction == Direction::backward &&
        describe(static_cast<hone_activation>(call.problem.activation)).normalised) {
        Call<double> forward = right.call;
        forward.direction = Direction::forward;
        run_plain(forward, setting.modifiers);
        for (const Argument argument : {O, LSE})
            right.call[argument].assign(forward[argument]), call[argument].assign(forward[argument]);
    }
    right.ds_terms = run_plain(right.call, setting.modifiers);
    std::string faults;
    for (const std::string& isa : available_isas()) faults += faults_on(isa, call, right, setting);
    return faults;
}

// A problem of the search of ordinary size.
inline SearchProblem tame(std::int64_t number) {
    SearchProblem problem = SearchDraw(number).problem();
    Spec& s = problem.spec;
    s.amplitude = s.size_v = s.size_dout = s.size_parameter = 1;
    s.grid = true;
    s.scale = 0, s.mask = Mask::none;
    return problem;
}

// Any window, of one key to all, that ends anywhere.
inline Visibility draw_window(const Spec& s, Random& random) {
    Visibility v = {s.queries, s.keys, s.queries, s.keys};
    const std::int64_t reach = s.queries + s.keys;
    if (random.integer(0, 3) > 0) v.beyond = random.integer(-s.queries, s.keys);
    if (random.integer(0, 3) > 0) v.before = random.integer(0, random.integer(0, reach)) - v.beyond + 1;
    return v;
}

inline std::string line_of(Direction direction, const Visibility& v) {
    return std::string(direction == Direction::forward ? "forward" : "backward") + ", before " +
           std::to_string(v.before) + ", beyond " + std::to_string(v.beyond);
}

// Expects nothing wrong with one problem of the search, forward and backward.
template <class T>
void expect_right(const SearchProblem& problem, const Setting<T>& setting, std::int64_t poison_every) {
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        Call<T> call = make_call<T>(problem.spec, problem.activation, direction);
        call.problem.threads = problem.threads[0];
        if (poison_every > 0) poison_keys(call, poison_every);
        EXPECT_EQ(faults_of(call, setting), "") << line_of(direction, setting.modifiers.visibility) << ", "
                                                << (setting.small_blocks ? "small blocks, " : "") << "poison "
                                                << poison_every << ": " << line_of(problem);
    }
}

}  // namespace hone::test
