// every.hpp: test parameters that run through every implementation, activation and scalar type.
#pragma once

#include <gtest/gtest.h>

#include <hone/hone.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace hone::test {

struct Kernel {
    std::string isa;
    hone_activation activation;
    hone_dtype dtype;

    std::string name() const {
        return isa + "_" + describe(activation).name + (dtype == HONE_FLOAT32 ? "_f32" : "_f64");
    }
};

inline void PrintTo(const Kernel& kernel, std::ostream* out) {
    *out << kernel.name();
}

inline std::vector<Kernel> every_kernel() {
    std::vector<Kernel> list;
    for (const std::string& isa : available_isas())
        for (int a = 0; a < hone_activation_count(); ++a)
            for (const hone_dtype dtype : {HONE_FLOAT32, HONE_FLOAT64})
                list.push_back({isa, static_cast<hone_activation>(a), dtype});
    return list;
}

// A fixture whose parameter is a Kernel.
class KernelTest : public testing::TestWithParam<Kernel> {
  protected:
    hone_activation_info info = describe(GetParam().activation);

    // Calls body with a 0 of the kernel's scalar type.
    template <class Body>
    void with_scalar(Body&& body) {
        if (GetParam().dtype == HONE_FLOAT32)
            body(0.0f);
        else
            body(0.0);
    }
};

inline std::string kernel_name(const testing::TestParamInfo<Kernel>& info) {
    return info.param.name();
}

}  // namespace hone::test
