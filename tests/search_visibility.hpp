// search_visibility.hpp: which keys are seen in a problem of the search, all at random: shifts and windows,
// lengths and ragged batches, masks, and NaN where nobody looks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "tests/options.hpp"
#include "tests/random.hpp"

namespace hone::test {

// What a problem of the search may take, in multiplications of a forward call or so.
inline constexpr double kMostWork = 4e6;
inline double work_of(const Spec& s) {
    return static_cast<double>(s.batch * s.query_heads * s.queries * s.keys * (s.key_dim + s.value_dim));
}

class VisibilityDraw {
  public:
    VisibilityDraw(std::int64_t number, Spec& spec)
        : random_("visibility_" + std::to_string(number)), spec_(spec) {}

    void draw() {
        if (random_.one_in(5)) return;
        if (random_.one_in(2)) draw_diagonal();
        if (random_.one_in(3)) draw_window();
        if (random_.one_in(2)) draw_batch();
        if (random_.one_in(2)) draw_mask();
        spec_.nan_unseen = random_.one_in(2);
    }
    void draw_mask() {
        BoolMask& m = spec_.bool_mask;
        m.shows = static_cast<Shows>(random_.integer(1, static_cast<int>(Shows::a_range)));
        m.one_batch = random_.one_in(3), m.one_head = random_.one_in(2), m.one_query = random_.one_in(4),
        m.one_key = random_.one_in(8);
        m.by_stride = random_.one_in(2);
        m.order = random_.one_in(2) ? 0 : static_cast<int>(random_.integer(0, 23));
        m.negative = random_.one_in(3) ? static_cast<unsigned>(random_.integer(0, 15)) : 0;
        m.padding = random_.one_in(3) ? up_to(9) : 0;
    }

  private:
    // Small numbers as often as large ones.
    std::int64_t up_to(std::int64_t most) { return random_.integer(0, random_.integer(0, most)); }

    void draw_diagonal() {
        constexpr std::int64_t far = std::numeric_limits<std::int64_t>::max();
        if (spec_.mask == Mask::none) spec_.bottom_right = random_.one_in(2);
        const std::int64_t shift =
            random_.one_in(12) ? random_.one_of({far, far - 1, far - spec_.keys}) : up_to(reach());
        spec_.diagonal_shift = random_.one_in(2) ? shift : random_.one_in(12) ? -far - 1 : -shift;
    }

    void draw_window() {
        const auto bound = [&] {
            return random_.one_in(4)   ? std::int64_t{-1}
                   : random_.one_in(4) ? std::int64_t{0}
                   : random_.one_in(8) ? std::numeric_limits<std::int64_t>::max() - up_to(2)
                                       : up_to(reach());
        };
        spec_.window = {bound(), bound()};
    }
    std::int64_t reach() const { return spec_.queries + spec_.keys; }

    // Entries of their own lengths, padded or ragged or both; often more entries, and smaller ones.
    void draw_batch() {
        if (spec_.batch > 0 && random_.one_in(2)) {
            spec_.batch = random_.integer(1, 9);
            while (work_of(spec_) > kMostWork && (spec_.queries > 1 || spec_.keys > 1)) {
                std::int64_t& extent = random_.one_in(2) ? spec_.queries : spec_.keys;
                extent = (extent + 1) / 2;
            }
        }
        spec_.int32 = random_.one_in(2);
        const bool together = random_.one_in(2), ragged = random_.one_in(2);
        draw_rows(together ? ragged : random_.one_in(2), spec_.queries, spec_.query_lengths,
                  spec_.query_offsets, spec_.total_queries);
        draw_rows(together ? ragged : random_.one_in(2), spec_.keys, spec_.key_lengths, spec_.key_offsets,
                  spec_.total_keys);
    }

    void draw_rows(bool ragged, std::int64_t& most, std::vector<std::int64_t>& lengths,
                   std::vector<std::int64_t>& offsets, std::int64_t& total) {
        std::vector<std::int64_t> rows(spec_.batch, most);
        const auto fewer = [&] {
            for (std::int64_t& n : rows)
                n = random_.one_in(6)   ? 0
                    : random_.one_in(4) ? n
                    : random_.one_in(3) ? up_to(n)
                                        : random_.integer(n / 2, n);
        };
        if (ragged) {
            fewer();
            offsets = offsets_of(rows, {random_.one_in(2) ? up_to(9) : 0, random_.one_in(2) ? up_to(9) : 0},
                                 &total);
            if (random_.one_in(2) && !rows.empty()) most = *std::max_element(rows.begin(), rows.end());
        }
        if (random_.one_in(ragged ? 3 : 2)) {
            fewer();
            lengths = rows;
        }
    }

    Random random_;
    Spec& spec_;
};

// What is printed of it.
inline void print_visibility(const Spec& s, std::ostream& out) {
    const auto list = [&](const char* name, const std::vector<std::int64_t>& values) {
        if (values.empty()) return;
        out << " " << name;
        for (std::size_t n = 0; n < values.size(); ++n) out << (n == 0 ? " " : ",") << values[n];
    };
    if (s.bottom_right) out << " bottom_right";
    if (s.diagonal_shift != 0) out << " shift " << s.diagonal_shift;
    if (s.window) out << " window " << s.window->left << ", " << s.window->right;
    list("query_lengths", s.query_lengths), list("key_lengths", s.key_lengths);
    list("query_offsets", s.query_offsets), list("key_offsets", s.key_offsets);
    if (!s.query_offsets.empty()) out << " of " << s.total_queries << " queries";
    if (!s.key_offsets.empty()) out << " of " << s.total_keys << " keys";
    if (s.int32) out << " int32";
    if (const BoolMask& m = s.bool_mask; m.shows != Shows::no_mask) {
        out << " mask " << name_of(m.shows) << (m.by_stride ? " by_stride:" : " by_extent:")
            << (m.one_batch ? "b" : "") << (m.one_head ? "h" : "") << (m.one_query ? "q" : "")
            << (m.one_key ? "k" : "") << " order " << m.order << " negative " << m.negative << " padding "
            << m.padding;
    }
    if (s.nan_unseen) out << " nan_unseen";
}

}  // namespace hone::test
