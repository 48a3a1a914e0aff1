// stage.hpp: what modifies a row of scores before the activation, and a row of weights after it.
//
// A modifier gives functions that are called through pointers, once for each row of a block of scores, which
// is in L1. Without stages the cost is one branch a row. Forward calls
//     before(s)        scaled scores -> scores        in the order of the stages
//     after(p)         weights -> weights of v        in the order of the stages
// and backward unwinds: before(s) again, then
//     after_backward(dp)     gradient of the output of `after` -> of its input     last stage first
//     after(p)
//     before_backward(ds)    gradient of the output of `before` -> of its input    last stage first
// A stage that hides keys says so by hides(). Its `before` sets their scores to -inf and its `after` their
// weights to 0; the counterparts set their gradients to 0. What is hidden may be NaN: it is replaced, never
// multiplied. So where values are not finite and some of them are hidden, products leave out what is hidden
// (kernel/seen.hpp), and a row of which all keys are hidden has a delta of 0 (kernel/row_constants.hpp).
// Defaults that depend on the number of keys still count hidden ones.
#pragma once

#include "range.hpp"

namespace hone {

// The most stages of a call, and the most elements of a row.
inline constexpr int kMostStages = 6;
inline constexpr std::int64_t kMostScores = 512;

// Where a row of a block of scores comes from: its element e is key first_key + e.
struct ScoreRow {
    std::int64_t batch, head, query;  // head: of q
    std::int64_t first_key;
    Range seen;  // the elements of keys that the query may see; no other may be read or written
    const unsigned char* mask = nullptr;  // element e is hidden where mask[e * mask_stride] is 0; null: none
    std::int64_t mask_stride = 0;
};

// `kept` has room for a row: `before` may leave there what before_backward needs. It is null in forward.
template <class T>
struct Stage {
    const void* data;  // the stage's own, the first argument of each function
    void (*before)(const void* data, const ScoreRow& row, T* s, T* kept);
    void (*after)(const void* data, const ScoreRow& row, T* p);
    void (*after_backward)(const void* data, const ScoreRow& row, T* dp);
    void (*before_backward)(const void* data, const ScoreRow& row, T* ds, const T* kept);
    bool (*hides)(const void* data, const ScoreRow& row, std::int64_t element);
};

// Any function of a stage may be null.
template <class T>
struct Stages {
    const Stage<T>* list;
    int count;
};

namespace {

// Room for what the stages keep of a row.
template <class T>
struct KeptScores {
    T of[kMostStages][kMostScores];
};

// Scales the products q k^T and calls `before` of all stages. The scale is part of the scores from then on.
template <class T>
[[gnu::noinline]] inline void before_activation(const Stages<T>& stages, const ScoreRow& row, T scale, T* s,
                                                KeptScores<T>* kept) {
    for (std::int64_t e = row.seen.begin; e < row.seen.end; ++e) s[e] *= scale;
    for (int i = 0; i < stages.count; ++i)
        if (const Stage<T>& stage = stages.list[i]; stage.before)
            stage.before(stage.data, row, s, kept ? kept->of[i] : nullptr);
}
template <class T>
[[gnu::noinline]] inline void after_activation(const Stages<T>& stages, const ScoreRow& row, T* p) {
    for (int i = 0; i < stages.count; ++i)
        if (const Stage<T>& stage = stages.list[i]; stage.after) stage.after(stage.data, row, p);
}
template <class T>
[[gnu::noinline]] inline void after_activation_backward(const Stages<T>& stages, const ScoreRow& row, T* dp) {
    for (int i = stages.count - 1; i >= 0; --i)
        if (const Stage<T>& stage = stages.list[i]; stage.after_backward)
            stage.after_backward(stage.data, row, dp);
}
template <class T>
[[gnu::noinline]] inline void before_activation_backward(const Stages<T>& stages, const ScoreRow& row, T* ds,
                                                         const KeptScores<T>& kept) {
    for (int i = stages.count - 1; i >= 0; --i)
        if (const Stage<T>& stage = stages.list[i]; stage.before_backward)
            stage.before_backward(stage.data, row, ds, kept.of[i]);
}

// Whether the row sees this element and no stage hides it.
template <class T>
inline bool sees(const Stages<T>& stages, const ScoreRow& row, std::int64_t element) {
    if (!contains(row.seen, element) || (row.mask && row.mask[element * row.mask_stride] == 0)) return false;
    for (int i = 0; i < stages.count; ++i)
        if (const Stage<T>& stage = stages.list[i]; stage.hides && stage.hides(stage.data, row, element))
            return false;
    return true;
}

// Whether some stage may hide a key.
template <class T>
inline bool may_hide(const Stages<T>& stages) {
    for (int i = 0; i < stages.count; ++i)
        if (stages.list[i].hides) return true;
    return false;
}

// The next elements in a row, from `begin` on, that the row sees and no stage hides; empty where none is
// left.
template <class T>
inline Range next_seen(const Stages<T>& stages, const ScoreRow& row, std::int64_t begin) {
    const Range left = common(row.seen, {begin, row.seen.end});
    if (!may_hide(stages) && !row.mask) return left;
    return next_range(left, left.begin, [&](std::int64_t element) { return sees(stages, row, element); });
}

}  // namespace
}  // namespace hone
