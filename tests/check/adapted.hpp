// adapted.hpp: a problem less what an implementation does not list, so that one that lists little is still
// checked on much.
#pragma once

#include "bench/implementation.hpp"
#include "tests/search_spec.hpp"

namespace hone::test {

Spec adapted(Spec spec, const bench::Implementation& implementation);

// Also of an activation and a type that it lists.
SearchProblem adapted(SearchProblem problem, const bench::Implementation& implementation);

}  // namespace hone::test
