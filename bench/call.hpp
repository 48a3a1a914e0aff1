// call.hpp: a case of hone-bench as a call of its implementation, with its outputs and its workspace.
#pragma once

#include <cstddef>
#include <hone/hone.hpp>
#include <string>
#include <vector>

#include "measure.hpp"
#include "tensors.hpp"

namespace hone::bench {

// Ready to be repeated. The inputs have to outlive it.
template <class T>
class Call {
  public:
    Call(const Subject& subject, const Inputs<T>& inputs)
        : outputs(make_outputs(inputs, subject.c.direction)),
          by_(*subject.by),
          direction_(subject.c.direction),
          problem_(inputs.problem),
          forward_(forward_args(inputs, outputs)),
          backward_(backward_args(inputs, outputs)) {
        problem_.isa = isa_.assign(subject.c.isa).c_str();
        problem_.threads = subject.c.threads;
        if (by_.is_hone()) {
            give_workspace();
            return;
        }
        const std::string lacks =
            direction_ == Direction::forward ? by_.lacks(problem_, forward_) : by_.lacks(problem_, backward_);
        if (!lacks.empty()) throw Error(HONE_UNSUPPORTED, "it does not list " + lacks);
    }

    hone_status operator()() {
        return direction_ == Direction::forward ? by_.forward(problem_, forward_)
                                                : by_.backward(problem_, backward_);
    }

    // Makes the call, and throws where it fails.
    void make() {
        const hone_status status = (*this)();
        if (status != HONE_OK) throw Error(status, sentence(status));
    }

    std::string sentence(hone_status status) const {
        const std::string said = by_.last_error();
        return said.empty() ? "it returns the status " + std::to_string(status) : said;
    }

    std::size_t workspace_bytes() const { return workspace_.size(); }

    Outputs<T> outputs;

  private:
    void give_workspace() {
        std::size_t bytes = 0;
        if (direction_ == Direction::forward)
            check(hone_forward_workspace(&problem_, &forward_, &bytes));
        else
            check(hone_backward_workspace(&problem_, &backward_, &bytes));
        workspace_.resize(bytes);
        forward_.workspace = backward_.workspace = workspace_.data();
        forward_.workspace_bytes = backward_.workspace_bytes = bytes;
    }

    const Implementation& by_;
    Direction direction_;
    std::string isa_;
    hone_problem problem_;
    hone_forward_args forward_;
    hone_backward_args backward_;
    std::vector<std::byte> workspace_;
};

}  // namespace hone::bench
