// watch.cpp: the handlers of signals, which may only write what has been put together before.
#include "tests/check/watch.hpp"

#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstring>
#include <initializer_list>

namespace hone::test {
namespace {

constexpr unsigned kLongestSeconds = 60;

char running[2000];

void write_text(const char* text) {
    for (std::size_t left = std::strlen(text); left > 0;) {
        const ssize_t written = write(STDERR_FILENO, text, left);
        if (written <= 0) return;
        text += written, left -= static_cast<std::size_t>(written);
    }
}

const char* what_is(int signal) {
    switch (signal) {
        case SIGSEGV:
            return "a segmentation fault";
        case SIGBUS:
            return "a bus error";
        case SIGILL:
            return "an illegal instruction";
        case SIGFPE:
            return "an arithmetic error";
        default:
            return "an abort";
    }
}

// The signal's own action follows, so that a debugger or a core file shows where.
void report_crash(int signal) {
    write_text("\nhone-check: ");
    write_text(what_is(signal));
    write_text(running[0] ? " in " : "\n");
    write_text(running);
}

void report_hang(int) {
    write_text("\nhone-check: no end after a minute of ");
    write_text(running);
    _exit(1);
}

}  // namespace

void watch_for_crashes() {
    struct sigaction action = {};
    action.sa_handler = report_crash;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) sigaction(signal, &action, nullptr);
    action.sa_handler = report_hang;
    sigaction(SIGALRM, &action, nullptr);
}

Watched::Watched(const std::string& line) {
    std::strncpy(running, line.c_str(), sizeof running - 2);
    std::strcat(running, "\n");
    alarm(kLongestSeconds);
}

Watched::~Watched() {
    alarm(0);
    running[0] = '\0';
}

}  // namespace hone::test
