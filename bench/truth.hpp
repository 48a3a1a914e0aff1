// truth.hpp owns what a kernel is compared with: the naive reference's time and the true outputs.
#pragma once

#include <type_traits>
#include <vector>

#include "tensors.hpp"

namespace hone::bench {

// The type of the truth about T.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

// Outputs by the reference in the wider type, on the very inputs that the kernel gets: for backward that
// includes its o and lse. Of a large problem it knows evenly spread parts: blocks of queries in forward,
// whole kv heads in backward, or where one of those is too large, blocks of queries of its dq. Of a ragged
// batch it knows the same of single entries.
template <class T>
struct Truth {
    struct Known {
        Part part;
        Entry entry;
        Outputs<Wide<T>> outputs;
    };
    std::vector<Known> parts;
};

template <class T>
Truth<T> make_truth(const Inputs<T>& inputs, Direction direction);

// For each output tensor, max |output - truth| / max |truth| over what is known; of these, the maximum. NaN
// where an output is NaN.
template <class T>
double max_error(const Outputs<T>& outputs, const Truth<T>& truth);

// Seconds that the reference, in T and on one thread, takes for the whole problem: the better of two runs
// over a block of queries in the middle (in backward of the first kv head, and of a ragged batch in its
// longest entry), scaled by its share of the operations.
template <class T>
double reference_seconds(const Inputs<T>& inputs, Direction direction);

}  // namespace hone::bench
