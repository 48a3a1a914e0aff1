// check.hpp: one case: its truth, which is computed beforehand, and the judgement on what an implementation
// makes of it.
#pragma once

#include <string>
#include <variant>

#include "tests/accuracy.hpp"
#include "tests/check/cases.hpp"

namespace hone::test {

enum class Verdict { passed, unsupported, failed };

struct Outcome {
    Verdict verdict = Verdict::passed;
    double worst = 0;      // the largest error, as a share of what is allowed
    std::string why = {};  // it failed
};

class Check {
  public:
    explicit Check(const Case& one);

    // `tolerance`: how many times the error that is allowed to hone.
    Outcome run(const bench::Implementation& implementation, double tolerance);

  private:
    std::variant<std::monostate, Truth<float>, Truth<double>> truth_;
};

}  // namespace hone::test
