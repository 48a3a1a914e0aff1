// watch.hpp: says which case was running where an implementation crashes or hangs.
#pragma once

#include <string>

namespace hone::test {

// From now on a crash is reported before it ends the process.
void watch_for_crashes();

// While it lives, what is said of a crash ends with this line, and a call that takes a minute counts as one
// that hangs: it ends the process with exit status 1.
class Watched {
  public:
    explicit Watched(const std::string& line);
    ~Watched();
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;
};

}  // namespace hone::test
