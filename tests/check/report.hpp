// report.hpp: what is counted of each family, and how it is printed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/check/check.hpp"

namespace hone::test {

struct Count {
    std::int64_t run = 0, unsupported = 0, failed = 0;
    double worst = 0;

    void add(const Outcome& outcome);
    void add(const Count& other);
};

class Report {
  public:
    // `command`: what runs a case, but for its name.
    explicit Report(std::string command) : command_(std::move(command)) {}

    void add(const Case& one, const Outcome& outcome);

    // The table, then the first case of each family that failed.
    void print() const;

    // Whether something ran and nothing failed.
    bool passed() const;

  private:
    struct Row {
        std::string family;
        std::array<Count, 2> counts = {};  // of forward and backward
        std::string first_failure = {};
    };
    Count total(int direction) const;

    std::string command_;
    std::vector<Row> rows_;
};

}  // namespace hone::test
