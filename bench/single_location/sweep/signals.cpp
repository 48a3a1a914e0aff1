// signals.cpp: the handler sets a flag and nothing else.
#include "sweep/signals.hpp"

namespace single_location {
namespace {

volatile sig_atomic_t asked = 0;

void handle(int) {
    asked = 1;
}

void install(int signal, struct sigaction& before) {
    sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) return;
    struct sigaction action {};
    action.sa_handler = handle;
    // Restarted calls, so that no read or write of a job's sees the signal.
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    sigaction(signal, &action, nullptr);
}

}  // namespace

Signals::Signals() {
    asked = 0;
    install(SIGINT, interrupt_);
    install(SIGTERM, terminate_);
}

Signals::~Signals() {
    sigaction(SIGINT, &interrupt_, nullptr);
    sigaction(SIGTERM, &terminate_, nullptr);
}

bool Signals::stop_asked() {
    return asked != 0;
}

}  // namespace single_location
