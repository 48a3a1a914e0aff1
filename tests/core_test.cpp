// core_test.cpp: the core with what no public option asks for yet: windows of keys, and a stage that hides
// keys, bends scores and drops weights.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "rounding.hpp"
#include "run.hpp"
#include "tests/effort.hpp"
#include "tests/every.hpp"
#include "tests/plain.hpp"
#include "tests/search_spec.hpp"

namespace hone::test {
namespace {

// What no public option asks for.
template <class T>
struct Setting {
    Modifiers modifiers;
    Stages<T> stages = {};
    bool small_blocks = false;  // many blocks and splits of few keys
};

// Blocks as small as they may be.
Tuning small_blocks(Tuning tuning) {
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

// The largest difference to what is right, as a share of the largest value that is right, or of 1, the size
// of the inputs; inf where one is NaN and the other is not.
template <class T>
double worst_share(Call<T>& call, Call<double>& right, Argument argument) {
    double largest = 1, worst = 0;
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
std::string faults_on(const std::string& isa, const Call<T>& inputs, Call<double>& right,
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
    Call<double> right(call);
    if (call.direction == Direction::backward &&
        describe(static_cast<hone_activation>(call.problem.activation)).normalised) {
        Call<double> forward(right);
        forward.direction = Direction::forward;
        run_plain(forward, setting.modifiers);
        for (const Argument argument : {O, LSE})
            right[argument].assign(forward[argument]), call[argument].assign(forward[argument]);
    }
    run_plain(right, setting.modifiers);
    std::string faults;
    for (const std::string& isa : available_isas()) faults += faults_on(isa, call, right, setting);
    return faults;
}

// A problem of the search of ordinary size.
SearchProblem tame(std::int64_t number) {
    SearchProblem problem = SearchDraw(number).problem();
    Spec& s = problem.spec;
    s.amplitude = s.size_v = s.size_dout = s.size_parameter = 1;
    s.grid = true;
    s.scale = 0, s.mask = Mask::none;
    return problem;
}

// Any window, of one key to all, that ends anywhere.
Visibility draw_window(const Spec& s, Random& random) {
    Visibility v = {s.queries, s.keys, s.queries, s.keys};
    const std::int64_t reach = s.queries + s.keys;
    if (random.integer(0, 3) > 0) v.beyond = random.integer(-s.queries, s.keys);
    if (random.integer(0, 3) > 0) v.before = random.integer(0, random.integer(0, reach)) - v.beyond + 1;
    return v;
}

std::string line_of(Direction direction, const Visibility& v) {
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

template <class T>
void search_windows(std::int64_t first, std::int64_t last) {
    for (std::int64_t n = first; n < last; ++n) {
        const SearchProblem problem = tame(n);
        Random random("window_" + std::to_string(n));
        Setting<T> setting = {{draw_window(problem.spec, random)}};
        const bool poisoned = random.integer(0, 2) == 0;
        setting.small_blocks = random.integer(0, 1) == 0;
        SCOPED_TRACE("problem " + std::to_string(n));
        expect_right(problem, setting, poisoned ? 97 : 0);
    }
}

TEST(Core, kernels_see_any_window) {
    search_windows<double>(3400, 3700);
    search_windows<float>(6000, 6300);
}

// The modifiers as a stage.
template <class T>
struct ModifierStage {
    static const Modifiers& of(const void* data) { return *static_cast<const Modifiers*>(data); }
    static Entry entry(const ScoreRow& row, std::int64_t e) {
        return {row.batch, row.head, row.query, row.first_key + e};
    }
    static bool hides(const void* data, const ScoreRow& row, std::int64_t e) {
        return of(data).hides(entry(row, e));
    }
    static void before(const void* data, const ScoreRow& row, T* s, T* kept) {
        for (std::int64_t e = row.seen.begin; e < row.seen.end; ++e) {
            const Dual changed = of(data).change(Dual(s[e], 1));
            s[e] = hides(data, row, e) ? -std::numeric_limits<T>::infinity() : static_cast<T>(changed.value);
            if (kept) kept[e] = static_cast<T>(changed.slope);
        }
    }
    // Of weights, and of their gradients.
    static void after(const void* data, const ScoreRow& row, T* p) {
        for (std::int64_t e = row.seen.begin; e < row.seen.end; ++e)
            p[e] = hides(data, row, e) ? 0 : static_cast<T>(of(data).keep(entry(row, e))) * p[e];
    }
    static void before_backward(const void* data, const ScoreRow& row, T* ds, const T* kept) {
        for (std::int64_t e = row.seen.begin; e < row.seen.end; ++e)
            ds[e] = hides(data, row, e) ? 0 : kept[e] * ds[e];
    }
    static Stage<T> stage(const Modifiers& modifiers) {
        return {&modifiers, before, after, after, before_backward, hides};
    }
};

// The same bits for the same entry.
std::uint32_t bits_of(const Entry& at) {
    std::uint64_t bits = 0x9e3779b97f4a7c15;
    for (const std::int64_t x : {at.batch, at.head, at.query, at.key})
        bits = (bits ^ static_cast<std::uint64_t>(x)) * 0xd6e8feb86659fd93, bits ^= bits >> 32;
    return static_cast<std::uint32_t>(bits);
}

// Scores are bent, but in float32, where that could take one over a kink that the plain loops see on the
// other side: there they are halved, which the grid allows.
template <class T>
Modifiers stage_modifiers(const Visibility& visibility) {
    Modifiers m = {visibility};
    m.hides = [](const Entry& at) { return at.key % 97 == 96 || bits_of(at) % 4 == 0; };
    m.keep = [](const Entry& at) { return bits_of(at) / 4 % 4 == 0 ? 0.0 : 1.25; };
    if constexpr (sizeof(T) == 4)
        m.change = [](Dual s) { return s * Dual(0.5); };
    else
        m.change = [](Dual s) {
            const double bent = std::tanh(s.value / 2);
            return Dual(2 * bent, (1 - bent * bent) * s.slope);
        };
    return m;
}

// Keys that the stages hide from all hold NaN. Of three stages one has no functions, one stretches scores,
// and the last one does all the rest.
template <class T>
void search_stages(std::int64_t first, std::int64_t last) {
    for (std::int64_t n = first; n < last; ++n) {
        const SearchProblem problem = tame(n);
        Random random("stage_" + std::to_string(n));
        const Modifiers second = stage_modifiers<T>(draw_window(problem.spec, random));
        const Modifiers first_of_two = {second.visibility, [](const Entry&) { return false; },
                                        [](Dual s) { return s + s + s; }};
        Modifiers modifiers = second;
        modifiers.change = [&](Dual s) { return second.change(first_of_two.change(s)); };
        const Stage<T> list[] = {ModifierStage<T>::stage(first_of_two), {}, ModifierStage<T>::stage(second)};
        SCOPED_TRACE("problem " + std::to_string(n));
        expect_right<T>(problem, {modifiers, {list, 3}, random.integer(0, 1) == 0}, 97);
    }
}

// Query i sees so many keys before key i, and so many from it on, counted from the bottom right.
struct Window {
    std::int64_t before, beyond;
};

template <class T>
void expect_windows_of(const Spec& spec, const std::vector<Window>& windows, bool small_blocks = false) {
    const std::int64_t diagonal = spec.keys - spec.queries;
    for (const hone_activation activation : {HONE_SOFTMAX, HONE_SIGMOID})
        for (const auto& [before, beyond] : windows)
            for (const Direction direction : {Direction::forward, Direction::backward}) {
                if (!applies(spec, describe(activation))) continue;
                Call<T> call = make_call<T>(spec, activation, direction);
                call.problem.threads = 7;
                const Visibility v = {spec.queries, spec.keys, before - diagonal, beyond + diagonal};
                EXPECT_EQ(faults_of(call, Setting<T>{{v}, {}, small_blocks}), "")
                    << spec.name << ", " << line_of(direction, v);
            }
}

// More work than the search has: several blocks of rows, whose size is by the number of threads.
TEST(Core, windows_have_the_same_bits_on_any_number_of_threads) {
    if (quick()) GTEST_SKIP() << "takes long under a sanitizer or an emulator";
    const std::vector<Window> windows = {{100, 1}, {300, 40}, {-200, 500}};
    expect_windows_of<float>({.name = "long", .query_heads = 3, .kv_heads = 3, .queries = 700, .keys = 800},
                             windows);
    expect_windows_of<float>({.name = "grouped", .query_heads = 5, .queries = 193, .keys = 700}, windows);
    expect_windows_of<double>({.name = "split", .query_heads = 2, .queries = 40, .keys = 5000}, windows);
    expect_windows_of<float>({.name = "in_place", .query_heads = 7, .queries = 2, .keys = 2500}, windows);
}

// Rows see 71 blocks of keys, more than are added plainly, and none of the first ones.
TEST(Core, windows_begin_behind_some_blocks_of_keys_and_see_many) {
    const std::vector<Window> windows = {{kSliceKeys * 71, 1}};
    expect_windows_of<float>(
        {.name = "many", .query_heads = 3, .queries = 101, .keys = kSliceKeys * 80, .sink = true}, windows,
        true);
    expect_windows_of<double>({.name = "many_in_place", .queries = 3, .keys = kSliceKeys * 80}, windows,
                              true);
}

// The first rows do not see the last split of the keys.
TEST(Core, rows_that_do_not_see_a_split_of_the_keys_keep_their_sink) {
    const std::vector<Window> windows = {{900, 1}};
    expect_windows_of<float>({.name = "unseen_split", .queries = 190, .keys = 1700, .sink = true}, windows);
}

// Blocks are of 128 keys, and of 64.
TEST(Core, windows_of_heads_with_many_features) {
    const std::vector<Window> windows = {{100, 1}};
    expect_windows_of<double>(
        {.name = "wide", .queries = 19, .keys = 301, .key_dim = 703, .value_dim = 701, .sink = true},
        windows);
    expect_windows_of<double>(
        {.name = "wider", .queries = 19, .keys = 301, .key_dim = 1043, .value_dim = 1009}, windows);
}

// Every third query sees none of the keys, and has a gradient of o that is NaN.
TEST(Core, a_gradient_of_o_does_not_leak_from_a_row_whose_keys_a_stage_hides) {
    Modifiers modifiers = {{7, 19, 7, 19}};
    modifiers.hides = [](const Entry& at) { return at.query % 3 == 1; };
    const Stage<double> stage = ModifierStage<double>::stage(modifiers);
    const Spec spec = {
        .name = "hidden", .query_heads = 6, .kv_heads = 2, .queries = 7, .keys = 19, .sink = true};
    for (const hone_activation activation : {HONE_SOFTMAX, HONE_BAYES_SOFTMAX}) {
        Call<double> call = make_call<double>(spec, activation, Direction::backward);
        call[DOUT].for_each_row([&](auto, auto, std::int64_t i, double* dout) {
            if (i % 3 == 1) dout[i] = std::numeric_limits<double>::quiet_NaN();
        });
        EXPECT_EQ(faults_of(call, Setting<double>{modifiers, {&stage, 1}}), "") << activation;
    }
}

TEST(Core, a_stage_hides_keys_and_changes_scores_and_weights) {
    search_stages<double>(600, 700);
    search_stages<float>(2000, 2100);
}

}  // namespace
}  // namespace hone::test
