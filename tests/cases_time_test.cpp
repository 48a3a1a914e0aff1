// cases_time_test.cpp: inputs on which a call takes no longer than it should: numbers that vanish on the way,
// and keys that no row sees.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <hone/hone.hpp>
#include <random>
#include <string>

#include "tests/call.hpp"
#include "tests/effort.hpp"
#include "tests/spec.hpp"
#include "tests/timing.hpp"

namespace hone::test {
namespace {

class Time : public testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        if (sanitized() || quick()) GTEST_SKIP() << "times mean nothing under a sanitizer or an emulator";
    }

    Call<float> call_of(const Spec& spec, hone_activation activation, Direction direction) {
        Call<float> call = make_call<float>(spec, activation, direction);
        call.problem.isa = GetParam().c_str();
        call.problem.threads = 1;
        return call;
    }

    static void complete(Call<float>& call) {
        if (call.direction == Direction::forward || !call[LSE].present()) return;
        call.direction = Direction::forward;
        ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
        call.direction = Direction::backward;
    }
};

INSTANTIATE_TEST_SUITE_P(Every, Time, testing::ValuesIn(available_isas()),
                         [](const auto& info) { return info.param; });

// ---- Numbers that vanish ----

// Normal inputs: scores of this standard deviation, dout and v of these sizes.
struct Vanishing {
    const char* name;
    double scores = 1, dout = 1, v = 1, sink = 0, shift = 0;
    hone_activation activation = HONE_SOFTMAX;
    Direction direction = Direction::backward;
};

Call<float> filled(Call<float> call, const Vanishing& size) {
    std::mt19937_64 engine(4);
    std::normal_distribution<double> normal;
    const auto fill = [&](Argument argument, double amplitude) {
        call[argument].fill([&] { return static_cast<float>(amplitude * normal(engine)); });
    };
    fill(Q, size.scores), fill(K, 1), fill(V, size.v), fill(DOUT, size.dout);
    call[SINK].fill([&] { return static_cast<float>(size.sink); });
    call[SHIFT].fill([&] { return static_cast<float>(size.shift); });
    return call;
}

// Times of an ordinary call; of the honest estimate.
constexpr double kOrdinary = 1.5, kHonest = 2.5;

TEST_P(Time, of_numbers_that_vanish_on_the_way_is_the_ordinary_one) {
    const Vanishing cases[] = {
        {.name = "scores of 15, dout of 1e-4", .scores = 15, .dout = 1e-4},
        {.name = "scores of 15, dout of 1e-10", .scores = 15, .dout = 1e-10},
        {.name = "scores of 30, dout of 1e-7", .scores = 30, .dout = 1e-7},
        {.name = "scores of 30, dout of 1e-10", .scores = 30, .dout = 1e-10},
        {.name = "sink of 87", .sink = 87},
        {.name = "sigmoid of -87", .shift = -87, .activation = HONE_SIGMOID},
        {.name = "forward, sigmoid of -87",
         .shift = -87,
         .activation = HONE_SIGMOID,
         .direction = Direction::forward},
        {.name = "forward, v of 1e-30", .scores = 15, .v = 1e-30, .direction = Direction::forward},
        {.name = "softplus of -80", .scores = 30, .dout = 1e-20, .activation = HONE_SOFTPLUS},
    };
    for (const Vanishing& vanishing : cases) {
        Spec spec = {
            .name = "vanishing", .batch = 2, .queries = 512, .keys = 512, .key_dim = 64, .value_dim = 64};
        spec.sink = vanishing.sink != 0;
        spec.shift = vanishing.shift != 0;
        const Call<float> call = call_of(spec, vanishing.activation, vanishing.direction);
        Call<float> one = filled(call, vanishing), other = filled(call, {.name = "ordinary"});
        complete(one), complete(other);
        for (const int threads : {1, 2}) {
            one.problem.threads = other.problem.threads = threads;
            const double times = time_ratio(
                kOrdinary, [&] { run(one); }, [&] { run(other); });
            EXPECT_LE(times, kOrdinary) << vanishing.name << ", " << threads << " threads";
        }
    }
}

// ---- Keys that no row sees ----

// The keys that some row sees, whole blocks of them, and the zeros of all others' gradients.
void expect_honest_time(Call<float>& many, Call<float>& few, const char* what) {
    const double times = time_ratio(
        kHonest, [&] { run(many); },
        [&] {
            run(few);
            for (const Argument argument : {DK, DV})
                if (many[argument].present())
                    std::memset(many[argument].data(), 0,
                                sizeof(float) * static_cast<std::size_t>(
                                                    many.problem.batch * many.problem.kv_heads *
                                                    many.problem.keys * many[argument].extents().features));
        });
    EXPECT_LE(times, kHonest) << what;
}

TEST_P(Time, of_keys_that_no_row_sees_is_that_of_their_zeros) {
    struct Case {
        const char* name;
        std::int64_t query_heads, kv_heads, queries, seen;
        unsigned gradients;
        Direction direction;
    };
    const Case cases[] = {
        {"17 rows", 1, 1, 17, 256, ALL_GRADIENTS, Direction::backward},
        {"5 rows", 1, 1, 5, 256, ALL_GRADIENTS, Direction::backward},
        {"17 queries, 7 heads", 7, 1, 17, 256, ALL_GRADIENTS, Direction::backward},
        {"17 queries, 3 kv heads", 3, 3, 17, 256, ALL_GRADIENTS, Direction::backward},
        {"301 rows", 1, 1, 301, 512, ALL_GRADIENTS, Direction::backward},
        {"17 rows, dq alone", 1, 1, 17, 256, WITH_DQ, Direction::backward},
        {"17 rows, forward", 1, 1, 17, 256, 0, Direction::forward},
        {"301 rows, forward", 1, 1, 301, 512, 0, Direction::forward},
        {"17 queries, 71 heads, forward", 71, 1, 17, 256, 0, Direction::forward},
    };
    for (const Case& c : cases) {
        Spec spec = {.name = "unseen",
                     .query_heads = c.query_heads,
                     .kv_heads = c.kv_heads,
                     .queries = c.queries,
                     .keys = 65536,
                     .key_dim = 64,
                     .value_dim = 64,
                     .mask = Mask::top_left,
                     .gradients = c.gradients};
        Call<float> many = call_of(spec, HONE_SOFTMAX, c.direction);
        spec.keys = c.seen;
        Call<float> few = call_of(spec, HONE_SOFTMAX, c.direction);
        complete(many), complete(few);
        expect_honest_time(many, few, c.name);
    }
}

}  // namespace
}  // namespace hone::test
