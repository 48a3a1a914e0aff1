// validate_problem.cpp: the checks of what is computed, and their sentences.
#include "validate_problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "dispatch.hpp"
#include "entries.hpp"
#include "error.hpp"

namespace hone {
namespace {

// More than any memory holds; small multiples of it still fit into 64 bits.
constexpr std::int64_t kMostElements = std::int64_t{1} << 48;

hone_status check_extent(const char* name, std::int64_t value, std::int64_t least) {
    if (value >= least && value <= kMostElements) return HONE_OK;
    return fail(HONE_INVALID_ARGUMENT, "%s: is %lld; should be %lld to 2^48", name,
                static_cast<long long>(value), static_cast<long long>(least));
}

bool too_large(std::initializer_list<std::int64_t> extents, std::int64_t most = kMostElements) {
    __int128 product = 1;
    for (const std::int64_t extent : extents) {
        product *= std::max<std::int64_t>(extent, 1);
        if (product > most) return true;
    }
    return false;
}

hone_status check_sizes(const hone_problem& p) {
    struct Extent {
        const char* name;
        std::int64_t value, least;
    };
    for (const Extent& e :
         {Extent{"batch", p.batch, 0}, Extent{"query_heads", p.query_heads, 0},
          Extent{"kv_heads", p.kv_heads, 0}, Extent{"queries", p.queries, 0}, Extent{"keys", p.keys, 0},
          Extent{"key_dim", p.key_dim, 1}, Extent{"value_dim", p.value_dim, 1},
          Extent{"total_queries", p.total_queries, 0}, Extent{"total_keys", p.total_keys, 0}})
        if (const hone_status status = check_extent(e.name, e.value, e.least); status != HONE_OK)
            return status;
    if (p.kv_heads == 0 && p.query_heads > 0)
        return fail(HONE_INVALID_ARGUMENT, "kv_heads: is 0; should be 1 or more, as query_heads is %lld",
                    static_cast<long long>(p.query_heads));
    if (p.kv_heads > 0 && p.query_heads % p.kv_heads != 0)
        return fail(HONE_INVALID_ARGUMENT, "query_heads: is %lld; should be a multiple of kv_heads, %lld",
                    static_cast<long long>(p.query_heads), static_cast<long long>(p.kv_heads));
    const std::int64_t dim = std::max(p.key_dim, p.value_dim);
    if (too_large({query_batches(p), p.query_heads, query_rows(p), dim}))
        return fail(HONE_INVALID_ARGUMENT, "%s should be at most 2^48",
                    ragged_queries(p) ? "total_queries: total_queries * query_heads * dim"
                                      : "queries: batch * query_heads * queries * dim");
    if (too_large({key_batches(p), p.kv_heads, key_rows(p), dim}))
        return fail(HONE_INVALID_ARGUMENT, "%s should be at most 2^48",
                    ragged_keys(p) ? "total_keys: total_keys * kv_heads * dim"
                                   : "keys: batch * kv_heads * keys * dim");
    if (too_large({query_batches(p), p.query_heads, query_rows(p), p.keys}, std::int64_t{1} << 60))
        return fail(HONE_INVALID_ARGUMENT, "keys: %s * query_heads * keys should be at most 2^60",
                    ragged_queries(p) ? "total_queries" : "batch * queries");
    return HONE_OK;
}

// Whether the kernels can use the value in their own type.
bool finite_in(std::int32_t dtype, double value) {
    return std::isfinite(dtype == HONE_FLOAT32 ? static_cast<float>(value) : value);
}

constexpr std::uint32_t kKnownFlags = HONE_CAUSAL | HONE_WINDOW | kQueriesDiffer | kKeysDiffer;

hone_status check_options(const hone_problem& p, const hone_activation_info& info) {
    if (p.dtype != HONE_FLOAT32 && p.dtype != HONE_FLOAT64)
        return fail(HONE_INVALID_ARGUMENT, "dtype: is %d; should be HONE_FLOAT32 or HONE_FLOAT64", p.dtype);
    if (p.flags & ~kKnownFlags)
        return fail(HONE_UNSUPPORTED, "flags: is %#x; this version knows those of hone_flags, %#x", p.flags,
                    kKnownFlags);
    if (p.alignment < HONE_TOP_LEFT || p.alignment > HONE_BOTTOM_RIGHT)
        return fail(HONE_INVALID_ARGUMENT, "alignment: is %d; should be HONE_TOP_LEFT or HONE_BOTTOM_RIGHT",
                    p.alignment);
    if (p.reserved != 0)
        return fail(HONE_UNSUPPORTED, "problem.reserved: is %d; should be 0 in this version", p.reserved);
    if (p.threads < 0)
        return fail(HONE_INVALID_ARGUMENT, "threads: is %d; should be 0 (OpenMP's default) or more",
                    p.threads);
    if (!finite_in(p.dtype, p.scale))
        return fail(HONE_INVALID_ARGUMENT, "scale: is %g; should be finite, 0 for 1/sqrt(key_dim)", p.scale);
    if (info.takes_softmax_n && !(p.softmax_n > 0 && std::isfinite(p.softmax_n)))
        return fail(HONE_INVALID_ARGUMENT, "softmax_n: is %g; should be finite and above 0, or 0 for 1",
                    p.softmax_n);
    if (!finite_in(p.dtype, 2 * p.weight))  // a slope has a factor of less than 2
        return fail(HONE_INVALID_ARGUMENT, "weight: is %g; should be finite, 0 for the default", p.weight);
    if (!info.takes_weight && p.weight != 0)
        return fail(HONE_INVALID_ARGUMENT, "weight: is %g; should be 0, as %s takes none", p.weight,
                    info.name);
    if (!info.joint && p.group_heads != 0)
        return fail(HONE_INVALID_ARGUMENT,
                    "group_heads: is %lld; should be 0, as %s normalises each head by itself",
                    static_cast<long long>(p.group_heads), info.name);
    if (p.group_heads < 0 || (p.group_heads > 0 && p.query_heads % p.group_heads != 0))
        return fail(HONE_INVALID_ARGUMENT,
                    "group_heads: is %lld; should be a divisor of query_heads, %lld, or 0 for all",
                    static_cast<long long>(p.group_heads), static_cast<long long>(p.query_heads));
    return HONE_OK;
}

hone_status check_window(const hone_problem& p) {
    struct Side {
        const char* name;
        std::int64_t value;
    };
    for (const Side& side : {Side{"window_left", p.window_left}, Side{"window_right", p.window_right}}) {
        if (!(p.flags & HONE_WINDOW) && side.value != 0)
            return fail(HONE_INVALID_ARGUMENT, "%s: is %lld; should be 0, or flags should have HONE_WINDOW",
                        side.name, static_cast<long long>(side.value));
        if (side.value < -1)
            return fail(HONE_INVALID_ARGUMENT, "%s: is %lld; should be 0 or more, or -1 for no bound",
                        side.name, static_cast<long long>(side.value));
    }
    return HONE_OK;
}

hone_status check_integers(const hone_problem& p) {
    for (const Integers& i : integers_of(p)) {
        if (i.of.data && !i.announced)
            return fail(HONE_INVALID_ARGUMENT, "%s: is given; should be NULL, or flags should have %s",
                        i.name, i.flag_name);
        if (i.of.dtype != HONE_DTYPE_DEFAULT && i.of.dtype != HONE_INT32 && i.of.dtype != HONE_INT64)
            return fail(HONE_INVALID_ARGUMENT, "%s.dtype: is %d; should be HONE_INT32, HONE_INT64 or 0",
                        i.name, i.of.dtype);
        if (i.of.reserved != 0)
            return fail(HONE_UNSUPPORTED, "%s.reserved: is %d; should be 0 in this version", i.name,
                        i.of.reserved);
    }
    struct Total {
        const char* name;
        std::int64_t value;
        bool counts;
        const char* flag_name;
    };
    for (const Total& t : {Total{"total_queries", p.total_queries, ragged_queries(p), "HONE_RAGGED_QUERIES"},
                           Total{"total_keys", p.total_keys, ragged_keys(p), "HONE_RAGGED_KEYS"}})
        if (t.value != 0 && !t.counts)
            return fail(HONE_INVALID_ARGUMENT, "%s: is %lld; should be 0, or flags should have %s", t.name,
                        static_cast<long long>(t.value), t.flag_name);
    return HONE_OK;
}

// Queries or keys.
struct Rows {
    const char *extent_name, *lengths_name, *offsets_name;
    std::int64_t extent, total;                    // the most of an entry, and of all where they are ragged
    const hone_const_integers *lengths, *offsets;  // null where there are none
};

hone_status check_entry(const Rows& rows, std::int64_t b, std::int64_t first, std::int64_t end) {
    const auto entry = static_cast<long long>(b);
    if (end < first || end > rows.total)
        return fail(HONE_INVALID_ARGUMENT, "%s[%lld]: is %lld; should be %lld, the offset before it, to %lld",
                    rows.offsets_name, entry + 1, static_cast<long long>(end), static_cast<long long>(first),
                    static_cast<long long>(rows.total));
    if (end - first > rows.extent)
        return fail(HONE_INVALID_ARGUMENT,
                    "%s: is %lld; should be those of the longest entry, as entry %lld has %lld",
                    rows.extent_name, static_cast<long long>(rows.extent), entry,
                    static_cast<long long>(end - first));
    return HONE_OK;
}

hone_status check_length(const Rows& rows, std::int64_t b, std::int64_t most) {
    const std::int64_t length = integer_at(*rows.lengths, b);
    if (length >= 0 && length <= most) return HONE_OK;
    return fail(HONE_INVALID_ARGUMENT, "%s[%lld]: is %lld; should be 0 to %lld", rows.lengths_name,
                static_cast<long long>(b), static_cast<long long>(length), static_cast<long long>(most));
}

// Reads each length and offset once.
hone_status check_rows(const Rows& rows, std::int64_t batch) {
    std::int64_t first = 0, end = rows.extent;
    if (rows.offsets && (first = integer_at(*rows.offsets, 0), first < 0 || first > rows.total))
        return fail(HONE_INVALID_ARGUMENT, "%s[0]: is %lld; should be 0 to %lld", rows.offsets_name,
                    static_cast<long long>(first), static_cast<long long>(rows.total));
    hone_status status;
    for (std::int64_t b = 0; b < batch; ++b) {
        if (rows.offsets) {
            end = integer_at(*rows.offsets, b + 1);
            if ((status = check_entry(rows, b, first, end))) return status;
        }
        if (rows.lengths && (status = check_length(rows, b, end - first))) return status;
        if (rows.offsets) first = end;
    }
    return HONE_OK;
}

}  // namespace

hone_status check_problem(const hone_problem& p) {
    const hone_activation_info* info = activation_info(p.activation);
    if (!info) return no_activation(p.activation);
    hone_status status;
    if ((status = check_sizes(p)) || (status = check_options(p, *info)) || (status = check_window(p)))
        return status;
    return check_integers(p);
}

hone_status check_entries(const hone_problem& p) {
    const auto known = [&](std::uint32_t flag, const hone_const_integers& of) {
        return p.flags & flag && of.data ? &of : nullptr;
    };
    const Rows queries = {"queries",
                          "query_lengths",
                          "query_offsets",
                          p.queries,
                          p.total_queries,
                          known(HONE_QUERY_LENGTHS, p.query_lengths),
                          known(HONE_RAGGED_QUERIES, p.query_offsets)};
    const Rows keys = {"keys",
                       "key_lengths",
                       "key_offsets",
                       p.keys,
                       p.total_keys,
                       known(HONE_KEY_LENGTHS, p.key_lengths),
                       known(HONE_RAGGED_KEYS, p.key_offsets)};
    if (const hone_status status = check_rows(queries, p.batch); status != HONE_OK) return status;
    return check_rows(keys, p.batch);
}

hone_status check_integers_present(const hone_problem& p) {
    for (const Integers& i : integers_of(p))
        if (i.missing)
            return fail(HONE_INVALID_ARGUMENT, "%s: is NULL; should point to its integers, as flags has %s",
                        i.name, i.flag_name);
    return HONE_OK;
}

}  // namespace hone
