// table.hpp owns the interface of what a person reads: the progress while cases are timed, then a table.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "turns.hpp"

namespace hone::bench {

// Shows on stderr what goes on, and keeps what was measured.
class Progress : public Observer {
  public:
    explicit Progress(std::size_t cases) : cases_(cases) {}

    void prepares(const Subject& subject) override;
    void times(std::size_t cases, std::size_t slices) override;
    void finished(const Result& result) override;

    // Takes the last line of the progress away.
    void finish();

    const std::vector<Result>& results() const { return results_; }

  private:
    void show(const std::string& line);

    std::size_t cases_, prepared_ = 0;
    std::vector<Result> results_;
};

// A row for each result, under the words that the names of all have in common.
void print_table(std::ostream& out, const std::vector<Result>& results);

}  // namespace hone::bench
