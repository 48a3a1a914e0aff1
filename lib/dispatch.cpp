// dispatch.cpp: the table of ISAs in this build, and the choice among them.
#include "dispatch.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "error.hpp"

namespace hone {

#define ISA(name) extern const Isa isa_##name;
HONE_ISAS
#undef ISA

namespace {

[[maybe_unused]] bool runs_sse2() {
    return true;
}
[[maybe_unused]] bool runs_neon64() {
    return true;
}
#if defined(__x86_64__)
[[maybe_unused]] bool runs_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
[[maybe_unused]] bool runs_avx512() {
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

struct Row {
    const char* name;
    bool (*runs)();
    const Isa* kernels;
};

// Best last.
constexpr Row kRows[] = {
#define ISA(name) {#name, runs_##name, &isa_##name},
    HONE_ISAS
#undef ISA
};
constexpr int kCount = sizeof(kRows) / sizeof(kRows[0]);

const Row* find(const char* name) {
    for (const Row& row : kRows)
        if (std::strcmp(row.name, name) == 0) return &row;
    return nullptr;
}

// A text of fixed size: nothing is allocated, so nothing can be thrown.
struct Text {
    char text[256] = "";

    void append(const char* more) {
        const std::size_t used = std::strlen(text);
        std::snprintf(text + used, sizeof text - used, "%s", more);
    }
};

Text names() {
    Text all;
    for (const Row& row : kRows) {
        if (&row != kRows) all.append(", ");
        all.append(row.name);
    }
    return all;
}

// HONE_ISA, as it was when first asked for; "" where it is not set.
const char* forced() {
    static const Text name = [] {
        Text copy;
        if (const char* const value = std::getenv("HONE_ISA")) copy.append(value);
        return copy;
    }();
    return name.text;
}

// Null if this machine runs none of them: a build may hold no kernels for the baseline of its family.
const Row* best() {
    for (int i = kCount - 1; i >= 0; --i)
        if (kRows[i].runs()) return &kRows[i];
    return nullptr;
}

hone_status choose(const char* isa, const Row** chosen) {
    const bool by_problem = isa != nullptr;
    if (!best()) return fail(HONE_UNSUPPORTED, "isa: this machine runs none of %s", names().text);
    if (!by_problem && forced()[0] == '\0') {
        *chosen = best();
        return HONE_OK;
    }
    const char* name = by_problem ? isa : forced();
    const char* argument = by_problem ? "isa" : "HONE_ISA";
    const Row* row = find(name);
    if (!row) return fail(HONE_UNSUPPORTED, "%s: is '%s'; should be one of %s", argument, name, names().text);
    if (!row->runs())
        return fail(HONE_UNSUPPORTED, "%s: is '%s', which this machine does not run; should be '%s' or lower",
                    argument, name, best()->name);
    *chosen = row;
    return HONE_OK;
}

}  // namespace

hone_status choose_isa(const char* name, const Isa** isa) {
    const Row* row = nullptr;
    const hone_status status = choose(name, &row);
    if (status == HONE_OK) *isa = row->kernels;
    return status;
}

const hone_activation_info* activation_info(int activation) {
    if (activation < 0 || activation >= kActivationCount) return nullptr;
    return &kRows[0].kernels->info[activation];
}

hone_status no_activation(int activation) {
    return fail(HONE_INVALID_ARGUMENT, "activation: is %d; should be a hone_activation, 0 to %d", activation,
                kActivationCount - 1);
}

}  // namespace hone

extern "C" {

int32_t hone_isa_count(void) {
    return hone::kCount;
}

const char* hone_isa_name(int32_t index) {
    return index < 0 || index >= hone::kCount ? nullptr : hone::kRows[index].name;
}

int32_t hone_isa_available(int32_t index) {
    return index >= 0 && index < hone::kCount && hone::kRows[index].runs();
}

const char* hone_isa_active(void) {
    const hone::Row* row = nullptr;
    return hone::choose(nullptr, &row) == HONE_OK ? row->name : nullptr;
}

}  // extern "C"
