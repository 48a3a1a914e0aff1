// masked.hpp: what a boolean mask leaves of the keys that rows see.
#pragma once

#include "boolean_mask.hpp"
#include "kernel/activations.hpp"
#include "kernel/tuning.hpp"
#include "kernel/vectors.hpp"
#include "shape.hpp"

namespace hone {
namespace {

// The same row with its bytes of the mask.
inline ScoreRow with_mask(const BooleanMask& mask, ScoreRow row) {
    row.mask = row_of(mask, row.batch, row.head, row.query) + row.first_key * mask.key_stride;
    row.mask_stride = mask.key_stride;
    return row;
}

// Which elements a row sees, as scalars: 0 where one is hidden.
template <class T>
struct MaskRow {
    alignas(64) T shown[kMostScores];

    // Of whole vectors that hold an element of row.seen; null where there is no mask.
    const T* take(const ScoreRow& row) {
        if (!row.mask) return nullptr;
        const Range seen = row.seen;
        if (empty(seen)) return shown;  // wherever that lies
        for (std::int64_t e = vectors_down<T>(seen.begin); e < seen.begin; ++e) shown[e] = 0;
        if (row.mask_stride == 1)
            for (std::int64_t e = seen.begin; e < seen.end; ++e) shown[e] = row.mask[e];
        else
            for (std::int64_t e = seen.begin; e < seen.end; ++e) shown[e] = row.mask[e * row.mask_stride];
        for (std::int64_t e = seen.end; e < vectors_up<T>(seen.end); ++e) shown[e] = 0;
        return shown;
    }
};

// Consecutive keys from the first to the last that some of the rows see, in whole chains of additions; and
// whether the mask hides any of them from any row.
struct Remaining {
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

// What the mask, if there is one, leaves to the rows that `at` lists, of one batch entry. The keys are of a
// block that begins at `origin`.
inline Remaining remaining_keys(const BooleanMask& mask, std::int64_t batch, const QueryHead* at,
                                std::int64_t rows, Range keys, std::int64_t origin) {
    if (!mask.data || empty(keys)) return {keys, false};
    const Range chains = blocks_touched(relative(keys, origin), kChain);
    const auto keys_of = [&](std::int64_t chain) {
        return common({origin + chain * kChain, origin + (chain + 1) * kChain}, keys);
    };
    MaskSummary summary[kMostScores / kChain];
    const unsigned char* last = nullptr;
    for (std::int64_t r = 0; r < rows; ++r) {
        const unsigned char* const row = row_of(mask, batch, at[r].head, at[r].query);
        if (row == last) continue;
        last = row;
        for (std::int64_t chain = chains.begin; chain < chains.end; ++chain) {
            const Range of = keys_of(chain);
            summary[chain].add_row(row + of.begin * mask.key_stride, count(of), mask.key_stride);
        }
    }
    Range seen = chains;
    while (!empty(seen) && !summary[seen.begin].sees_some()) ++seen.begin;
    while (!empty(seen) && !summary[seen.end - 1].sees_some()) --seen.end;
    if (empty(seen)) return {{0, 0}, false};
    Remaining remaining = {{keys_of(seen.begin).begin, keys_of(seen.end - 1).end}, false};
    for (std::int64_t chain = seen.begin; chain < seen.end; ++chain)
        remaining.hides |= summary[chain].hides_some();
    return remaining;
}

// How many bytes are not 0.
inline std::int64_t count_nonzero(const unsigned char* bytes, std::int64_t count) {
    using Bytes = MaskSummary::Bytes;
    constexpr std::int64_t width = MaskSummary::width, most = 255;  // that a byte of a sum holds
    const Bytes zero(std::uint8_t{0}), one(std::uint8_t{1});
    std::int64_t total = 0, i = 0;
    while (i + width <= count) {
        Bytes sum = zero;
        for (const std::int64_t end = smaller(count - width + 1, i + most * width); i < end; i += width)
            sum = sum + xsimd::select(Bytes::load_unaligned(bytes + i) == zero, zero, one);
        unsigned char sums[width];
        sum.store_unaligned(sums);
        for (const unsigned char x : sums) total += x;
    }
    for (; i < count; ++i) total += bytes[i] != 0;
    return total;
}

// How many of the keys of a range a row sees.
inline std::int64_t count_shown(const BooleanMask& mask, std::int64_t batch, const QueryHead& at,
                                Range keys) {
    if (empty(keys)) return 0;
    const unsigned char* const row = row_of(mask, batch, at.head, at.query);
    if (mask.key_stride == 0) return *row != 0 ? count(keys) : 0;
    if (mask.key_stride == 1) return count_nonzero(row + keys.begin, count(keys));
    std::int64_t seen = 0;
    for (std::int64_t key = keys.begin; key < keys.end; ++key) seen += row[key * mask.key_stride] != 0;
    return seen;
}

// How many keys a query of a head sees, for defaults that depend on it; where none does, the mask's bytes are
// not read.
template <class T, class Call>
[[gnu::always_inline]] inline std::int64_t key_count_of(const Call& call, std::int64_t batch,
                                                        const QueryHead& at) {
    const Range keys = keys_seen(call.visibility, at.query);
    const bool reads_mask = call.mask.data && kActivations<T>[call.activation].counts_keys(call.parameter);
    return reads_mask ? count_shown(call.mask, batch, at, keys) : count(keys);
}

}  // namespace
}  // namespace hone
