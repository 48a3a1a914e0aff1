// work.cpp: which (query, key) pairs see each other, and what they cost.
#include "work.hpp"

#include <algorithm>
#include <hone/hone.hpp>

#include "draws.hpp"

namespace hone::bench {
namespace {

// The keys [begin, end).
struct Range {
    std::int64_t begin, end;

    std::int64_t size() const { return std::max<std::int64_t>(end - begin, 0); }
};

// Those that causality and the window leave query i.
Range in_sight(const Options& o, const Entry& entry, std::int64_t i) {
    const std::int64_t diagonal = i + entry.keys - entry.queries;
    Range keys = {0, entry.keys};
    if (o.causal) keys.end = std::min(keys.end, diagonal + 1);
    if (o.window > 0) {
        keys.begin = std::max(keys.begin, diagonal - o.window_left());
        keys.end = std::min(keys.end, diagonal + o.window_right() + 1);
    }
    return keys;
}

// Those of its document, too.
Range seen(const Options& o, const Entry& entry, std::int64_t i) {
    Range keys = in_sight(o, entry, i);
    if (o.documents > 0) {
        const std::int64_t document = document_of(i, entry.queries, o.documents);
        const auto first = [&](std::int64_t n) { return (n * entry.keys + o.documents - 1) / o.documents; };
        keys.begin = std::max(keys.begin, first(document));
        keys.end = std::min(keys.end, first(document + 1));
    }
    return keys;
}

// Of the queries [first, last), those that the entry has.
template <class Keys>
std::int64_t pairs(const Options& o, const Entry& entry, std::int64_t first, std::int64_t last, Keys keys) {
    std::int64_t sum = 0;
    for (std::int64_t i = first; i < std::min(last, entry.queries); ++i) sum += keys(o, entry, i).size();
    return sum;
}

// The keys of an entry that some query may see: ranges move on by one key from query to query.
std::int64_t keys_read(const Options& o, const Entry& entry) {
    return Range{in_sight(o, entry, 0).begin, in_sight(o, entry, entry.queries - 1).end}.size();
}

}  // namespace

std::vector<Entry> entries(const Shape& s) {
    std::vector<Entry> all(s.batch, {s.queries, s.keys});
    if (s.options.lengths) {
        const std::vector<std::int64_t> lengths = padded_lengths(s.batch, s.keys);
        for (std::int64_t b = 0; b < s.batch; ++b) all[b].keys = lengths[b];
    }
    if (s.options.ragged) {
        const std::vector<std::int64_t> offsets = ragged_offsets(s.batch, s.queries);
        for (std::int64_t b = 0; b < s.batch; ++b) {
            const std::int64_t rows = offsets[b + 1] - offsets[b];
            all[b] = {rows, rows, offsets[b]};
        }
    }
    return all;
}

Entry entry_of(const Shape& s, const Part& part) {
    return part.entry == Part::whole_batch ? Entry{s.queries, s.keys} : entries(s)[part.entry];
}

double flops(const Shape& s, Direction direction) {
    return flops(s, direction, {0, s.kv_heads, 0, s.queries});
}

double flops(const Shape& s, Direction direction, const Part& part) {
    // Features over all products: q k^T and p v; q k^T again, dout v^T, then ds k, ds^T q and p^T dout.
    const std::int64_t backward_dims =
        s.options.single_location ? 2 * s.key_dim + s.value_dim : 3 * s.key_dim + 2 * s.value_dim;
    const std::int64_t dims = direction == Direction::forward ? s.key_dim + s.value_dim : backward_dims;
    const std::vector<Entry> all = entries(s);
    double sum = 0;
    for (std::int64_t b = 0; b < s.batch; ++b)
        if (part.entry == Part::whole_batch || part.entry == b)
            sum += pairs(s.options, all[b], part.query, part.query + part.queries, seen);
    const std::int64_t heads = part.kv_heads * (s.query_heads / s.kv_heads);
    return 2.0 * heads * dims * sum;
}

double bytes(const Case& c) {
    const Shape& s = c.shape;
    const bool single_location = s.options.single_location;
    const hone_activation_info activation = describe(c.activation);
    double queries = 0, keys = 0, all_keys = 0;
    for (const Entry& entry : entries(s)) {
        queries += entry.queries;
        keys += keys_read(s.options, entry);
        all_keys += s.options.ragged ? entry.keys : s.keys;
    }
    const double q = queries / (single_location ? s.batch : 1) * s.query_heads * s.key_dim;
    const double o = queries * s.query_heads * s.value_dim;
    const double kv_features = s.kv_heads * (s.key_dim + (single_location ? 0 : s.value_dim));
    double elements = q + keys * kv_features + o;
    if (c.direction == Direction::backward) {
        elements += q;                                             // dq, beside dout for o
        if (!single_location) elements += all_keys * kv_features;  // dk, dv
        if (activation.normalised)
            elements += o + queries * (activation.joint ? 1 : s.query_heads);  // o, lse
    }
    const Entry largest = {s.queries, s.keys};
    const double mask = s.options.has_mask() ? pairs(s.options, largest, 0, s.queries, in_sight) : 0;
    return elements * (c.dtype == HONE_FLOAT32 ? 4 : 8) + mask;
}

}  // namespace hone::bench
