// floating_point_test.cpp: the caller's floating-point settings: a call leaves them as they are, and its
// results do not depend on them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cfenv>
#include <cstddef>
#include <cstdint>
#include <hone/hone.hpp>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tests/call.hpp"
#include "tests/child.hpp"
#include "tests/effort.hpp"
#include "tests/every.hpp"
#include "tests/spec.hpp"

#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace hone::test {
namespace {

// The thread's settings, without the flags of what has happened.
unsigned settings() {
#ifdef __SSE__
    return _mm_getcsr() & ~0x3fu;
#else
    std::uint64_t fpcr;
    asm volatile("mrs %0, fpcr" : "=r"(fpcr));
    return static_cast<unsigned>(fpcr);
#endif
}

struct Mode {
    std::string name;
    void (*set)();
};

std::vector<Mode> modes() {
    std::vector<Mode> list = {{"the default", [] {}},
                              {"rounding up", [] { std::fesetround(FE_UPWARD); }},
                              {"rounding down", [] { std::fesetround(FE_DOWNWARD); }},
                              {"rounding towards zero", [] { std::fesetround(FE_TOWARDZERO); }}};
#ifdef __SSE__
    list.push_back({"flushing results", [] { _mm_setcsr(_mm_getcsr() | 0x8000); }});
    list.push_back({"flushing inputs", [] { _mm_setcsr(_mm_getcsr() | 0x0040); }});
    list.push_back({"flushing both", [] { _mm_setcsr(_mm_getcsr() | 0x8040); }});
#else
    list.push_back({"flushing", [] {
                        const std::uint64_t flushing = settings() | 1u << 24;
                        asm volatile("msr fpcr, %0" : : "r"(flushing));
                    }});
#endif
    return list;
}

// Sets a mode; back to the default at the end.
class Scoped {
  public:
    explicit Scoped(const Mode& mode) {
        std::fegetenv(&before_);
        mode.set();
    }
    ~Scoped() { std::fesetenv(&before_); }

  private:
    std::fenv_t before_;
};

class FloatingPoint : public KernelTest {
  protected:
    // Some inputs are denormal, and some meet factors that make normal numbers of them; some results are
    // denormal.
    template <class T>
    Call<T> call_of(Direction direction, std::int64_t queries, int threads) {
        Spec spec = {.name = "settings", .batch = 4, .query_heads = 2, .queries = queries, .keys = 37};
        Call<T> call = make_call<T>(spec, GetParam().activation, direction);
        call.problem.isa = GetParam().isa.c_str();
        call.problem.threads = threads;
        constexpr T smallest = std::numeric_limits<T>::min();
        call[Q].for_each_row([&](auto, auto, auto, T* q) { q[0] *= smallest, q[1] /= 1024; });
        call[K].for_each_row([&](auto, auto, auto, T* k) { k[0] /= smallest * 16; });
        for (const Argument argument : {V, DOUT})
            call[argument].for_each_row([&](auto, auto, auto, T* x) { x[0] *= smallest, x[1] *= smallest; });
        if (direction == Direction::backward && info.normalised) {
            call.direction = Direction::forward;
            EXPECT_EQ(run(call), HONE_OK) << hone_last_error();
            call.direction = Direction::backward;
        }
        return call;
    }

    template <class Body>
    void for_each_call(Body&& body) {
        with_scalar([&]<class T>(T) {
            for (const Direction direction : {Direction::forward, Direction::backward})
                for (const std::int64_t queries : {3, 19, 101})
                    for (const int threads : {1, 2}) {
                        SCOPED_TRACE((direction == Direction::forward ? "forward, " : "backward, ") +
                                     std::to_string(queries) + " queries, " + std::to_string(threads) +
                                     " threads");
                        Call<T> call = call_of<T>(direction, queries, threads);
                        body(call);
                    }
        });
    }
};

INSTANTIATE_TEST_SUITE_P(Every, FloatingPoint, testing::ValuesIn(every_kernel()), kernel_name);

TEST_P(FloatingPoint, settings_are_the_same_after_a_call_as_before) {
    for_each_call([]<class T>(Call<T>& call) {
        for (const Mode& mode : modes()) {
            unsigned before = 0, after = 0;
            {
                const Scoped scoped(mode);
                before = settings();
                run(call);
                after = settings();
            }
            EXPECT_EQ(after, before) << mode.name;
        }
    });
}

TEST_P(FloatingPoint, results_do_not_depend_on_the_settings) {
    for_each_call([]<class T>(Call<T>& call) {
        Call<T> expected = call;
        ASSERT_EQ(run(expected), HONE_OK) << hone_last_error();
        std::size_t expected_bytes = 0, bytes = 0;
        ASSERT_EQ(workspace_bytes(call, &expected_bytes), HONE_OK) << hone_last_error();
        for (const Mode& mode : modes()) {
            Call<T> got = call;
            {
                const Scoped scoped(mode);
                run(got);
                workspace_bytes(call, &bytes);
            }
            EXPECT_EQ(bytes, expected_bytes) << mode.name;
            for (const Argument argument : outputs(call.direction))
                EXPECT_TRUE(got[argument].same_bytes(expected[argument]))
                    << argument_names[argument] << ", " << mode.name;
        }
    });
}

#ifdef __SSE__
// As debuggers of numbers set it: invalid operations, divisions by 0 and overflows end the process. A call
// may meet any of them on the way, in what it reads beyond its data of a workspace if nowhere else. In a
// child, as it would end.
TEST_P(FloatingPoint, traps_of_the_caller_do_not_catch_a_call) {
    if (sanitized()) GTEST_SKIP() << "a sanitizer may meet them itself";
    if (!is_child()) {
        EXPECT_TRUE(passes_in_child({}));
        return;
    }
    for_each_call([]<class T>(Call<T>& call) {
        std::size_t bytes = 0;
        ASSERT_EQ(workspace_bytes(call, &bytes), HONE_OK) << hone_last_error();
        std::vector<T> memory(bytes / sizeof(T) + 1);
        call.workspace = std::as_writable_bytes(std::span(memory));
        Call<T> expected = call;
        ASSERT_EQ(run(expected), HONE_OK) << hone_last_error();
        std::fill(memory.begin(), memory.end(), std::numeric_limits<T>::signaling_NaN());
        const Scoped scoped({"trapping", [] { _mm_setcsr(_mm_getcsr() & ~0x0680u); }});
        const unsigned before = settings();
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        EXPECT_EQ(settings(), before);
        for (const Argument argument : outputs(call.direction))
            EXPECT_TRUE(call[argument].same_bytes(expected[argument])) << argument_names[argument];
    });
}
#endif

// A call that fails leaves them, too.
TEST(FloatingPointOfAFailure, settings_are_the_same_after_a_call_as_before) {
    for (const Mode& mode : modes()) {
        hone_problem problem = small_problem();
        problem.keys = -1;
        const Scoped scoped(mode);
        const unsigned before = settings();
        EXPECT_EQ(hone_forward(&problem, nullptr), HONE_INVALID_ARGUMENT);
        EXPECT_EQ(settings(), before) << mode.name;
    }
}

}  // namespace
}  // namespace hone::test
