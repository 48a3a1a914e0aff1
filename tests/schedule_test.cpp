// schedule_test.cpp: schedules do all work once, wait for nothing that comes later, and keep their threads
// busy, in simulated time. HONE_TEST_TABLE=1 prints the table of efficiencies.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "dispatch.hpp"
#include "tests/plans.hpp"
#include "tests/shapes.hpp"
#include "tests/simulate.hpp"

namespace hone::test {
namespace {

struct Shape {
    std::int64_t batch = 1, query_heads = 1, kv_heads = 1, queries = 1, keys = 1, dim = 64;
    Mask mask = Mask::none;
    std::int64_t window = 0;           // keys beside the diagonal on either side; 0: no bound
    Shared sum_dq = {}, sum_dkv = {};  // axes over which gradients are summed

    std::string name() const {
        const auto axes = [](const Shared& s) {
            return std::string(s.batch ? "b" : "") + (s.heads ? "h" : "") + (s.rows ? "r" : "");
        };
        std::string text = "B " + std::to_string(batch) + ", H " + std::to_string(query_heads) + "/" +
                           std::to_string(kv_heads) + ", " + std::to_string(queries) + " x " +
                           std::to_string(keys) + (mask == Mask::none ? "" : ", causal") +
                           (window == 0 ? "" : ", window " + std::to_string(window));
        if (!axes(sum_dq).empty()) text += ", dq summed over " + axes(sum_dq);
        if (!axes(sum_dkv).empty()) text += ", dk, dv over " + axes(sum_dkv);
        return text;
    }
    hone_problem problem() const {
        hone_problem p = small_problem();
        set_mask(p, mask);
        p.batch = batch, p.query_heads = query_heads, p.kv_heads = kv_heads;
        p.queries = queries, p.keys = keys, p.key_dim = p.value_dim = dim;
        return p;
    }
    Visibility visibility() const {
        Visibility v = visibility_of(problem());
        if (window == 0) return v;
        const std::int64_t diagonal = mask == Mask::bottom_right ? keys - queries : 0;
        return {queries, keys, window - diagonal, std::min(v.beyond, diagonal + window + 1)};
    }
};

const hone_activation_info& info(const hone_problem& p) {
    return *activation_info(p.activation);
}

ForwardPlan plan_of(const Shape& shape, int threads, hone_activation activation = HONE_SOFTMAX) {
    hone_problem p = shape.problem();
    p.activation = activation;
    hone_forward_args a = {};
    a.q = a.k = a.v = hone_const(planned_tensor()), a.o = planned_tensor();
    ForwardPlan plan = cut_forward(p, a, info(p), shape.visibility(), planned_machine(threads));
    lay_out(plan, p, planned_machine(threads).tuning);
    return plan;
}

BackwardPlan backward_plan_of(const Shape& shape, int threads) {
    const hone_problem p = shape.problem();
    hone_backward_args a = {};
    a.q = a.k = a.v = a.o = a.dout = hone_const(planned_tensor());
    a.dq = planned_tensor(shape.sum_dq), a.dk = a.dv = planned_tensor(shape.sum_dkv);
    BackwardPlan plan = cut_backward(p, a, info(p), shape.visibility(), planned_machine(threads));
    lay_out(plan, p, planned_machine(threads).tuning);
    return plan;
}

// Uniform in 0.8 to 1.2.
Vary varied() {
    return [engine = std::mt19937(7), factor = std::uniform_real_distribution<double>(0.8, 1.2)]() mutable {
        return factor(engine);
    };
}

struct Row {
    int used;
    Simulated plain, varied;
};

Row simulate(const Shape& shape, int threads, Direction direction) {
    const auto both = [](const auto& plan) {
        return Row{plan.threads, Simulator(plan, plan.threads).result(),
                   Simulator(plan, plan.threads, varied()).result()};
    };
    return direction == Direction::forward ? both(plan_of(shape, threads))
                                           : both(backward_plan_of(shape, threads));
}

void expect_efficient(const Shape& shape, int threads, Direction direction) {
    const Row row = simulate(shape, threads, direction);
    const char* name = direction == Direction::forward ? "forward" : "backward";
    if (environment_says("HONE_TEST_TABLE"))
        std::printf("%-8s %-50s %3d threads, %3d used: %.3f of the threads' worth, %.3f of the bound\n", name,
                    shape.name().c_str(), threads, row.used, row.plain.total / row.used / row.plain.time,
                    row.plain.efficiency());
    EXPECT_GE(row.plain.efficiency(), 0.95) << name << " " << shape.name() << ", " << threads << " threads";
}

constexpr int kThreads[] = {2, 4, 8, 16, 32, 64, 128};
constexpr Direction kDirections[] = {Direction::forward, Direction::backward};
constexpr Mask kMasks[] = {Mask::none, Mask::bottom_right};

TEST(Schedule, keeps_sixteen_threads_busy_where_eight_heads_have_two_thousand_rows) {
    for (const Direction direction : kDirections)
        for (const Mask mask : kMasks)
            for (const std::int64_t n : {2048, 3001, 4096, 16384})
                for (const auto& [batch, heads] : {std::pair{1, 8}, std::pair{8, 1}, std::pair{2, 4}})
                    for (const int threads : {2, 4, 8, 16}) {
                        const Shape shape = {batch, heads, heads, n, n, 64, mask};
                        const Row row = simulate(shape, threads, direction);
                        const double worth = row.plain.total / threads;
                        EXPECT_EQ(row.used, threads);
                        EXPECT_GE(worth / row.plain.time, 0.95) << shape.name() << ", " << threads;
                        EXPECT_GE(worth / row.varied.time, 0.9)
                            << shape.name() << ", " << threads << " varied";
                    }
}

TEST(Schedule, is_near_the_bound_for_few_and_many_heads) {
    if (quick()) GTEST_SKIP() << "takes long under a sanitizer";
    for (const Direction direction : kDirections)
        for (const Mask mask : kMasks)
            for (const auto& [batch, heads] : {std::pair{1, 1}, std::pair{1, 8}, std::pair{8, 8}})
                for (const int group : {1, 8})
                    for (const std::int64_t n : {512, 2048, 4096, 16384})
                        for (const int threads : kThreads)
                            expect_efficient({batch, heads * group, heads, n, n, 64, mask}, threads,
                                             direction);
}

TEST(Schedule, is_near_the_bound_in_decoding) {
    for (const std::int64_t heads : {1, 8, 64})
        for (const std::int64_t n : {512, 2048, 16384, 131072})
            for (const int threads : kThreads)
                expect_efficient({1, heads * 8, heads, 1, n, 128}, threads, Direction::forward);
}

TEST(Schedule, is_near_the_bound_where_dq_is_summed) {
    for (int axes = 1; axes < 8; ++axes)
        for (const std::int64_t batch : {1, 8})
            for (const std::int64_t n : {512, 2048})
                for (const int threads : kThreads) {
                    Shape shape = {batch, 8, 8, n, n};
                    shape.sum_dq = {(axes & 1) != 0, (axes & 2) != 0, (axes & 4) != 0};
                    expect_efficient(shape, threads, Direction::backward);
                }
}

// Of the costs of the tasks of this kind.
template <class Plan>
double sum_of_costs(const Plan& plan, Work work) {
    const auto s = schedule_of(plan);
    double sum = 0;
    for (std::int64_t i = 0; i < s.tasks(); ++i)
        if (s.task(i).work == work) sum += s.cost(s.task(i));
    return sum;
}

// Shapes whose blocks are ragged in every way, some without work.
std::vector<Shape> ragged_shapes() {
    std::vector<Shape> shapes;
    for (const Mask mask : {Mask::none, Mask::top_left, Mask::bottom_right})
        for (const auto& [batch, query_heads, kv_heads] :
             {std::tuple{1, 1, 1}, std::tuple{3, 14, 2}, std::tuple{2, 97, 1}, std::tuple{5, 7, 7},
              std::tuple{0, 2, 1}})
            for (const auto& [queries, keys] : {std::pair{1, 1}, std::pair{17, 5000}, std::pair{193, 71},
                                                std::pair{1000, 999}, std::pair{0, 5}, std::pair{5, 0}})
                for (const std::int64_t window : {0, 5, 300})
                    shapes.push_back({batch, query_heads, kv_heads, queries, keys, 17, mask, window});
    return shapes;
}

// Every block of rows of every head attends to every split of the keys once.
TEST(Schedule, forward_does_all_work_once) {
    for (const Shape& shape : ragged_shapes())
        for (const int activation : {HONE_SOFTMAX, HONE_BAYES_SOFTMAX})
            for (const int threads : {1, 2, 5}) {
                const ForwardPlan plan = plan_of(shape, threads, static_cast<hone_activation>(activation));
                const ForwardSchedule s(plan);
                std::set<std::tuple<Work, std::int64_t, std::int64_t, std::int64_t, std::int64_t>> done;
                std::int64_t attended = 0;
                for (std::int64_t i = 0; i < s.tasks(); ++i) {
                    const Task t = s.task(i);
                    EXPECT_TRUE(done.emplace(t.work, t.batch, t.head, t.index, t.split).second)
                        << shape.name();
                    attended += t.work == Work::attend;
                }
                EXPECT_EQ(attended, shape.batch * shape.kv_heads * plan.block.row_blocks * plan.splits);
                EXPECT_GE(plan.block.row_blocks * plan.block.rows, row_count(plan.n));
                EXPECT_GE(plan.splits * plan.split_blocks * plan.block.keys, count(plan.keys));
                Simulator(plan, threads);
            }
}

using FinishedRows = std::set<std::tuple<const Accumulator*, std::int64_t, std::int64_t, std::int64_t>>;

// Each row that gets no contribution is among the finished ones.
void expect_finished(const BackwardSchedule& s, const Accumulator& gradient, const FinishedRows& finished) {
    for (std::int64_t b = 0; b < gradient.batches; ++b)
        for (std::int64_t h = 0; h < gradient.heads; ++h)
            for (std::int64_t row = 0; row < gradient.rows; ++row) {
                const std::int64_t terms = contributions(gradient, s.contributing(gradient, h, row));
                EXPECT_TRUE(terms > 0 || finished.contains({&gradient, b, h, row}));
            }
}

// Each key block of each head comes once, with the blocks of rows that see it, and no other; each row of each
// gradient gets a contribution or is finished.
TEST(Schedule, backward_does_all_work_once) {
    for (Shape shape : ragged_shapes())
        for (int axes = 0; axes < 8; ++axes)
            for (const int threads : {1, 2, 5}) {
                shape.sum_dq = shape.sum_dkv = {(axes & 1) != 0, (axes & 2) != 0, (axes & 4) != 0};
                const BackwardPlan plan = backward_plan_of(shape, threads);
                const BackwardSchedule s(plan);
                std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> blocks;
                FinishedRows finished;
                for (std::int64_t i = 0; i < s.tasks(); ++i) {
                    const Task t = s.task(i);
                    if (t.work == Work::key_block) {
                        EXPECT_TRUE(blocks.emplace(t.batch, t.head, t.index).second);
                    }
                    if (t.work != Work::finish) continue;
                    const BackwardSchedule::Finish rows = s.finish(t.index);
                    for (std::int64_t row = rows.rows.begin; row < rows.rows.end; ++row)
                        EXPECT_TRUE(finished.emplace(rows.gradient, rows.batch, rows.head, row).second);
                }
                EXPECT_EQ(static_cast<std::int64_t>(blocks.size()),
                          shape.batch * shape.kv_heads * count(plan.block.key_blocks));
                const Range key_blocks = plan.block.key_blocks;
                for (std::int64_t kb = key_blocks.begin; kb < key_blocks.end; ++kb)
                    for (std::int64_t r = 0; r < plan.block.row_blocks; ++r)
                        EXPECT_EQ(contains(row_blocks_seeing(plan, kb), r),
                                  contains(key_blocks_seen(plan, r), kb))
                            << shape.name();
                for (const Accumulator* gradient : {&plan.dq, &plan.dk, &plan.dv})
                    expect_finished(s, *gradient, finished);
                Simulator(plan, threads);
            }
}

template <class Plan>
void expect_total(const Plan& plan, Work work) {
    const auto s = schedule_of(plan);
    const double sum = sum_of_costs(plan, work);
    EXPECT_DOUBLE_EQ(s.total_cost(HUGE_VAL), sum);
    for (const double enough : {0.0, 1e5, 1e7, 1e9})
        if (sum > enough)
            EXPECT_GT(s.total_cost(enough), enough);
        else
            EXPECT_DOUBLE_EQ(s.total_cost(enough), sum);
}

TEST(Schedule, total_cost_is_that_of_the_tasks_that_multiply) {
    for (Shape shape : ragged_shapes())
        for (const bool sums_rows : {false, true}) {
            SCOPED_TRACE(shape.name());
            shape.sum_dq.rows = sums_rows;
            expect_total(plan_of(shape, 2), Work::attend);
            expect_total(backward_plan_of(shape, 2), Work::key_block);
        }
}

TEST(Schedule, packing_costs_what_is_packed) {
    const auto cost = [](std::int64_t keys) {
        return sum_of_costs(plan_of({.queries = 300, .keys = keys}, 1), Work::pack_keys);
    };
    for (const std::int64_t keys : {1, 63, 64, 65, 193, 255, 257, 300, 449, 512})
        EXPECT_DOUBLE_EQ(cost(keys), static_cast<double>(keys) * cost(256) / 256) << keys << " keys";
}

// Callers ask how large a workspace would be before they know that there is memory for it.
TEST(Schedule, is_planned_at_once_whatever_the_extents) {
    for (const Mask mask : {Mask::none, Mask::top_left, Mask::bottom_right})
        for (const auto& [queries, keys] :
             {std::pair{48, 8}, std::pair{8, 48}, std::pair{30, 30}, std::pair{48, 0}})
            for (const int threads : {1, 64}) {
                const Shape shape = {1, 1, 1, std::int64_t{1} << queries, std::int64_t{1} << keys, 1, mask};
                EXPECT_GT(plan_of(shape, threads).bytes, 0u);
                EXPECT_GT(backward_plan_of(shape, threads).bytes, 0u);
                Shape nothing = shape;
                nothing.batch = 0;
                EXPECT_EQ(ForwardSchedule(plan_of(nothing, threads)).total_cost(1e9), 0);
                EXPECT_EQ(BackwardSchedule(backward_plan_of(nothing, threads)).total_cost(1e9), 0);
            }
}

}  // namespace
}  // namespace hone::test
