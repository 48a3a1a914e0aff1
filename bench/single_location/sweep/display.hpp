// display.hpp owns the interface of what a person sees on stderr while a sweep runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sweep/sweep.hpp"

namespace single_location {

// "4.1 s", "42 s", "1 min 20 s", "3 h 05 min", "2 d 4 h".
std::string duration(double seconds);

struct Standing {
    std::string title;
    std::size_t done = 0, jobs = 0;
    double share = 0;  // of the whole cost
    std::string job;   // that runs
    double elapsed = 0;
    std::optional<double> left;  // seconds
};

// One line of at most `width` characters, what matters least last.
std::string bar_line(const Standing& standing, std::size_t width);

// On a terminal one line, redrawn in place; elsewhere a line when a job finishes, and when nothing was said
// for long. The time left is judged by the cost of what was done in this run.
class Display {
  public:
    explicit Display(const Sweep& sweep);
    ~Display();
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;

    void finished_earlier(std::size_t job);
    void started(std::size_t job, bool resumed);
    void shared(std::size_t job, double share);
    void finished(std::size_t job);
    void stopped(std::size_t job, bool counts);  // not finished; counts where it will not be tried again

    void say(const std::string& sentence);
    double elapsed() const;

  private:
    using Clock = std::chrono::steady_clock;

    struct Running {
        Clock::time_point start;
        double share;
        std::optional<double> before;  // the share that an earlier run had done; nothing while not known
    };

    void update();
    Standing standing() const;
    std::string count(const Standing& now) const;
    void erase();

    const Sweep& sweep_;
    bool terminal_;
    Clock::time_point start_, shown_;
    bool drawn_ = false;
    std::map<std::size_t, Running> running_;
    std::size_t done_ = 0;
    double total_cost_ = 0, ended_cost_ = 0, cost_of_this_run_ = 0;  // the last without what runs
};

}  // namespace single_location
