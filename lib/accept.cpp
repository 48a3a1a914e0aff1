// accept.cpp: the sizes that the structs of the interface have had, and how a caller's struct becomes
// today's.
#include "accept.hpp"

#include <algorithm>
#include <cstring>

#include "error.hpp"

namespace hone {
namespace {

template <class Struct>
struct Version {
    const char* argument;
    const char* type;
    std::size_t first;  // its size in 0.2.0, the first version
};
template <class Struct>
constexpr Version<Struct> version_of();
template <>
constexpr Version<hone_problem> version_of() {
    return {"problem", "hone_problem", 128};
}
template <>
constexpr Version<hone_forward_args> version_of() {
    return {"args", "hone_forward_args", 472};
}
template <>
constexpr Version<hone_backward_args> version_of() {
    return {"args", "hone_backward_args", 920};
}
template <>
constexpr Version<hone_activation_info> version_of() {
    return {"info", "hone_activation_info", 48};
}
static_assert(sizeof(hone_problem) >= version_of<hone_problem>().first);
static_assert(sizeof(hone_forward_args) >= version_of<hone_forward_args>().first);
static_assert(sizeof(hone_backward_args) >= version_of<hone_backward_args>().first);
static_assert(sizeof(hone_activation_info) >= version_of<hone_activation_info>().first);
static_assert(sizeof(hone_tensor) == 104 && sizeof(hone_const_tensor) == 104);

// More than any version will have: a larger size is a mistake.
constexpr std::size_t kMostBytes = 4096;

template <class Struct>
hone_status check_size(const Struct* given, std::size_t size) {
    constexpr Version<Struct> version = version_of<Struct>();
    if (!given)
        return fail(HONE_INVALID_ARGUMENT, "%s: is NULL; should point to a %s", version.argument,
                    version.type);
    if (size < version.first || size > kMostBytes)
        return fail(HONE_INVALID_ARGUMENT, "%s.size: is %zu; should be sizeof(%s), %zu in this version",
                    version.argument, size, version.type, sizeof(Struct));
    return HONE_OK;
}

template <class Struct>
hone_status init(Struct* given, std::size_t size) {
    if (const hone_status status = check_size(given, size); status != HONE_OK) return status;
    std::memset(given, 0, size);
    given->size = size;
    return HONE_OK;
}

template <class Struct>
hone_status copy(const Struct* given, Struct* taken) {
    *taken = {};
    if (const hone_status status = check_size(given, given ? given->size : 0); status != HONE_OK)
        return status;
    std::memcpy(taken, given, std::min(given->size, sizeof(Struct)));
    const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
    const auto is_zero = [](unsigned char byte) { return byte == 0; };
    if (given->size > sizeof(Struct) && !std::all_of(bytes + sizeof(Struct), bytes + given->size, is_zero))
        return fail(HONE_UNSUPPORTED,
                    "%s: sets a field that version %s does not know; should be 0 beyond its first %zu bytes",
                    version_of<Struct>().argument, HONE_VERSION, sizeof(Struct));
    return HONE_OK;
}

}  // namespace

hone_status accept(const hone_problem* given, hone_problem* taken) {
    const hone_status status = copy(given, taken);
    if (taken->dtype == HONE_DTYPE_DEFAULT) taken->dtype = HONE_FLOAT32;
    if (taken->softmax_n == 0) taken->softmax_n = 1;
    return status;
}
hone_status accept(const hone_forward_args* given, hone_forward_args* taken) {
    return copy(given, taken);
}
hone_status accept(const hone_backward_args* given, hone_backward_args* taken) {
    return copy(given, taken);
}

hone_status give(const hone_activation_info& known, hone_activation_info* info) {
    const std::size_t size = info ? info->size : 0;
    if (const hone_status status = check_size(info, size); status != HONE_OK) return status;
    std::memset(info, 0, size);
    std::memcpy(info, &known, std::min(size, sizeof(known)));
    info->size = size;
    return HONE_OK;
}

}  // namespace hone

extern "C" {

hone_status hone_problem_init(hone_problem* problem, size_t size) {
    return hone::init(problem, size);
}

hone_status hone_forward_args_init(hone_forward_args* args, size_t size) {
    return hone::init(args, size);
}

hone_status hone_backward_args_init(hone_backward_args* args, size_t size) {
    return hone::init(args, size);
}

}  // extern "C"
