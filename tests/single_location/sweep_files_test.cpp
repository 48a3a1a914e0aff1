// sweep_files_test.cpp: what a sweep writes: cells, numbers, results, settings, and its line on a terminal.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "sweep/display.hpp"
#include "sweep/files.hpp"

namespace single_location {
namespace {

using nlohmann::json;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(SweepFiles, cells_are_quoted_where_needed) {
    EXPECT_EQ(csv_line({std::int64_t{-3}, "plain", "a,b", "say \"x\"", "two\nlines", ""}),
              "-3,plain,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\n");
}

TEST(SweepFiles, doubles_are_the_shortest_that_read_back) {
    EXPECT_EQ(csv_line({0.1, 1.0, -0.0, 1e300, kInfinity, -kInfinity, kNaN, -kNaN}),
              "0.1,1,-0,1e+300,inf,-inf,nan,nan\n");
    for (const double value : {1.0 / 3, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, -2.2250738585072011e-308})
        EXPECT_EQ(std::strtod(csv_line({value}).c_str(), nullptr), value);
}

TEST(SweepFiles, results_come_back_as_they_were) {
    const Row row = {
        std::int64_t{-7},  std::numeric_limits<std::int64_t>::max(), 2.0, 1.0 / 3, -0.0, kInfinity,
        "text, \"quoted\""};
    const Result back = decode(encode({{row}, {{"loss", 1.0 / 3}}}), row.size());
    ASSERT_EQ(back.rows.size(), 1u);
    EXPECT_EQ(back.rows[0], row);
    EXPECT_TRUE(std::signbit(std::get<double>(back.rows[0][4])));
    EXPECT_EQ(back.summary, json({{"loss", 1.0 / 3}}));
    EXPECT_TRUE(std::isnan(std::get<double>(decode(encode({{{kNaN}}, {}}), 1).rows[0][0])));
    EXPECT_THROW(decode(encode({{row}, {}}), row.size() + 1), std::runtime_error);
}

TEST(SweepFiles, the_first_setting_that_differs_is_named) {
    const json here = {{"dim", 1000}, {"model", {{"nu", 2.0}}}, {"seeds", {1, 2}}};
    EXPECT_EQ(difference(here, here), "");
    json there = here;
    there["dim"] = 500;
    EXPECT_EQ(difference(there, here), "dim is 500 there and 1000 here");
    there = here;
    there["model"]["nu"] = 3.5;
    EXPECT_EQ(difference(there, here), "model.nu is 3.5 there and 2.0 here");
    there = here;
    there["model"].erase("nu");
    EXPECT_EQ(difference(there, here), "model.nu is not set there and 2.0 here");
    EXPECT_EQ(difference(here, there), "model.nu is 2.0 there and not set here");
    there = here;
    there["seeds"].push_back(3);
    EXPECT_EQ(difference(there, here), "seeds is [1,2,3] there and [1,2] here");
}

TEST(SweepDisplay, durations_and_lines) {
    EXPECT_EQ(duration(4.08), "4.1 s");
    EXPECT_EQ(duration(9.97), "10 s");
    EXPECT_EQ(duration(80), "1 min 20 s");
    EXPECT_EQ(duration(3 * 3600 + 5 * 60 + 7), "3 h 05 min");
    EXPECT_EQ(duration(2 * 86400 + 4 * 3600), "2 d 4 h");
    const Standing now{"risk", 9, 24, 0.4, "softmax/nu 2/seed 1", 80, 120.0};
    EXPECT_EQ(bar_line(now, 100),
              "risk [##########...............]  40%  9/24  1 min 20 s, about 2 min 00 s left  softmax/nu "
              "2/seed 1");
    EXPECT_EQ(bar_line(now, 30).size(), 30u);
}

}  // namespace
}  // namespace single_location
