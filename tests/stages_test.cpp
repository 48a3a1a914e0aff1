// stages_test.cpp: stages that hide keys, bend scores and drop weights, in the core.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

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
    static void expect_only_what_the_query_sees(const void* data, const ScoreRow& row) {
        const Range keys = keys_seen(of(data).visibility, row.query);
        if (empty(row.seen)) return;
        if (row.first_key + row.seen.begin < keys.begin || row.first_key + row.seen.end > keys.end)
            ADD_FAILURE() << "query " << row.query << " does not see some of these keys";
    }
    static void before(const void* data, const ScoreRow& row, T* s, T* kept) {
        expect_only_what_the_query_sees(data, row);
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

// Scores are bent, except in float32, where rounding could move one across a kink. There they are halved,
// which the grid allows.
template <class T>
Modifiers stage_modifiers(const Visibility& visibility) {
    Modifiers m = {visibility};
    m.hides = [](const Entry& at) { return at.key % 13 == 12 || bits_of(at) % 4 == 0; };
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
        expect_right<T>(problem, {modifiers, {list, 3}, random.integer(0, 1) == 0},
                        {13, random.integer(0, 3) == 0 ? 11 : 0});
    }
}

// Every third query sees none of the keys, in all heads or only in some, and has a gradient of o that is NaN
// there.
TEST(Stages, that_hide_all_keys_of_a_row_hide_its_gradient_of_o) {
    const Spec spec = {
        .name = "hidden", .query_heads = 6, .kv_heads = 2, .queries = 7, .keys = 19, .sink = true};
    for (const std::int64_t heads : {6, 2})
        for (const hone_activation activation : {HONE_SOFTMAX, HONE_BAYES_SOFTMAX}) {
            const auto hides = [&](std::int64_t head, std::int64_t query) {
                return head < heads && query % 3 == 1;
            };
            Modifiers modifiers = {{7, 19, 7, 19}};
            modifiers.hides = [&](const Entry& at) { return hides(at.head, at.query); };
            const Stage<double> stage = ModifierStage<double>::stage(modifiers);
            Call<double> call = make_call<double>(spec, activation, Direction::backward);
            call[DOUT].for_each_row([&](auto, std::int64_t head, std::int64_t query, double* dout) {
                if (hides(head, query)) dout[query] = std::numeric_limits<double>::quiet_NaN();
            });
            EXPECT_EQ(faults_of(call, Setting<double>{modifiers, {&stage, 1}}), "")
                << activation << ", " << heads << " heads";
        }
}

// Log-priors that are all as large change L and nothing else; L is too coarse then, and backward takes it
// from the scores.
TEST(Stages, bend_the_scores_from_which_a_huge_l_is_recovered) {
    const Spec spec = {
        .name = "huge", .query_heads = 6, .kv_heads = 2, .queries = 7, .keys = 19, .log_prior = true};
    const Modifiers modifiers = stage_modifiers<double>({7, 19, 4, 6});
    const Stage<double> stage = ModifierStage<double>::stage(modifiers);
    const Setting<double> setting = {modifiers, {&stage, 1}};
    Call<double> call = make_call<double>(spec, HONE_BAYES_SOFTMAX, Direction::backward);
    call[LOG_PRIOR].fill([] { return 0.0; });
    Right right = right_of(call, setting);
    call[LOG_PRIOR].fill([] { return 1e16; });
    call[LSE].fill([] { return 1e16; });
    for (const std::string& isa : available_isas()) EXPECT_EQ(faults_on(isa, call, right, setting), "");
}

// A stage that writes down its calls.
struct Diary {
    int stage;
    std::string* calls;

    static void note(const void* data, char call) {
        const Diary& diary = *static_cast<const Diary*>(data);
        *diary.calls += call + std::to_string(diary.stage) + ' ';
    }
    static void before(const void* data, const ScoreRow&, double*, double* kept) {
        note(data, 'b');
        if (kept) kept[0] = static_cast<const Diary*>(data)->stage;
    }
    static void after(const void* data, const ScoreRow&, double*) { note(data, 'a'); }
    static void after_backward(const void* data, const ScoreRow&, double*) { note(data, 'A'); }
    static void before_backward(const void* data, const ScoreRow&, double*, const double* kept) {
        note(data, 'B');
        EXPECT_EQ(kept[0], static_cast<const Diary*>(data)->stage);
    }
};

TEST(Stages, are_called_in_their_order_and_unwound) {
    std::string calls;
    std::vector<Diary> diaries;
    std::vector<Stage<double>> stages;
    for (int stage = 0; stage < kMostStages; ++stage) diaries.push_back({stage, &calls});
    for (const Diary& diary : diaries)
        stages.push_back(
            {&diary, Diary::before, Diary::after, Diary::after_backward, Diary::before_backward, nullptr});
    const Spec spec = {.name = "order", .queries = 1, .keys = 3};
    const Setting<double> setting = {{{1, 3, 1, 3}}, {stages.data(), kMostStages}};
    const std::string before = "b0 b1 b2 b3 b4 b5 ", after = "a0 a1 a2 a3 a4 a5 ";
    for (const std::string& isa : available_isas()) {
        Call<double> forward = make_call<double>(spec, HONE_SIGMOID, Direction::forward);
        calls.clear();
        run_core(forward, isa, setting);
        EXPECT_EQ(calls, before + after);
        Call<double> backward = make_call<double>(spec, HONE_SIGMOID, Direction::backward);
        calls.clear();
        run_core(backward, isa, setting);
        EXPECT_EQ(calls, before + "A5 A4 A3 A2 A1 A0 " + after + "B5 B4 B3 B2 B1 B0 ");
    }
}

TEST(Stages, hide_keys_and_change_scores_and_weights) {
    const std::int64_t many = thorough() ? 1500 : quick() ? 20 : 100;
    search_stages<double>(10000, 10000 + many);
    search_stages<float>(20000, 20000 + many);
}

}  // namespace
}  // namespace hone::test
