// kernels_test.cpp: every implementation x activation x direction x type x shape against the reference.
#include <gtest/gtest.h>

#include <hone/hone.hpp>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "tests/expect.hpp"
#include "tests/shapes.hpp"

namespace hone::test {
namespace {

struct Parameter {
    std::string isa;
    hone_activation activation;
    hone_dtype dtype;
    Spec spec;

    std::string name() const {
        return isa + "_" + describe(activation).name + (dtype == HONE_FLOAT32 ? "_f32_" : "_f64_") +
               spec.name;
    }
};

void PrintTo(const Parameter& parameter, std::ostream* out) {
    *out << parameter.name();
}

// Implementations vary fastest, so that they share the truth about a call.
std::vector<Parameter> parameters() {
    std::vector<Parameter> list;
    for (int a = 0; a < hone_activation_count(); ++a)
        for (const hone_dtype dtype : {HONE_FLOAT32, HONE_FLOAT64})
            for (const Spec& spec : all_specs())
                for (const std::string& isa : available_isas())
                    if (const auto activation = static_cast<hone_activation>(a);
                        applies(spec, describe(activation)))
                        list.push_back({isa, activation, dtype, spec});
    return list;
}

// The truth about the call last asked for.
template <class T>
Truth<T>& truth_of(const Parameter& parameter, Direction direction) {
    static std::string known;
    static std::unique_ptr<Truth<T>> truth;
    const std::string key = describe(parameter.activation).name + ("/" + parameter.spec.name) +
                            (direction == Direction::forward ? "/forward" : "/backward");
    if (!truth || known != key)
        truth = std::make_unique<Truth<T>>(make_call<T>(parameter.spec, parameter.activation, direction));
    known = key;
    return *truth;
}

template <class T>
void expect_agreement(const Parameter& parameter, Direction direction) {
    Truth<T>& truth = truth_of<T>(parameter, direction);
    Call<T> call = truth.input;
    call.problem.isa = parameter.isa.c_str();
    ASSERT_EQ(run(call), HONE_OK) << hone_last_error();
    expect_accurate(call, truth);
    expect_only_outputs_written(call, truth.input);
}

class Kernels : public testing::TestWithParam<Parameter> {
  protected:
    void expect_agreement(Direction direction) {
        if (GetParam().dtype == HONE_FLOAT32)
            test::expect_agreement<float>(GetParam(), direction);
        else
            test::expect_agreement<double>(GetParam(), direction);
    }
};

TEST_P(Kernels, forward) {
    expect_agreement(Direction::forward);
}
TEST_P(Kernels, backward) {
    expect_agreement(Direction::backward);
}

INSTANTIATE_TEST_SUITE_P(Every, Kernels, testing::ValuesIn(parameters()),
                         [](const auto& info) { return info.param.name(); });

}  // namespace
}  // namespace hone::test
