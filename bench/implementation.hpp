// implementation.hpp: a kernel that is timed or checked: hone's own, or one from a shared library that
// exports the functions of hone/implementation.h.
#pragma once

#include <hone/implementation.h>

#include <cfenv>
#include <set>
#include <string>

#include "needs.hpp"

namespace hone::bench {

// Restores the thread's floating-point environment at the end of a scope: a foreign library may change it,
// for example to flush denormal numbers.
class KeptEnvironment {
  public:
    KeptEnvironment() { std::fegetenv(&before_); }
    ~KeptEnvironment() { std::fesetenv(&before_); }
    KeptEnvironment(const KeptEnvironment&) = delete;
    KeptEnvironment& operator=(const KeptEnvironment&) = delete;

  private:
    std::fenv_t before_;
};

class Implementation {
  public:
    // hone: it does everything, on the ISA that HONE_ISA or a problem names.
    Implementation();

    // Loads a shared library, which stays loaded. Throws std::runtime_error, with a sentence that names the
    // file and what is wrong with it.
    explicit Implementation(const std::string& file);

    const std::string& name() const { return name_; }
    bool is_hone() const { return file_.empty(); }

    // Whether it lists a word; `activations` stands for each of them.
    bool supports(const std::string& word) const { return words_.contains(word); }

    // The first word that a call needs and that it does not list; "" where it lists all of them.
    std::string lacks(const hone_problem& problem, const hone_forward_args& args) const;
    std::string lacks(const hone_problem& problem, const hone_backward_args& args) const;

    // Only what it lists may be asked for.
    hone_status forward(const hone_problem& problem, const hone_forward_args& args) const {
        return forward_(&problem, &args);
    }
    hone_status backward(const hone_problem& problem, const hone_backward_args& args) const {
        return backward_(&problem, &args);
    }

    // What it says of its last failure in this thread; "" where it says nothing.
    std::string last_error() const;

  private:
    void list(const std::string& words);

    std::string file_, name_;
    std::set<std::string> words_;
    decltype(&hone_implementation_forward) forward_ = nullptr;
    decltype(&hone_implementation_backward) backward_ = nullptr;
    decltype(&hone_implementation_last_error) last_error_ = nullptr;
};

}  // namespace hone::bench
