// parts.hpp: a call as parts, each of which is planned by itself.
//
// The batch entries of a plain call are one part. Where entries have queries and keys of their own, each is a
// part, planned as a call of that entry alone: so its bits are those that it has alone. Parts share threads
// and their scratch, and their tasks have one order (runs.hpp), which is a table in the workspace.
#pragma once

#include "entries.hpp"
#include "plan.hpp"

namespace hone {

template <class Args>
struct PlanFor;
template <>
struct PlanFor<hone_forward_args> {
    using type = ForwardPlan;
};
template <>
struct PlanFor<hone_backward_args> {
    using type = BackwardPlan;
};
template <class Args>
using PlanOf = typename PlanFor<Args>::type;

template <class Args>
struct Part {
    hone_problem problem;
    Args args;
    PlanOf<Args> plan;
    std::int64_t lse_stride;  // between heads
    // In its workspace: the plan's regions, and then the gradients of q, k and v that are summed over parts
    // (gradient_sum.hpp), if there are any. The strides in args are those of the sum's terms.
    std::size_t own_bytes, summed_at[3];
};

// Which gradients of a call each part has by itself first, as they are summed over parts.
struct SummedOverParts {
    bool of[3];  // q, k, v
    bool any() const { return of[0] || of[1] || of[2]; }
};
SummedOverParts summed_over_parts(const hone_problem& p, const hone_forward_args& a);
SummedOverParts summed_over_parts(const hone_problem& p, const hone_backward_args& a);

template <class Args>
class Parts {
  public:
    // All lengths and offsets are there. `cost` is that of all entries, where it is known already.
    Parts(const hone_problem& p, const Args& a, const Machine& machine);
    Parts(const hone_problem& p, const Args& a, const Machine& machine, double cost);

    std::int64_t count() const { return differ_ ? p_.batch : 1; }
    Part<Args> part(std::int64_t index) const;
    // That the call takes, where entries differ.
    int threads() const { return threads_; }
    double cost() const { return cost_; }

  private:
    Part<Args> alone(const Entry& entry) const;

    const hone_problem& p_;
    const Args& a_;
    const Machine& machine_;
    const bool differ_;
    double cost_;
    int threads_;
};

// What is known of a call before there is memory for it.
template <class Args>
struct CallPlan {
    Part<Args> plain;  // of a plain call: its part
    int threads;
    double cost;  // of all entries, where they differ
    std::int64_t parts, runs;
    std::size_t parts_at, runs_at;          // tables: the calls of parts, and runs of tasks
    std::size_t own_at;                     // the workspaces of the parts, one after the other
    std::size_t scratch_at, scratch_bytes;  // one for each thread
    std::size_t bytes;                      // of the workspace
};

template <class Args>
CallPlan<Args> plan_call(const hone_problem& p, const Args& a, const Machine& machine);

// Of the workspace, whatever the lengths and offsets will be.
std::size_t most_bytes(const hone_problem& p, const hone_forward_args& a, const Machine& machine);
std::size_t most_bytes(const hone_problem& p, const hone_backward_args& a, const Machine& machine);

}  // namespace hone
