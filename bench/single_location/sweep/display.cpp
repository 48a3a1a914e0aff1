// display.cpp: the progress line, and the lines where there is no terminal.
#include "sweep/display.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "format.hpp"

namespace single_location {
namespace {

using hone::bench::format;
using namespace std::chrono_literals;

constexpr auto kRedraw = 100ms;
constexpr auto kSilence = 30s;  // the longest where there is no terminal

std::size_t terminal_width() {
    winsize size{};
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return known ? size.ws_col : 80u;
}

std::string time_left(const Standing& now) {
    return now.left ? ", about " + duration(*now.left) + " left" : "";
}

}  // namespace

std::string duration(double seconds) {
    if (seconds < 9.95) return format("%.1f s", seconds);
    const auto whole = static_cast<long>(std::lround(std::min(seconds, 1e9)));
    if (whole < 60) return format("%ld s", whole);
    if (whole < 3600) return format("%ld min %02ld s", whole / 60, whole % 60);
    if (whole < 86400) return format("%ld h %02ld min", whole / 3600, whole / 60 % 60);
    return format("%ld d %ld h", whole / 86400, whole / 3600 % 24);
}

std::string bar_line(const Standing& now, std::size_t width) {
    const std::size_t cells = std::clamp<std::size_t>(width / 4, 5, 30);
    const double share = std::clamp(now.share, 0.0, 1.0);
    const auto full = static_cast<std::size_t>(share * static_cast<double>(cells));
    std::string line = now.title + " [" + std::string(full, '#') + std::string(cells - full, '.') + "]";
    line += format(" %3.0f%%  %zu/%zu  ", std::floor(100 * share), now.done, now.jobs);
    line += duration(now.elapsed) + time_left(now) + "  " + now.job;
    return line.substr(0, width);
}

Display::Display(const Sweep& sweep)
    : sweep_(sweep), terminal_(isatty(STDERR_FILENO)), start_(Clock::now()), shown_(start_ - kRedraw) {
    if (!terminal_) shown_ = start_;
    for (const Job& job : sweep.jobs) total_cost_ += job.cost;
}

Display::~Display() {
    erase();
}

double Display::elapsed() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Display::finished_earlier(std::size_t job) {
    ++done_;
    ended_cost_ += sweep_.jobs[job].cost;
}

void Display::started(std::size_t job, bool resumed) {
    running_[job] = {Clock::now(), 0, resumed ? std::nullopt : std::optional(0.0)};
    update();
}

void Display::shared(std::size_t job, double share) {
    Running& running = running_[job];
    if (!running.before) running.before = share;
    running.share = share;
    update();
}

void Display::finished(std::size_t job) {
    const double seconds = std::chrono::duration<double>(Clock::now() - running_[job].start).count();
    ++done_;
    stopped(job, true);
    if (terminal_) return;
    const Standing now = standing();
    std::fprintf(stderr, "%s %s: %s%s\n", count(now).c_str(), sweep_.jobs[job].name.c_str(),
                 duration(seconds).c_str(), time_left(now).c_str());
    shown_ = Clock::now();
}

void Display::stopped(std::size_t job, bool counts) {
    const double cost = sweep_.jobs[job].cost;
    if (counts) {
        ended_cost_ += cost;
        cost_of_this_run_ += cost * (1 - running_[job].before.value_or(0));
    }
    running_.erase(job);
    if (terminal_) update();
}

void Display::say(const std::string& sentence) {
    erase();
    std::fprintf(stderr, "%s\n", sentence.c_str());
    if (!terminal_) shown_ = Clock::now();
}

void Display::update() {
    if (Clock::now() - shown_ < (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kSilence))) return;
    shown_ = Clock::now();
    const Standing now = standing();
    if (terminal_) {
        // One column less than there are: some terminals wrap at the last.
        std::fprintf(stderr, "\r%s\033[K", bar_line(now, terminal_width() - 1).c_str());
        std::fflush(stderr);
        drawn_ = true;
    } else if (!running_.empty()) {
        std::fprintf(stderr, "%s %s: %.0f%% done%s\n", count(now).c_str(), now.job.c_str(),
                     100 * running_.begin()->second.share, time_left(now).c_str());
    }
}

Standing Display::standing() const {
    double so_far = ended_cost_, of_this_run = cost_of_this_run_;
    for (const auto& [job, running] : running_) {
        so_far += running.share * sweep_.jobs[job].cost;
        of_this_run += (running.share - running.before.value_or(running.share)) * sweep_.jobs[job].cost;
    }
    Standing now{sweep_.name, done_, sweep_.jobs.size(), so_far / std::max(total_cost_, 1e-300), "",
                 elapsed(),   {}};
    const double remaining = total_cost_ - so_far;
    // Less than this says nothing yet.
    if (remaining > 1e-9 * total_cost_ && of_this_run > 1e-4 * total_cost_)
        now.left = now.elapsed * remaining / of_this_run;
    if (!running_.empty()) {
        now.job = sweep_.jobs[running_.begin()->first].name;
        if (running_.size() > 1) now.job += format(" and %zu more", running_.size() - 1);
    }
    return now;
}

// "[ 3/24]"
std::string Display::count(const Standing& now) const {
    const int digits = static_cast<int>(std::to_string(now.jobs).size());
    return format("[%*zu/%zu]", digits, now.done, now.jobs);
}

void Display::erase() {
    if (!drawn_) return;
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
    drawn_ = false;
}

}  // namespace single_location
