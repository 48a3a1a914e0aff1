// check.cpp: one call of an implementation, and what is looked at afterwards.
#include "tests/check/check.hpp"

#include <sstream>
#include <type_traits>

namespace hone::test {
namespace {

Outcome failed(const std::string& why) {
    return {Verdict::failed, 0, why};
}

std::string name_of(hone_status status) {
    switch (status) {
        case HONE_OK:
            return "HONE_OK";
        case HONE_INVALID_ARGUMENT:
            return "HONE_INVALID_ARGUMENT";
        case HONE_UNSUPPORTED:
            return "HONE_UNSUPPORTED";
        case HONE_OUT_OF_MEMORY:
            return "HONE_OUT_OF_MEMORY";
    }
    return "the status " + std::to_string(status) + ", which hone.h does not know";
}

// HONE_UNSUPPORTED where it does not list what the call needs.
template <class T>
hone_status run(const bench::Implementation& implementation, Call<T>& call) {
    if (call.direction == Direction::forward) {
        const hone_forward_args args = call.forward_args();
        if (!implementation.lacks(call.problem, args).empty()) return HONE_UNSUPPORTED;
        return implementation.forward(call.problem, args);
    }
    const hone_backward_args args = call.backward_args();
    if (!implementation.lacks(call.problem, args).empty()) return HONE_UNSUPPORTED;
    return implementation.backward(call.problem, args);
}

template <class T>
Outcome judge(const bench::Implementation& implementation, Truth<T>& truth, double tolerance) {
    Call<T> call = truth.input;
    hone_status status = HONE_OK;
    {
        const bench::KeptEnvironment kept;  // the truth of the next case is computed in this thread
        status = run(implementation, call);
    }
    if (status == HONE_UNSUPPORTED) return {Verdict::unsupported};
    if (status != HONE_OK)
        return failed("it returns " + name_of(status) + ": " + implementation.last_error());
    if (const std::string name = wrongly_written(call, truth.input); !name.empty())
        return failed(name + " is written, which is not an output");
    Worst worst;
    for (const Argument argument : outputs(call.direction))
        if (call[argument].present())
            if (const Worst of = worst_of(call, truth, argument); of.share > worst.share) worst = of;
    if (worst.share <= tolerance) return {Verdict::passed, worst.share};
    std::ostringstream why;
    why << worst;
    return {Verdict::failed, worst.share, why.str()};
}

template <class T>
Truth<T> truth_of(const Case& one) {
    Call<T> call = make_call<T>(one.problem.spec, one.problem.activation, one.direction);
    call.problem.threads = one.problem.threads[0];
    return Truth<T>(std::move(call));
}

}  // namespace

Check::Check(const Case& one) {
    if (!one.listed) return;
    if (one.problem.dtype == HONE_FLOAT32)
        truth_ = truth_of<float>(one);
    else
        truth_ = truth_of<double>(one);
}

Outcome Check::run(const bench::Implementation& implementation, double tolerance) {
    return std::visit(
        [&]<class Of>(Of& truth) -> Outcome {
            if constexpr (std::is_same_v<Of, std::monostate>)
                return {Verdict::unsupported};
            else
                return judge(implementation, truth, tolerance);
        },
        truth_);
}

}  // namespace hone::test
