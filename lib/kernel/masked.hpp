// masked.hpp: what a boolean mask leaves of the keys that rows see.
#pragma once

#include "boolean_mask.hpp"
#include "kernel/tuning.hpp"
#include "shape.hpp"

namespace hone {
namespace {

// Room for the bytes of a row of a block of scores: whole vectors may be read at its end.
struct MaskRow {
    alignas(64) unsigned char bytes[kMostScores + 64];
};

// The same row with its bytes of the mask, those of the elements that it sees, in `room`.
inline ScoreRow with_mask(const BooleanMask& mask, ScoreRow row, MaskRow& room) {
    const unsigned char* from =
        row_of(mask, row.batch, row.head, row.query) + row.first_key * mask.key_stride;
    const Range seen = row.seen;
    row.mask = room.bytes;
    if (mask.key_stride == 1)
        __builtin_memcpy(room.bytes + seen.begin, from + seen.begin, static_cast<std::size_t>(count(seen)));
    else
        for (std::int64_t e = seen.begin; e < seen.end; ++e) room.bytes[e] = from[e * mask.key_stride];
    return row;
}

// Consecutive keys from the first to the last that some of the rows see, in whole chains of additions; and
// whether the mask hides any of them from any row.
struct Left {
    Range keys;
    bool hides;
};

// What rows of the mask have in common: a byte of `some` is not 0 where one of theirs is not, a byte of
// `least` is 0 where one of theirs is.
struct MaskSummary {
    using Bytes = xsimd::batch<std::uint8_t, Arch>;
    static constexpr std::int64_t width = static_cast<std::int64_t>(Bytes::size);
    Bytes some = Bytes(std::uint8_t{0}), least = Bytes(std::uint8_t{255});
    unsigned char some_rest = 0, least_rest = 255;

    void add(Bytes x) { some = some | x, least = xsimd::min(least, x); }
    void add(unsigned char x) {
        some_rest = static_cast<unsigned char>(some_rest | x);
        if (x < least_rest) least_rest = x;
    }
    void add_row(const unsigned char* from, std::int64_t keys, std::int64_t stride) {
        if (stride == 0) return add(*from);
        std::int64_t k = 0;
        if (stride == 1 && keys >= width) {
            for (; k + width <= keys; k += width) add(Bytes::load_unaligned(from + k));
            if (k < keys) add(Bytes::load_unaligned(from + keys - width));
            return;
        }
        for (; k < keys; ++k) add(from[k * stride]);
    }
    bool sees_some() const { return some_rest != 0 || any_byte(some != Bytes(std::uint8_t{0})); }
    bool hides_some() const { return least_rest == 0 || any_byte(least == Bytes(std::uint8_t{0})); }
    static bool any_byte(xsimd::batch_bool<std::uint8_t, Arch> x) { return xsimd::any(x); }
};

// Of the rows that `at` lists, of one batch entry; the keys are those of a block that begins at `origin`.
inline Left left_by(const BooleanMask& mask, std::int64_t batch, const QueryHead* at, std::int64_t rows,
                    Range keys, std::int64_t origin) {
    Left left = {{0, 0}, false};
    bool hides_before = false;
    for (std::int64_t begin = round_down(keys.begin - origin, kChain) + origin; begin < keys.end;
         begin += kChain) {
        const Range chain = common({begin, begin + kChain}, keys);
        MaskSummary summary;
        const unsigned char* last = nullptr;
        for (std::int64_t r = 0; r < rows; ++r) {
            const unsigned char* const row = row_of(mask, batch, at[r].head, at[r].query);
            if (row == last) continue;
            summary.add_row(row + chain.begin * mask.key_stride, count(chain), mask.key_stride);
            last = row;
        }
        hides_before |= summary.hides_some();
        if (!summary.sees_some()) continue;
        if (empty(left.keys)) left.keys.begin = chain.begin, hides_before = summary.hides_some();
        left.keys.end = chain.end;
        left.hides = hides_before;
    }
    return left;
}

// How many of the keys of a range a row sees.
inline std::int64_t count_left(const BooleanMask& mask, std::int64_t batch, const QueryHead& at, Range keys) {
    const unsigned char* const row = row_of(mask, batch, at.head, at.query);
    if (mask.key_stride == 0) return *row != 0 ? count(keys) : 0;
    std::int64_t seen = 0;
    if (mask.key_stride == 1)
        for (std::int64_t key = keys.begin; key < keys.end; ++key) seen += row[key] != 0;
    else
        for (std::int64_t key = keys.begin; key < keys.end; ++key) seen += row[key * mask.key_stride] != 0;
    return seen;
}

// How many keys a query of a head sees: defaults that depend on the number of keys use it.
template <class Call>
inline std::int64_t count_seen(const Call& call, std::int64_t batch, const QueryHead& at) {
    const Range keys = keys_seen(call.visibility, at.query);
    return call.mask.data ? count_left(call.mask, batch, at, keys) : count(keys);
}

}  // namespace
}  // namespace hone
