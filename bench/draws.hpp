// draws.hpp owns what is drawn for a case beside the numbers in its tensors: the lengths of the entries of a
// batch, and boolean masks. hone-bench and the gate share it, so that a name is the same work in both.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace hone::bench {

// In [0, 1): the same numbers with every standard library.
inline double draw(std::mt19937_64& random) {
    return static_cast<double>(random() >> 11) * 0x1p-53;
}

// The key lengths of a padded batch: evenly from 1 to `keys`.
inline std::vector<std::int64_t> padded_lengths(std::int64_t batch, std::int64_t keys) {
    std::mt19937_64 random(1);
    std::vector<std::int64_t> lengths(batch);
    for (std::int64_t& n : lengths)
        n = 1 + static_cast<std::int64_t>(draw(random) * static_cast<double>(keys));
    return lengths;
}

// The offsets [batch + 1] of a ragged batch without gaps, whose sequences have lengths from 16 to `rows`:
// their logarithms are drawn evenly.
inline std::vector<std::int64_t> ragged_offsets(std::int64_t batch, std::int64_t rows) {
    std::mt19937_64 random(1);
    const double least = static_cast<double>(std::min<std::int64_t>(16, rows));
    std::vector<std::int64_t> offsets = {0};
    for (std::int64_t b = 0; b < batch; ++b) {
        const double length = least * std::pow(static_cast<double>(rows) / least, draw(random));
        offsets.push_back(offsets.back() + std::llround(length));
    }
    return offsets;
}

// The document, of so many of equal length, that a row out of `rows` belongs to.
inline std::int64_t document_of(std::int64_t row, std::int64_t rows, std::int64_t documents) {
    return row * documents / rows;
}

// A mask [queries, keys]: 1 where a query sees a key. Documents see themselves alone (0: all is one); of the
// keys that are left, `hidden` percent are hidden, each by itself.
inline std::vector<unsigned char> draw_mask(std::int64_t queries, std::int64_t keys, std::int64_t documents,
                                            std::int64_t hidden) {
    std::mt19937_64 random(1);
    std::vector<unsigned char> mask(queries * keys, 1);
    for (std::int64_t i = 0; i < queries; ++i)
        for (std::int64_t j = 0; j < keys; ++j) {
            unsigned char& shown = mask[i * keys + j];
            if (documents > 0) shown = document_of(i, queries, documents) == document_of(j, keys, documents);
            if (hidden > 0 && 100 * draw(random) < static_cast<double>(hidden)) shown = 0;
        }
    return mask;
}

}  // namespace hone::bench
