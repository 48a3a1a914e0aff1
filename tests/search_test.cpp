// search_test.cpp: a seeded search through the whole space of problems against the reference: options,
// shapes, broadcasts, layouts, sizes, what is hidden, threads and implementations together.
//
// HONE_TEST_SEARCH=123 runs problem 123 alone, HONE_TEST_SEARCH=0-2999 the first 3000.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <hone/hone.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/accuracy.hpp"
#include "tests/effort.hpp"
#include "tests/search_spec.hpp"

namespace hone::test {
namespace {

// What is wrong with one call on one implementation; empty where nothing is.
template <class T>
std::string fault_of(Truth<T>& truth, const SearchProblem& problem, const std::string& isa) {
    std::ostringstream what;
    Call<T> first;
    for (const int turn : {0, 1}) {
        Call<T> call = truth.input;
        call.problem.isa = isa.c_str();
        call.problem.threads = problem.threads[turn];
        if (run(call) != HONE_OK) return "is refused: " + std::string(hone_last_error());
        if (const std::string name = wrongly_written(call, truth.input); !name.empty())
            return name + ": is written where it should not be";
        for (const Argument argument : outputs(call.direction)) {
            if (!call[argument].present()) continue;
            if (turn == 0) {
                const Worst worst = worst_of(call, truth, argument);
                if (worst.share > 1) what << worst << " (" << worst.share << " times); ";
            } else if (!call[argument].same_bytes(first[argument])) {
                what << argument_names[argument] << " has other bits on other threads; ";
            }
        }
        if (turn == 0) first = call;
    }
    return what.str();
}

template <class T>
std::string fault_of(const SearchProblem& problem) {
    std::string faults;
    for (const Direction direction : {Direction::forward, Direction::backward}) {
        Truth<T> truth(make_call<T>(problem.spec, problem.activation, direction));
        for (const std::string& isa : available_isas())
            if (const std::string fault = fault_of(truth, problem, isa); !fault.empty())
                faults += (direction == Direction::forward ? "\n    forward, " : "\n    backward, ") + isa +
                          ": " + fault;
    }
    return faults;
}

struct Range {
    std::int64_t first, last, most_shown = 20;
};

Range problems_asked_for() {
    if (const char* asked = std::getenv("HONE_TEST_SEARCH")) {
        char* rest = nullptr;
        const std::int64_t first = std::strtoll(asked, &rest, 10);
        return {first, *rest == '-' ? std::strtoll(rest + 1, nullptr, 10) : first, 1000000};
    }
    return {0, (thorough() ? 20000 : quick() ? 30 : 500) - 1};
}

TEST(Search, no_problem_is_off_by_more_than_its_bounds) {
    const auto [first, last, most_shown] = problems_asked_for();
    std::int64_t faulty = 0;
    for (std::int64_t n = first; n <= last; ++n) {
        const SearchProblem problem = search_problem(n);
        const std::string fault =
            problem.dtype == HONE_FLOAT32 ? fault_of<float>(problem) : fault_of<double>(problem);
        if (fault.empty()) continue;
        if (++faulty <= most_shown) ADD_FAILURE() << "problem " << n << ": " << line_of(problem) << fault;
    }
    EXPECT_EQ(faulty, 0) << "of " << last - first + 1 << " problems are off; at most " << most_shown
                         << " are shown";
}

// ---- What the search relies on ----

// Whether the reference lists the keys that each query sees, by the definition of each option.
bool lists_what_is_seen(const Call<double>& call) {
    const hone_problem& p = call.problem;
    std::vector<std::int64_t> keys, expected;
    for (std::int64_t b = 0; b < p.batch; ++b) {
        const reference::Entry entry = reference::entry_of(p, b);
        for (std::int64_t h = 0; h < p.query_heads; ++h)
            for (std::int64_t i = 0; i < entry.queries.length; ++i) {
                reference::list_keys(p, call.mask, {entry, h, i}, keys);
                expected.clear();
                for (std::int64_t j = 0; j < entry.keys.length; ++j)
                    if (sees(call, b, h, i, j)) expected.push_back(j);
                if (keys != expected) return false;
            }
    }
    return true;
}

// And whether NaN in what nobody sees changes none of its results.
TEST(Search, finds_the_reference_seeing_the_right_keys_and_nothing_else) {
    for (std::int64_t n = 0; n < 200; ++n) {
        SearchProblem problem = search_problem(n);
        SCOPED_TRACE("problem " + std::to_string(n) + ": " + line_of(problem));
        for (const Direction direction : {Direction::forward, Direction::backward}) {
            problem.spec.nan_unseen = false;
            Call<double> clean = make_call<double>(problem.spec, problem.activation, direction);
            problem.spec.nan_unseen = true;
            Call<double> dirty = make_call<double>(problem.spec, problem.activation, direction);
            EXPECT_TRUE(lists_what_is_seen(clean));
            for (Call<double>* call : {&clean, &dirty}) compute_o_and_lse(*call), run_reference(*call);
            for (const Argument argument : outputs(direction))
                EXPECT_TRUE(dirty[argument].same_bytes(clean[argument])) << argument_names[argument];
        }
    }
}

}  // namespace
}  // namespace hone::test
