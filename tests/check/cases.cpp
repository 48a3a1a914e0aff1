// cases.cpp: families x activations x types x directions, and the search.
#include "tests/check/cases.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>

#include "tests/check/adapted.hpp"
#include "tests/check/families.hpp"

namespace hone::test {
namespace {

std::string name_of(Direction direction) {
    return direction == Direction::forward ? "forward" : "backward";
}

std::string name_of(hone_dtype dtype) {
    return dtype == HONE_FLOAT32 ? "f32" : "f64";
}

// The number of a problem of the search, by its name.
std::optional<std::int64_t> number_of(const std::string& name) {
    const std::string last = name.substr(name.rfind('/') + 1), prefix = std::string(kSearch) + "_";
    std::int64_t number = 0;
    if (!last.starts_with(prefix)) return {};
    const char* const end = last.data() + last.size();
    const auto [after, error] = std::from_chars(last.data() + prefix.size(), end, number);
    if (error != std::errc() || after != end || number < 0) return {};
    return number;
}

// Those that quick tests run, or the first.
std::vector<Spec> quick_of(const Family& family) {
    std::vector<Spec> specs;
    for (const Spec& spec : family.specs)
        if (spec.quick) specs.push_back(spec);
    if (specs.empty()) specs.push_back(family.specs.front());
    return specs;
}

class CaseList {
  public:
    CaseList(const Selection& selection, const bench::Implementation& implementation)
        : selection_(selection), implementation_(implementation) {}

    void add(const Family& family) {
        for (const Spec& spec : selection_.effort == Effort::quick ? quick_of(family) : family.specs)
            for (int a = 0; a < hone_activation_count(); ++a)
                for (const hone_dtype dtype : {HONE_FLOAT32, HONE_FLOAT64})
                    if (const auto activation = static_cast<hone_activation>(a);
                        implementation_.supports(describe(activation).name) &&
                        implementation_.supports(name_of(dtype)) && applies(spec, describe(activation)))
                        add(family, {adapted(spec, implementation_), activation, dtype, {2, 2}});
    }
    void add_search() {
        const std::optional<std::int64_t> only = number_of(selection_.name);
        if (!selection_.name.empty() && !only) return;
        const std::int64_t first = only.value_or(0), last = only ? *only + 1 : selection_.problems;
        for (std::int64_t n = first; n < last; ++n)
            add({kSearch, "", {}}, adapted(search_problem(n), implementation_));
    }
    std::vector<Case> cases() const { return cases_; }

  private:
    void add(const Family& family, const SearchProblem& problem) {
        for (const Direction direction : {Direction::forward, Direction::backward}) {
            if (!implementation_.supports(name_of(direction))) continue;
            const bool listed = family.word.empty() || implementation_.supports(family.word);
            const Case one = {family.name, direction, problem, listed};
            if (selection_.name.empty() || selection_.name == problem.spec.name ||
                selection_.name == one.name())
                cases_.push_back(one);
        }
    }

    const Selection& selection_;
    const bench::Implementation& implementation_;
    std::vector<Case> cases_;
};

}  // namespace

std::string Case::name() const {
    return name_of(direction) + "/" + describe(problem.activation).name + "/" + name_of(problem.dtype) + "/" +
           problem.spec.name;
}

std::vector<Case> cases_of(const Selection& selection, const bench::Implementation& implementation) {
    const std::vector<Family> all = families();
    std::string known;
    for (const Family& family : all) known += family.name + ", ";
    for (const std::string& name : selection.families)
        if (name != kSearch &&
            std::none_of(all.begin(), all.end(), [&](const Family& family) { return family.name == name; }))
            throw std::invalid_argument("'" + name + "' is no family: should be one of " + known + kSearch);
    const auto chosen = [&](const std::string& name) {
        return selection.families.empty() || std::find(selection.families.begin(), selection.families.end(),
                                                       name) != selection.families.end();
    };
    CaseList list(selection, implementation);
    for (const Family& family : all)
        if (chosen(family.name)) list.add(family);
    if (chosen(kSearch)) list.add_search();
    if (list.cases().empty() && !selection.name.empty())
        throw std::invalid_argument("'" + selection.name +
                                    "' is none of the cases that the implementation lists: see --list");
    return list.cases();
}

}  // namespace hone::test
