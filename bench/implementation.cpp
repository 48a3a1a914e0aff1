// implementation.cpp: what is expected of a shared library, and what is said where it is not so.
#include "implementation.hpp"

#include <dlfcn.h>

#include <hone/hone.hpp>
#include <initializer_list>
#include <sstream>
#include <stdexcept>

namespace hone::bench {
namespace {

// It is never closed: threads of its own may still run.
void* open(const std::string& file) {
    const std::string path = file.find('/') == std::string::npos ? "./" + file : file;
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) throw std::runtime_error("the implementation cannot be loaded: " + std::string(dlerror()));
    return library;
}

// Null where the library does not export it.
template <class Function>
void find(void* library, const char* symbol, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(library, symbol));
}

template <class Function>
void find(void* library, const std::string& file, const char* symbol, Function*& function) {
    find(library, symbol, function);
    if (!function)
        throw std::runtime_error(file + " does not export " + symbol +
                                 "(), which should be as hone/implementation.h declares it");
}

std::string joined(const std::vector<std::string>& words) {
    std::string all;
    for (const std::string& word : words) all += (all.empty() ? "" : " ") + word;
    return all;
}

std::string first_missing(const std::vector<std::string>& words, const Implementation& implementation) {
    for (const std::string& word : words)
        if (!implementation.supports(word)) return word;
    return "";
}

}  // namespace

Implementation::Implementation()
    : name_("hone"), forward_(hone_forward), backward_(hone_backward), last_error_(hone_last_error) {
    list(joined(known_words()));
}

Implementation::Implementation(const std::string& file) : file_(file) {
    // A library that an older g++ linked with -ffast-math makes the thread that loads it flush denormal
    // numbers.
    const KeptEnvironment kept;
    void* const library = open(file);
    const char* (*text)() = nullptr;
    const auto text_of = [&](const char* symbol) {
        find(library, file, symbol, text);
        const char* const returned = text();
        if (!returned) throw std::runtime_error(file + ": " + symbol + "() returns NULL, should be a string");
        return std::string(returned);
    };
    name_ = text_of("hone_implementation_name");
    list(text_of("hone_implementation_supports"));
    if (supports("forward")) find(library, file, "hone_implementation_forward", forward_);
    if (supports("backward")) find(library, file, "hone_implementation_backward", backward_);
    find(library, "hone_implementation_last_error", last_error_);
}

void Implementation::list(const std::string& words) {
    const std::vector<std::string> known = known_words();
    const std::set<std::string> allowed(known.begin(), known.end());
    std::vector<std::string> activations;
    for (int a = 0; a < hone_activation_count(); ++a)
        activations.push_back(describe(static_cast<hone_activation>(a)).name);
    std::istringstream in(words);
    for (std::string word; in >> word;) {
        if (!allowed.contains(word))
            throw std::runtime_error(file_ + ": hone_implementation_supports() lists '" + word +
                                     "', should be one of: " + joined(known));
        words_.insert(word);
    }
    if (supports("activations")) words_.insert(activations.begin(), activations.end());
    const auto expect_one_of = [&](const std::vector<std::string>& choice) {
        for (const std::string& word : choice)
            if (supports(word)) return;
        throw std::runtime_error(
            file_ + ": hone_implementation_supports() should list one at least of: " + joined(choice));
    };
    for (const std::vector<std::string>& choice :
         {std::vector<std::string>{"forward", "backward"}, {"f32", "f64"}, activations})
        expect_one_of(choice);
}

std::string Implementation::lacks(const hone_problem& problem, const hone_forward_args& args) const {
    return first_missing(needs(problem, args), *this);
}

std::string Implementation::lacks(const hone_problem& problem, const hone_backward_args& args) const {
    return first_missing(needs(problem, args), *this);
}

std::string Implementation::last_error() const {
    const KeptEnvironment kept;
    const char* const sentence = last_error_ ? last_error_() : nullptr;
    return sentence ? sentence : "";
}

}  // namespace hone::bench
