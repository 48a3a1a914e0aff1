// core.hpp: runs the core with what no public option asks for (windows of keys, stages, small blocks) and
// compares it with plain loops.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <sstream>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

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

template <class T>
const Tiles<T>& tiles_of(const std::string& isa) {
    const Isa* kernels = nullptr;
    EXPECT_EQ(choose_isa(isa.c_str(), &kernels), HONE_OK);
    if constexpr (std::is_same_v<T, float>)
        return kernels->f32;
    else
        return kernels->f64;
}

// Any work is worth a thread; blocks are as small as they may be if that is set.
template <class T>
Tuning tuning_for(const Tiles<T>& tiles, const Setting<T>& setting) {
    Tuning tuning = tiles.tuning;
    tuning.thread_cost = 1;
    if (!setting.small_blocks) return tuning;
    tuning.forward_rows = 2 * tuning.tile_rows;
    tuning.backward_rows = 3 * tuning.tile_rows;
    tuning.block_keys = tuning.in_place_keys = kSliceKeys;
    tuning.split_keys = 2 * kSliceKeys;
    tuning.few_rows = 3;
    return tuning;
}

template <class Plan>
Plan laid_out(Plan plan, const hone_problem& p, const Tuning& tuning) {
    lay_out(plan, p, tuning);
    return plan;
}

// Calls body(plan, args) with the plan of the call.
template <class T, class Body>
void with_plan(Call<T>& call, const Tuning& tuning, const Visibility& visibility, Body body) {
    const hone_problem& p = call.problem;
    const hone_activation_info& info = *activation_info(p.activation);
    const Machine machine = {p.threads, tuning};
    if (call.direction == Direction::forward) {
        const hone_forward_args args = call.forward_args();
        body(laid_out(cut_forward(p, args, info, visibility, machine), p, tuning), args);
    } else {
        const hone_backward_args args = call.backward_args();
        body(laid_out(cut_backward(p, args, info, visibility, machine), p, tuning), args);
    }
}

// The way of a call, from the plan on, in a thread that has not been crowded yet.
template <class T>
void run_core(Call<T>& call, const std::string& isa, const Setting<T>& setting) {
    constexpr std::byte mark{0xff};  // every scalar of the workspace is NaN
    constexpr std::size_t guard = 256;
    const Tiles<T>& tiles = tiles_of<T>(isa);
    const Tuning tuning = tuning_for(tiles, setting);
    with_plan(call, tuning, setting.modifiers.visibility, [&](const auto& plan, const auto& args) {
        Storage<std::byte> workspace(plan.bytes + guard, mark);
        auto planned = call_of<T>(plan, call.problem, args, workspace.data());
        planned.stages = setting.stages;
        std::thread([&] {
            const Rounding rounding;
            run_alone(planned, tiles);
        }).join();
        EXPECT_EQ(std::count(workspace.end() - guard, workspace.end(), mark), guard) << "workspace";
    });
}

// What is right; and for each query head, the sum of the magnitudes of the terms of ds, which may cancel.
struct Right {
    Call<double> call;
    std::vector<double> ds_terms = {};
};

// The largest difference to what is right, as a share of the largest value that is right, or of 1, the size
// of the inputs; inf where one is not finite and the other is something else, or nothing was written. A
// gradient of a parameter is the sum of so many ds that its rounding is a share of their terms: 32 units of
// 2^-24 of them are as much as is allowed in float32.
template <class T>
double worst_share(Call<T>& call, Right& right, Argument argument) {
    const bool sums_ds = argument == DSINK || argument == DLOG_PRIOR || argument == DSHIFT;
    const std::int64_t features = call[argument].extents().features;
    double largest = 1, worst = 0;
    bool wrong = false;
    right.call[argument].for_each_row([&](auto b, auto h, auto i, double* want) {
        for (std::int64_t d = 0; d < features; ++d) {
            const T got = call[argument].row(b, h, i)[d];
            if (same_bits(got, poison<T>())) wrong = true;
            if (!std::isfinite(want[d])) {
                wrong |= std::isnan(want[d]) ? !std::isnan(got) : got != static_cast<T>(want[d]);
                continue;
            }
            if (!std::isfinite(got)) wrong = true;
            double terms = 0;
            const std::int64_t heads = sums_ds ? std::ssize(right.ds_terms) / features : 0;
            for (std::int64_t n = 0; n < heads; ++n) terms += right.ds_terms[d * heads + n];
            largest = std::max(largest, std::abs(want[d]));
            worst = std::max(worst, std::abs(got - want[d]) / std::max(1.0, terms / 100));
        }
    });
    return wrong ? std::numeric_limits<double>::infinity() : worst / largest;
}

// Sets a feature of every so many rows of these to NaN.
template <class T>
void set_nan(Call<T>& call, std::initializer_list<Argument> arguments, std::int64_t every) {
    for (const Argument argument : arguments)
        if (every > 0 && call[argument].present())
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
    for (Call<T>* of : {&call, &one_thread})
        for (int argument = 0; argument < ARGUMENTS; ++argument)
            if (is_output(call.direction, argument)
                    ? !of->tensors[argument].surroundings_intact()
                    : !of->tensors[argument].same_bytes(inputs.tensors[argument]))
                fault(argument, "is written where it should not be");
    for (const Argument argument : outputs(call.direction)) {
        if (!call[argument].present()) continue;
        if (!call[argument].same_bytes(one_thread[argument])) fault(argument, "has other bits on one thread");
        const double worst = worst_share(call, right, argument);
        if (worst > (sizeof(T) == 4 ? 2e-4 : 1e-10)) {
            std::ostringstream off;
            off << "is off by " << worst;
            fault(argument, off.str());
        }
    }
    return faults;
}

// What is right of a call, which gets its o and L where backward takes them.
template <class T>
Right right_of(Call<T>& call, const Setting<T>& setting) {
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
    return right;
}

// What is wrong with the core on one call; empty where nothing is.
template <class T>
std::string faults_of(Call<T> call, const Setting<T>& setting) {
    Right right = right_of(call, setting);
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
    s.scale = s.scale < 0 ? -0.3 : 0, s.mask = Mask::none;
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

// NaN in every so many rows; 0 for none.
struct Poison {
    std::int64_t keys = 0, queries = 0;
};

// Of few keys or many, and of queries few.
inline Poison draw_poison(Random& random) {
    const auto keys = random.one_of<std::int64_t>({0, 97, 7});
    return {keys, random.one_in(4) ? 11 : 0};
}

// Expects nothing wrong with one problem of the search, forward and backward.
template <class T>
void expect_right(const SearchProblem& problem, const Setting<T>& setting, const Poison& every) {
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        Call<T> call = make_call<T>(problem.spec, problem.activation, direction);
        call.problem.threads = problem.threads[0];
        set_nan(call, {K, V}, every.keys);
        set_nan(call, {Q, DOUT}, every.queries);
        EXPECT_EQ(faults_of(call, setting), "")
            << line_of(direction, setting.modifiers.visibility) << ", "
            << (setting.small_blocks ? "small blocks, " : "") << "NaN " << every.keys << ", " << every.queries
            << ": " << line_of(problem);
    }
}

}  // namespace hone::test
