// signals.hpp owns the interface of the user's wish to stop: SIGINT and SIGTERM.
#pragma once

#include <signal.h>

namespace single_location {

// While one exists, the first SIGINT and the first SIGTERM are kept in mind, and the second has its default
// action. One that was ignored, as under nohup, stays so.
class Signals {
  public:
    Signals();
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    static bool stop_asked();  // since the last one was made

  private:
    struct sigaction interrupt_, terminate_;  // as they were before
};

}  // namespace single_location
