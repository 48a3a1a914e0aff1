// core_test.cpp: the core with what no public option asks for yet: windows of keys, and a stage that hides
// keys, bends scores and drops weights.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "run.hpp"
#include "tests/effort.hpp"
#include "tests/every.hpp"
#include "tests/plain.hpp"
#include "tests/search_spec.hpp"

namespace hone::test {
namespace {

// The way of a call, from the plan on.
template <class T>
void run_core(Call<T>& call, const std::string& isa, const Visibility& visibility, const Stages<T>& stages) {
    const Isa* kernels = nullptr;
    ASSERT_EQ(choose_isa(isa.c_str(), &kernels), HONE_OK);
    const Tiles<T>* tiles;
    if constexpr (std::is_same_v<T, float>)
        tiles = &kernels->f32;
    else
        tiles = &kernels->f64;
    const hone_problem& p = call.problem;
    const Machine machine = {p.threads, tiles->tuning};
    const auto run_with = [&](const auto& plan, const auto& args) {
        Storage<std::byte> workspace(plan.bytes, std::byte{0x5a});
        auto planned = call_of<T>(plan, p, args, workspace.data());
        planned.stages = stages;
        run(planned, *tiles);
    };
    const hone_activation_info& info = *activation_info(p.activation);
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

// What is wrong with the core on one call; empty where nothing is.
template <class T>
std::string fault_of(Call<T> call, const std::string& isa, const Modifiers& modifiers,
                     const Stages<T>& stages) {
    std::string faults;
    Call<double> right(call);
    if (call.direction == Direction::backward &&
        describe(static_cast<hone_activation>(call.problem.activation)).normalised) {
        Call<double> forward(right);
        forward.direction = Direction::forward;
        run_plain(forward, modifiers);
        for (const Argument argument : {O, LSE})
            right[argument].assign(forward[argument]), call[argument].assign(forward[argument]);
    }
    run_plain(right, modifiers);
    Call<T> inputs = call, one_thread = call;
    one_thread.problem.threads = 1;
    run_core(call, isa, modifiers.visibility, stages);
    run_core(one_thread, isa, modifiers.visibility, stages);
    for (int argument = 0; argument < ARGUMENTS; ++argument)
        if (is_output(call.direction, argument)
                ? !call.tensors[argument].surroundings_intact()
                : !call.tensors[argument].same_bytes(inputs.tensors[argument]))
            faults += std::string(argument_names[argument]) + " is written where it should not be; ";
    for (const Argument argument : outputs(call.direction)) {
        if (!call[argument].present()) continue;
        if (!call[argument].same_bytes(one_thread[argument]))
            faults += std::string(argument_names[argument]) + " has other bits on one thread; ";
        const double worst = worst_share(call, right, argument);
        if (worst > (sizeof(T) == 4 ? 2e-4 : 1e-10))
            faults += std::string(argument_names[argument]) + " is off by " + std::to_string(worst) + "; ";
    }
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

template <class T>
void search_windows(std::int64_t first, std::int64_t last) {
    for (std::int64_t n = first; n < last; ++n) {
        const SearchProblem problem = tame(n);
        Random random("window_" + std::to_string(n));
        Modifiers modifiers = {draw_window(problem.spec, random)};
        const bool poisoned = random.integer(0, 2) == 0;
        for (const Direction direction : {Direction::forward, Direction::backward})
            for (const std::string& isa : available_isas()) {
                Call<T> call = make_call<T>(problem.spec, problem.activation, direction);
                call.problem.threads = problem.threads[0];
                if (poisoned) poison_keys(call, 97);
                EXPECT_EQ(fault_of(call, isa, modifiers, Stages<T>{}), "")
                    << (direction == Direction::forward ? "forward " : "backward ") << isa << " before "
                    << modifiers.visibility.before << " beyond " << modifiers.visibility.beyond
                    << (poisoned ? " poisoned " : " ") << n << ": " << line_of(problem);
            }
    }
}

TEST(Core, kernels_see_any_window) {
    search_windows<double>(0, 150);
    search_windows<float>(150, 300);
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
        for (const Direction direction : {Direction::forward, Direction::backward})
            for (const std::string& isa : available_isas()) {
                Call<T> call = make_call<T>(problem.spec, problem.activation, direction);
                call.problem.threads = problem.threads[0];
                poison_keys(call, 97);
                EXPECT_EQ(fault_of(call, isa, modifiers, {list, 3}), "")
                    << (direction == Direction::forward ? "forward " : "backward ") << isa << " before "
                    << modifiers.visibility.before << " beyond " << modifiers.visibility.beyond << " " << n
                    << ": " << line_of(problem);
            }
    }
}

// More work than the search has: several blocks of rows, whose size is by the number of threads, and splits.
template <class T>
void expect_windows_of(Spec spec) {
    for (const hone_activation activation : {HONE_SOFTMAX, HONE_SIGMOID})
        for (const auto& [before, beyond] : {std::pair{100, 1}, std::pair{300, 40}, std::pair{-200, 500}})
            for (const Direction direction : {Direction::forward, Direction::backward})
                for (const std::string& isa : available_isas()) {
                    Call<T> call = make_call<T>(spec, activation, direction);
                    call.problem.threads = 7;
                    const std::int64_t diagonal = spec.keys - spec.queries;
                    const Modifiers modifiers = {
                        {spec.queries, spec.keys, before - diagonal, beyond + diagonal}};
                    EXPECT_EQ(fault_of(call, isa, modifiers, Stages<T>{}), "")
                        << spec.name << " " << isa << " before " << before << " beyond " << beyond
                        << (direction == Direction::forward ? " forward" : " backward");
                }
}

TEST(Core, windows_have_the_same_bits_on_any_number_of_threads) {
    if (quick()) GTEST_SKIP() << "takes long under a sanitizer or an emulator";
    expect_windows_of<float>({.name = "long", .query_heads = 3, .kv_heads = 3, .queries = 700, .keys = 800});
    expect_windows_of<float>({.name = "grouped", .query_heads = 5, .queries = 193, .keys = 700});
    expect_windows_of<double>({.name = "split", .query_heads = 2, .queries = 40, .keys = 5000});
    expect_windows_of<float>({.name = "in_place", .query_heads = 7, .queries = 2, .keys = 2500});
}

TEST(Core, a_stage_hides_keys_and_changes_scores_and_weights) {
    search_stages<double>(300, 400);
    search_stages<float>(400, 500);
}

}  // namespace
}  // namespace hone::test
