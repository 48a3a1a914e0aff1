// parts.cpp: the plan of each part, and how much memory all of them take.
#include "parts.hpp"

#include <algorithm>
#include <cmath>

#include "dispatch.hpp"
#include "operands.hpp"
#include "runs.hpp"
#include "tiles.hpp"

namespace hone {
namespace {

ForwardPlan cut(const hone_problem& p, const hone_forward_args& a, const Machine& machine) {
    return cut_forward(p, a, *activation_info(p.activation), visibility_of(p), machine);
}
BackwardPlan cut(const hone_problem& p, const hone_backward_args& a, const Machine& machine) {
    return cut_backward(p, a, *activation_info(p.activation), visibility_of(p), machine);
}

template <class Plan>
double cost_of(const Plan& plan) {
    return schedule_of(plan).total_cost(HUGE_VAL);
}

int threads_for(double cost, const Machine& machine) {
    return static_cast<int>(std::clamp(cost / machine.tuning.thread_cost, 1.0, double(machine.threads)));
}

std::size_t aligned(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Rows of a gradient that are an entry's own, and come after them.
void set_padding(Accumulator& gradient, std::int64_t padding) {
    const bool is_one_row = gradient.sums.rows && gradient.rows > 0;
    gradient.padding = is_one_row ? 0 : gradient.sums.rows ? smaller(padding, 1) : padding;
}

// A gradient that is summed over parts: a term of it, in the part's own workspace, after `bytes`.
void place_term(Accumulator& gradient, hone_tensor& tensor, std::size_t element,
                Part<hone_backward_args>& part, int number) {
    gradient.padding = 0;
    part.summed_at[number] = part.own_bytes;
    part.own_bytes += aligned(static_cast<std::size_t>(copy_size(gradient)) * element);
    tensor.batch_stride = 0;
    tensor.head_stride = gradient.sums.heads ? 0 : gradient.rows * gradient.features;
    tensor.row_stride = gradient.sums.rows ? 0 : gradient.features;
}

void finish_part(Part<hone_forward_args>& part, const Entry& entry, const SummedOverParts&) {
    part.plan.padding = entry.queries.padding;
}

void finish_part(Part<hone_backward_args>& part, const Entry& entry, const SummedOverParts& summed) {
    BackwardPlan& plan = part.plan;
    hone_backward_args& a = part.args;
    Accumulator* const gradients[] = {&plan.dq, &plan.dk, &plan.dv};
    hone_tensor* const tensors[] = {&a.dq, &a.dk, &a.dv};
    for (int i = 0; i < 3; ++i) {
        set_padding(*gradients[i], i == 0 ? entry.queries.padding : entry.keys.padding);
        if (summed.of[i])
            place_term(*gradients[i], *tensors[i], static_cast<std::size_t>(element_size(part.problem)), part,
                       i);
    }
}

template <class Args>
Part<Args> plain_part(const hone_problem& p, const Args& a, const Machine& machine) {
    Part<Args> part = {p, a, cut(p, a, machine), p.queries, 0, {}};
    lay_out(part.plan, p, machine.tuning);
    part.own_bytes = part.plan.scratch_at;
    return part;
}

}  // namespace

SummedOverParts summed_over_parts(const hone_problem&, const hone_forward_args&) {
    return {};
}

SummedOverParts summed_over_parts(const hone_problem& p, const hone_backward_args& a) {
    const auto summed = [&](const hone_tensor& t, bool ragged) {
        return entries_differ(p) && p.batch > 1 && t.data && (ragged ? t.row_stride : t.batch_stride) == 0;
    };
    return {{summed(a.dq, ragged_queries(p)), summed(a.dk, ragged_keys(p)), summed(a.dv, ragged_keys(p))}};
}

template <class Args>
Parts<Args>::Parts(const hone_problem& p, const Args& a, const Machine& machine) : Parts(p, a, machine, 0) {
    for (std::int64_t b = 0; differ_ && b < p.batch; ++b) cost_ += cost_of(alone(entry_of(p, b)).plan);
    threads_ = threads_for(cost_, machine);
}

template <class Args>
Parts<Args>::Parts(const hone_problem& p, const Args& a, const Machine& machine, double cost)
    : p_(p),
      a_(a),
      machine_(machine),
      differ_(entries_differ(p)),
      cost_(cost),
      threads_(threads_for(cost, machine)) {}

// The call of an entry that has one thread, with no memory yet.
template <class Args>
Part<Args> Parts<Args>::alone(const Entry& entry) const {
    Part<Args> part = {problem_of(p_, entry), args_of(p_, a_, entry), {}, query_rows(p_), 0, {}};
    part.plan = cut(part.problem, part.args, {1, machine_.tuning});
    return part;
}

// An entry is cut for as many threads as its share of the work is worth.
template <class Args>
Part<Args> Parts<Args>::part(std::int64_t index) const {
    if (!differ_) return plain_part(p_, a_, machine_);
    const Entry entry = entry_of(p_, index);
    Part<Args> part = alone(entry);
    const double share = std::ceil(cost_of(part.plan) / std::max(cost_, 1.0) * threads_);
    if (share > 1) part.plan = cut(part.problem, part.args, {static_cast<int>(share), machine_.tuning});
    part.plan.threads = threads_;
    lay_out(part.plan, part.problem, machine_.tuning);
    part.own_bytes = part.plan.scratch_at;
    // Regions do not depend on what follows: rows of padding, and which terms are summed over parts.
    finish_part(part, entry, summed_over_parts(p_, a_));
    return part;
}

namespace {

constexpr std::size_t call_size(const ForwardPlan&) {
    return std::max(sizeof(ForwardCall<float>), sizeof(ForwardCall<double>));
}
constexpr std::size_t call_size(const BackwardPlan&) {
    return std::max(sizeof(BackwardCall<float>), sizeof(BackwardCall<double>));
}

}  // namespace

template <class Args>
CallPlan<Args> plan_call(const hone_problem& p, const Args& a, const Machine& machine) {
    const Parts<Args> parts(p, a, machine);
    CallPlan<Args> plan = {};
    plan.parts = parts.count(), plan.threads = parts.threads(), plan.cost = parts.cost();
    std::int64_t own = 0;
    for (std::int64_t i = 0; i < plan.parts; ++i) {
        const Part<Args> part = parts.part(i);
        own = smaller(own + static_cast<std::int64_t>(part.own_bytes), kTooManyBytes);
        plan.scratch_bytes = std::max(plan.scratch_bytes, part.plan.scratch_bytes);
        plan.runs += entries_differ(p) ? runs_of(part.plan, i, nullptr) : 1;
        if (!entries_differ(p)) plan.plain = part, plan.threads = part.plan.threads;
    }
    if (summed_over_parts(p, a).any()) {
        const auto row = static_cast<std::size_t>(std::max(p.key_dim, p.value_dim) * element_size(p));
        plan.scratch_bytes = std::max(plan.scratch_bytes, aligned(row));
    }
    Regions regions;
    plan.own_at = regions.take(own, 1);
    plan.scratch_at = regions.take(plan.threads, plan.scratch_bytes);
    plan.parts_at = regions.take(plan.parts, call_size(plan.plain.plan));
    plan.runs_at = regions.take(plan.runs, sizeof(Run));
    plan.bytes = regions.bytes();
    return plan;
}

template class Parts<hone_forward_args>;
template class Parts<hone_backward_args>;
template CallPlan<hone_forward_args> plan_call(const hone_problem&, const hone_forward_args&, const Machine&);
template CallPlan<hone_backward_args> plan_call(const hone_problem&, const hone_backward_args&,
                                                const Machine&);

}  // namespace hone
