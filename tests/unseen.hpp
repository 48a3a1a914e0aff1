// unseen.hpp: NaN in every row of an input that takes no part in any result.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

#include "tests/call.hpp"

namespace hone::test {

// The rows of memory that take part: of k and v those that some query sees, of q and dout those of a group of
// heads that sees some key.
template <class T>
class SeenRows {
  public:
    explicit SeenRows(Call<T>& call) : call_(call) {
        const std::int64_t heads = call.problem.query_heads;
        for (std::int64_t b = 0; b < call.problem.batch; ++b)
            for (std::int64_t h = 0; h < heads; ++h) add(b, h);
    }

    bool contains(const T* row) const { return rows_.contains(row); }

  private:
    // What query head h sees.
    void add(std::int64_t b, std::int64_t h) {
        const hone_problem& p = call_.problem;
        std::vector<bool> seen(call_.segment(K, b).length, false);
        for (std::int64_t i = 0; i < call_.segment(Q, b).length; ++i) {
            bool any = false;
            for (std::size_t j = 0; j < seen.size(); ++j)
                if (sees(call_, b, h, i, static_cast<std::int64_t>(j))) any = seen[j] = true;
            const std::int64_t group = p.query_heads / call_.lse_extents().heads, first = h / group * group;
            for (std::int64_t of_group = first; any && of_group < first + group; ++of_group)
                for (const Argument argument : {Q, DOUT})
                    if (call_[argument].present()) rows_.insert(call_.row(argument, b, of_group, i));
        }
        const std::int64_t kv_head = h / (p.query_heads / p.kv_heads);
        for (std::size_t j = 0; j < seen.size(); ++j)
            for (const Argument argument : {K, call_.v_is_k ? K : V})
                if (seen[j]) rows_.insert(call_.row(argument, b, kv_head, static_cast<std::int64_t>(j)));
    }

    Call<T>& call_;
    std::set<const T*> rows_;
};

template <class T>
void make_unseen_nan(Call<T>& call) {
    const SeenRows<T> seen(call);
    for (const Argument argument : {Q, K, V, DOUT})
        if (call[argument].present())
            call[argument].for_each_row([&](auto, auto, auto, T* x) {
                if (!seen.contains(x))
                    std::fill_n(x, call[argument].extents().features, std::numeric_limits<T>::quiet_NaN());
            });
}

}  // namespace hone::test
