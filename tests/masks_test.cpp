// masks_test.cpp: boolean masks in the core, over any window, in small blocks, and with NaN behind them.
#include <cstdint>
#include <string>

#include "tests/core.hpp"
#include "tests/effort.hpp"

namespace hone::test {
namespace {

// The problem with a mask, and nothing else that the search may draw of what is seen.
SearchProblem masked(std::int64_t number) {
    SearchProblem problem = tame(number);
    VisibilityDraw(number, problem.spec).draw_mask();
    return problem;
}

template <class T>
void search_masks(std::int64_t first, std::int64_t last) {
    for (std::int64_t n = first; n < last; ++n) {
        const SearchProblem problem = masked(n);
        const Spec& s = problem.spec;
        if (s.batch * s.query_heads * s.queries * s.keys == 0) continue;
        const Call<T> call = make_call<T>(s, problem.activation, Direction::forward);
        Random random("mask_" + std::to_string(n));
        Setting<T> setting = {{draw_window(s, random)}, {}, random.one_in(2)};
        setting.modifiers.masks = [&](const Entry& at) {
            return !shown(call.mask, at.batch, at.head, at.query, at.key);
        };
        SCOPED_TRACE("problem " + std::to_string(n));
        expect_right(problem, setting, draw_poison(random));
    }
}

TEST(Masks, any_hides) {
    const std::int64_t many = thorough() ? 3000 : quick() ? 60 : 300;
    search_masks<double>(0, many);
    search_masks<float>(many, 2 * many);
}

}  // namespace
}  // namespace hone::test
