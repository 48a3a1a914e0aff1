// stages_test.cpp: stages that hide keys, bend scores and drop weights, in the core.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "tests/core.hpp"
#include "tests/effort.hpp"

namespace hone::test {
namespace {

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

// Every third query sees none of the keys, and has a gradient of o that is NaN.
TEST(Stages, that_hide_all_keys_of_a_row_hide_its_gradient_of_o) {
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

TEST(Stages, hide_keys_and_change_scores_and_weights) {
    const std::int64_t many = thorough() ? 1500 : 100;
    search_stages<double>(10000, 10000 + many);
    search_stages<float>(20000, 20000 + many);
}

}  // namespace
}  // namespace hone::test
