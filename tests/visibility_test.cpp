// visibility_test.cpp: what queries see, against every query and key looked at by itself.
#include "visibility.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "shape.hpp"

namespace hone::test {
namespace {

bool sees(const Visibility& v, std::int64_t query, std::int64_t key) {
    return key >= query - v.before && key < query + v.beyond;
}

std::vector<Visibility> visibilities() {
    std::vector<Visibility> list;
    for (const std::int64_t queries : {1, 5, 7})
        for (const std::int64_t keys : {1, 4, 9})
            for (std::int64_t before = -keys; before <= queries + 1; ++before)
                for (std::int64_t beyond = 1 - before; beyond <= keys + 1; ++beyond)
                    list.push_back({queries, keys, before, beyond});
    return list;
}

TEST(Visibility, of_a_query_is_a_range_whose_ends_do_not_fall) {
    for (const Visibility& v : visibilities()) {
        Range last = {0, 0};
        std::int64_t fewest = v.keys;
        for (std::int64_t i = 0; i < v.queries; ++i) {
            const Range seen = keys_seen(v, i);
            EXPECT_GE(seen.begin, last.begin);
            EXPECT_GE(seen.end, last.end);
            last = seen;
            std::int64_t count = 0;
            for (std::int64_t j = 0; j < v.keys; ++j) {
                EXPECT_EQ(contains(seen, j), sees(v, i, j));
                count += sees(v, i, j);
            }
            EXPECT_EQ(count_seen(v, i), count);
            fewest = std::min(fewest, count);
        }
        EXPECT_EQ(fewest_seen(v), fewest);
    }
}

// Of ranges of queries and keys.
template <class Body>
void for_ranges(const Visibility& v, Body body) {
    for (std::int64_t i = 0; i < v.queries; ++i)
        for (std::int64_t end = i + 1; end <= v.queries; ++end)
            for (std::int64_t j = 0; j < v.keys; ++j)
                for (std::int64_t last = j + 1; last <= v.keys; ++last) body(Range{i, end}, Range{j, last});
}

TEST(Visibility, of_a_block_is_that_of_its_pairs) {
    for (const Visibility& v : visibilities())
        for_ranges(v, [&](Range queries, Range keys) {
            std::int64_t pairs = 0;
            for (std::int64_t i = queries.begin; i < queries.end; ++i)
                for (std::int64_t j = keys.begin; j < keys.end; ++j) pairs += sees(v, i, j);
            const Seen expected = pairs == 0                              ? Seen::none
                                  : pairs == count(queries) * count(keys) ? Seen::wholly
                                                                          : Seen::partly;
            ASSERT_EQ(static_cast<int>(seen_of(v, queries, keys)), static_cast<int>(expected));
            // The queries that see some of these keys, and the keys that some of these queries see.
            for (std::int64_t i = queries.begin; i < queries.end; ++i) {
                const Range one = keys_seen(v, i);
                ASSERT_EQ(contains(queries_seeing(v, keys), i), !empty(common(one, keys)));
                if (!empty(one)) {
                    ASSERT_LE(keys_seen(v, queries).begin, one.begin);
                    ASSERT_GE(keys_seen(v, queries).end, one.end);
                }
            }
        });
}

// In backward one of them tells which blocks a task goes through, the other which tasks a block waits for.
TEST(Visibility, a_block_of_rows_sees_the_key_blocks_that_are_seen_by_it) {
    for (const Visibility& v : visibilities())
        for (const std::int64_t heads : {1, 3})
            for (const std::int64_t rows : {1, 2, 5})
                for (const std::int64_t keys : {1, 2, 4}) {
                    Shape s = {};
                    s.n.queries = v.queries, s.n.keys = v.keys, s.n.heads_per_kv = heads;
                    s.visibility = v;
                    s.keys = keys_seen(v, Range{0, v.queries});
                    s.block.rows = rows, s.block.keys = keys;
                    s.block.row_blocks = blocks_of(v.queries * heads, rows);
                    s.block.key_blocks = blocks_touched(s.keys, keys);
                    for (std::int64_t kb = 0; kb < blocks_of(v.keys, keys); ++kb)
                        for (std::int64_t r = 0; r < s.block.row_blocks; ++r) {
                            const bool seen = contains(key_blocks_seen(s, r), kb);
                            if (contains(s.block.key_blocks, kb)) {
                                ASSERT_EQ(contains(row_blocks_seeing(s, kb), r), seen);
                            } else {
                                ASSERT_FALSE(seen);
                            }
                        }
                }
}

}  // namespace
}  // namespace hone::test
