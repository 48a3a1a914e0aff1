// bool_mask.hpp: the boolean masks of the tests: what they show, over which axes they are broadcast, and how
// they lie in memory.
#pragma once

#include <hone/hone.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "tests/random.hpp"

namespace hone::test {

// What a mask shows.
enum class Shows {
    no_mask,
    everything,
    nothing,
    most_keys,   // nine of ten, at random
    some_keys,   // half of them
    few_keys,    // one of ten
    one_key,     // for each row
    documents,   // the keys of the same block as the query, blocks being of any length
    some_rows,   // half of the rows see everything, the others nothing
    some_heads,  // half of the heads
    a_range,     // the keys of some range, of each batch entry
};

inline const char* name_of(Shows shows) {
    static constexpr const char* names[] = {"no_mask",   "everything", "nothing", "most_keys",
                                            "some_keys", "few_keys",   "one_key", "documents",
                                            "some_rows", "some_heads", "a_range"};
    return names[static_cast<int>(shows)];
}

struct BoolMask {
    Shows shows = Shows::no_mask;
    // Axes over which it is broadcast: by an extent of 1, or by a stride of 0.
    bool one_batch = false, one_head = false, one_query = false, one_key = false;
    bool by_stride = false;
    // In memory: which of the 24 orders of the axes, 0 being row-major; the axes whose stride is negative, a
    // bit each; the bytes after those of the innermost axis.
    int order = 0;
    unsigned negative = 0;
    std::int64_t padding = 0;
};

// A mask as a call takes it, and what keeps its memory alive.
struct MaskInMemory {
    hone_const_scores view = {};
    std::shared_ptr<const void> memory;
};

class MaskMaker {
  public:
    using Indices = std::array<std::int64_t, 4>;  // batch, head, query, key

    // `full` are the extents of the problem.
    MaskMaker(const BoolMask& mask, const Indices& full, const std::string& seed)
        : mask_(mask),
          full_(full),
          extents_(full),
          random_(seed + "_mask"),
          noise_(random_.integer(0, 1 << 30)) {
        const bool one[] = {mask.one_batch, mask.one_head, mask.one_query, mask.one_key};
        for (int axis = 0; axis < 4; ++axis)
            if (one[axis]) extents_[axis] = std::min<std::int64_t>(full[axis], 1);
        const std::int64_t longest = std::max(full[2], full[3]);
        const std::int64_t length = random_.integer(1, std::max<std::int64_t>(longest / 2, 1));
        for (std::int64_t n = 0, document = 0; n < longest; ++n)
            documents_.push_back(document += random_.integer(1, length) == 1);
    }

    MaskInMemory make() {
        if (mask_.shows == Shows::no_mask) return {};
        lay_out();
        // What lies between the elements is anything.
        const auto memory = std::make_shared<std::vector<unsigned char>>(bytes_);
        for (unsigned char& byte : *memory) byte = static_cast<unsigned char>(random_.integer(0, 255));
        Indices at;
        for (at[0] = 0; at[0] < extents_[0]; ++at[0])
            for (at[1] = 0; at[1] < extents_[1]; ++at[1])
                for (at[2] = 0; at[2] < extents_[2]; ++at[2])
                    for (at[3] = 0; at[3] < extents_[3]; ++at[3])
                        (*memory)[first_ + std::inner_product(at.begin(), at.end(), strides_.begin(),
                                                              std::int64_t{0})] = byte_at(at);
        return {view(memory->data() + first_), memory};
    }

  private:
    void lay_out() {
        std::array<int, 4> order = {0, 1, 2, 3};
        for (int n = 0; n < mask_.order; ++n) std::next_permutation(order.begin(), order.end());
        std::int64_t stride = 1;
        for (int n = 3; n >= 0; --n) {
            const int axis = order[n];
            const bool negative = mask_.negative >> axis & 1;
            strides_[axis] = negative ? -stride : stride;
            if (negative) first_ += std::max<std::int64_t>(extents_[axis] - 1, 0) * stride;
            stride *= extents_[axis];
            if (n == 3) stride += mask_.padding;
        }
        bytes_ = std::max<std::int64_t>(stride, 1);
    }

    hone_const_scores view(const unsigned char* data) {
        hone_const_scores m = {};
        m.data = data;
        m.dtype = random_.integer(0, 1) == 0 ? HONE_BOOL : HONE_DTYPE_DEFAULT;
        std::int64_t* const extents[] = {&m.batch, &m.heads, &m.queries, &m.keys};
        std::int64_t* const strides[] = {&m.batch_stride, &m.head_stride, &m.query_stride, &m.key_stride};
        for (int axis = 0; axis < 4; ++axis) {
            const bool broadcast = extents_[axis] < full_[axis];
            *extents[axis] = broadcast && !mask_.by_stride ? 1 : random_.integer(0, 1) * full_[axis];
            *strides[axis] = !broadcast        ? strides_[axis]
                             : mask_.by_stride ? 0
                                               : random_.integer(-1000, 1000);  // does not count
        }
        return m;
    }

    // What is not 0 is visible.
    unsigned char byte_at(const Indices& at) {
        static constexpr unsigned char visible[] = {1, 2, 128, 255};
        return shows(at) ? visible[random_.integer(0, 3)] : 0;
    }

    bool shows(const Indices& at) {
        const auto [b, h, i, j] = at;
        switch (mask_.shows) {
            case Shows::no_mask:
            case Shows::everything:
                return true;
            case Shows::nothing:
                return false;
            case Shows::most_keys:
                return random_.integer(0, 9) > 0;
            case Shows::some_keys:
                return random_.integer(0, 1) > 0;
            case Shows::few_keys:
                return random_.integer(0, 9) == 0;
            case Shows::one_key:
                return j == number(b, h, i) % full_[3];
            case Shows::documents:
                return documents_[i] == documents_[j];
            case Shows::some_rows:
                return number(b, h, i) % 2 == 0;
            case Shows::some_heads:
                return number(b, h, -1) % 2 == 0;
            case Shows::a_range: {
                const std::int64_t x = number(b, -1, 0) % (full_[3] + 1),
                                   y = number(b, -1, 1) % (full_[3] + 1);
                return std::min(x, y) <= j && j < std::max(x, y);
            }
        }
        return true;
    }

    // A random number, the same for the same indices.
    std::int64_t number(std::int64_t b, std::int64_t h, std::int64_t i) const {
        std::uint64_t x = static_cast<std::uint64_t>(noise_);
        for (const std::int64_t n : {b, h, i}) {
            x = (x ^ static_cast<std::uint64_t>(n + 1)) * 0x9e3779b97f4a7c15;
            x ^= x >> 29;
        }
        return static_cast<std::int64_t>(x >> 8);
    }

    const BoolMask& mask_;
    const Indices full_;
    Indices extents_, strides_ = {};
    Random random_;
    const std::int64_t noise_;
    std::vector<std::int64_t> documents_;  // of query or key n
    std::int64_t first_ = 0, bytes_ = 0;
};

}  // namespace hone::test
