// table.hpp owns the interface of what a person reads: the progress while benchmarks run, then a table.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cases.hpp"

namespace hone::bench {

// The machine's, as the system names it.
std::string cpu_model();

// Shows on stderr which of the cases runs, and what failed.
class Progress : public benchmark::BenchmarkReporter {
  public:
    explicit Progress(std::vector<Case> cases) : cases_(std::move(cases)) {}

    // To be called whenever a case starts, and starts again.
    void begin(const Case& c);

    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override;
    void Finalize() override;

  protected:
    std::vector<Case> cases_;

  private:
    std::size_t begun_ = 0;
    std::string running_;
};

// For the default cases: shows the progress, then prints a table with an activation a row.
class Table : public Progress {
  public:
    using Progress::Progress;

    void ReportRuns(const std::vector<Run>& runs) override;
    void Finalize() override;

  private:
    void print_header(std::ostream& out) const;
    void print_row(std::ostream& out, hone_activation activation) const;
    double peak(int threads) const;

    std::map<std::string, Run> runs_;  // by the case's name
};

}  // namespace hone::bench
