// report.cpp: the table of families, and the failures below it.
#include "tests/check/report.hpp"

#include <algorithm>
#include <cstdio>

namespace hone::test {
namespace {

void print_row(const std::string& name, const std::array<Count, 2>& counts) {
    std::printf("%-11s", name.c_str());
    for (const Count& count : counts) {
        std::printf(" %8lld %13lld %7lld", static_cast<long long>(count.run),
                    static_cast<long long>(count.unsupported), static_cast<long long>(count.failed));
        if (count.run > 0)
            std::printf(" %8.2g", count.worst);
        else
            std::printf(" %8s", "-");
    }
    std::printf("\n");
}

}  // namespace

void Count::add(const Outcome& outcome) {
    run += outcome.verdict != Verdict::unsupported;
    unsupported += outcome.verdict == Verdict::unsupported;
    failed += outcome.verdict == Verdict::failed;
    worst = std::max(worst, outcome.worst);
}

void Count::add(const Count& other) {
    run += other.run, unsupported += other.unsupported, failed += other.failed;
    worst = std::max(worst, other.worst);
}

void Report::add(const Case& one, const Outcome& outcome) {
    if (rows_.empty() || rows_.back().family != one.family) rows_.push_back({one.family});
    Row& row = rows_.back();
    row.counts[one.direction == Direction::backward].add(outcome);
    if (outcome.verdict == Verdict::failed && row.first_failure.empty())
        row.first_failure = one.name() + "\n    " + line_of(one.problem) + "\n    " + outcome.why + "\n    " +
                            command_ + one.name() + "\n";
}

Count Report::total(int direction) const {
    Count all;
    for (const Row& row : rows_) all.add(row.counts[direction]);
    return all;
}

void Report::print() const {
    std::printf("%-11s %39s  %38s\n", "", "forward", "backward");
    std::printf("%-11s", "family");
    for (int direction = 0; direction < 2; ++direction)
        std::printf(" %8s %13s %7s %8s", "run", "not supported", "failed", "worst");
    std::printf("\n");
    for (const Row& row : rows_) print_row(row.family, row.counts);
    print_row("all", {total(0), total(1)});
    std::printf("\nworst: the largest error, as a share of what is allowed\n");
    for (const Row& row : rows_)
        if (!row.first_failure.empty())
            std::printf("\n%s: %lld failed, the first is %s", row.family.c_str(),
                        static_cast<long long>(row.counts[0].failed + row.counts[1].failed),
                        row.first_failure.c_str());
    if (total(0).run + total(1).run == 0) std::printf("\nnothing ran\n");
}

bool Report::passed() const {
    return total(0).run + total(1).run > 0 && total(0).failed + total(1).failed == 0;
}

}  // namespace hone::test
