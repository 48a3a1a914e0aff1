// cpp20.cpp: hone.hpp by itself, twice, in strict C++20; and the library answers.
#include <hone/hone.hpp>
//
#include <hone/hone.hpp>

int main() {
    const bool knows = hone::activation("softmax_1") == HONE_SOFTMAX_1;
    try {
        hone::activation("no such activation");
    } catch (const hone::Error& error) {
        return knows && error.status() == HONE_INVALID_ARGUMENT ? 0 : 1;
    }
    return 1;
}
