// child.hpp: runs a test of this program in a process of its own, for what a process does once (read the
// environment) or measures of itself (its peak of memory).
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace hone::test {

// Set in the child.
inline constexpr const char* kChildVariable = "HONE_TEST_CHILD";

inline bool is_child() {
    return std::getenv(kChildVariable) != nullptr;
}

// Runs the current test again in a child with these environment variables; whether it passed there. OpenMP
// does not outlive a fork, hence the exec.
inline bool passes_in_child(const std::vector<std::pair<std::string, std::string>>& environment) {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    const std::string filter = std::string("--gtest_filter=") + test.test_suite_name() + "." + test.name();
    const pid_t child = fork();
    if (child == 0) {
        setenv(kChildVariable, "1", 1);
        // The report of the whole program is the parent's to write.
        unsetenv("GTEST_OUTPUT");
        unsetenv("GTEST_TOTAL_SHARDS");
        for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
        execl("/proc/self/exe", "child", filter.c_str(), "--gtest_brief=1", static_cast<char*>(nullptr));
        _exit(127);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace hone::test
