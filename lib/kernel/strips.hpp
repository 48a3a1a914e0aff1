// strips.hpp: takes a block of rows through the keys that it sees, strip by strip.
#pragma once

#include "kernel/activations.hpp"
#include "kernel/key_panels.hpp"
#include "kernel/masked.hpp"
#include "kernel/rows.hpp"

namespace hone {
namespace {

// A block of rows of a kv head, and what its rows carry through the keys.
template <class T>
struct ForwardRows {
    const ForwardCall<T>& call;
    const RowFunctions<T>& activation;
    const AttendTask& task;
    T* const scratch;
    const Range rows;  // of the kv head
    Matrix<T> o;
    TensorRows<T> q;
    QueryHead at[kMostRows];  // of each row of the block, from here on
    Range seen[kMostRows];    // keys
    RowConstants<T> constant[kMostRows];
    RowState<T> state[kMostRows];

    ForwardRows(const ForwardCall<T>& call, const AttendTask& task, T* scratch)
        : call(call),
          activation(kActivations<T>[call.activation]),
          task(task),
          scratch(scratch),
          rows(rows_of_block(call, task.row_block)) {}
};

// One block of keys of a task, those that some row of the task's sees.
template <class T>
struct KeyBlock {
    Range keys;
    KeyPanels<T> panels;  // unless lines are read in place
    RowAddresses after;   // what is read after v's lines, if they are
    Join join;            // of what the block gives to o
};

// Some rows of a block of rows, and the columns of a key block from the first to the last that they see.
struct Strip {
    Range rows, columns;
    bool masked;  // the mask hides some of these columns from some of these rows
};

template <class T>
inline ScoreRow score_row(const ForwardRows<T>& row, std::int64_t r, std::int64_t first_key, Range columns) {
    const auto [query, head] = row.at[r];
    return {row.task.batch, head, query, first_key, common(relative(row.seen[r], first_key), columns)};
}

// The keys that a thread most likely reads after a key block of a head: the next block, or the first of the
// next head; the same head's values where there is none.
template <class T>
RowAddresses addresses_after(const ForwardCall<T>& call, const RowIndex& at) {
    if (at.row + call.block.keys < call.block.key_blocks.end * call.block.keys)
        return addresses_of(call.k, {at.batch, at.head, at.row + call.block.keys});
    const std::int64_t first = call.block.key_blocks.begin * call.block.keys;
    if (at.head + 1 < call.n.kv_heads) return addresses_of(call.k, {at.batch, at.head + 1, first});
    if (at.batch + 1 < call.n.batch) return addresses_of(call.k, {at.batch + 1, 0, first});
    return addresses_of(call.v, at);
}

// Reads one of the key blocks that a task touches.
template <class T>
KeyBlock<T> read_key_block(const ForwardRows<T>& row, std::int64_t key_block, Range touched) {
    const ForwardCall<T>& call = row.call;
    const Range keys = keys_of_block(call, key_block);
    KeyBlock<T> block = {keys, {}, {}, key_block == touched.begin ? Join::store : Join::add};
    if (call.reading == Reading::in_place) {
        block.after = addresses_after(call, {row.task.batch, row.task.kv_head, keys.begin});
    } else if (call.reading == Reading::own) {
        block.panels = own_panels(call, row.task, key_block, row.scratch);
    } else {
        block.panels = shared_panels(call, row.task, key_block, touched);
    }
    return block;
}

// Where the columns of a strip begin: such that the chains of additions in p v are the same whatever rows are
// in the strip.
template <class T>
inline std::int64_t first_column(const ForwardCall<T>& call, std::int64_t column) {
    return call.reading == Reading::in_place ? column : round_down(column, kChain);
}

// The strips of a block of rows in a block of keys.
struct Strips {
    static_assert(kMostRows % kEdgeRows == 0);
    Strip list[kMostRows / kEdgeRows];
    int count = 0;
    bool see_any = false;
};

// Where not all rows see all of these keys, a few rows at a time, so that rows which see less cost less;
// those that see the same columns go together.
template <class T>
Strips strips_of(const ForwardRows<T>& row, Range keys) {
    const ForwardCall<T>& call = row.call;
    const std::int64_t rows = count(row.rows), first_key = round_down(keys.begin, call.block.keys);
    Strips strips;
    for (std::int64_t r = 0; r < rows; r += kEdgeRows) {
        const Range some = {r, smaller(r + kEdgeRows, rows)};
        const Range queries = queries_of(call.n, {row.rows.begin + some.begin, row.rows.begin + some.end});
        const Remaining remaining =
            remaining_keys(call.mask, row.task.batch, row.at + some.begin, count(some),
                           common(keys_seen(call.visibility, queries), keys), first_key);
        const Range columns = relative(remaining.keys, first_key);
        const Range from_chain = {first_column(call, columns.begin), columns.end};
        const Strip next = {some, empty(columns) ? Range{0, 0} : from_chain, remaining.hides};
        Strip* const last = strips.count > 0 ? &strips.list[strips.count - 1] : nullptr;
        if (last && same(last->columns, next.columns) && last->masked == next.masked)
            last->rows.end = some.end;
        else
            strips.list[strips.count++] = next;
        strips.see_any |= !empty(columns);
    }
    return strips;
}

// Calls body(block, strip) for each strip that the rows see of some key blocks. If they see none, o becomes
// 0.
template <class T, class Body>
void for_strips(ForwardRows<T>& row, Range key_blocks, Body body) {
    const ForwardCall<T>& call = row.call;
    const std::int64_t block_keys = call.block.keys;
    const Range seen = common(keys_seen(call.visibility, queries_of(call.n, row.rows)),
                              {key_blocks.begin * block_keys, key_blocks.end * block_keys});
    const Range touched = blocks_touched(seen, block_keys);
    if (empty(touched)) clear_rows(row.o, count(row.rows), call.block.value_width);
    for (std::int64_t kb = touched.begin; kb < touched.end; ++kb) {
        const Strips strips = strips_of(row, common(seen, keys_of_block(call, kb)));
        KeyBlock<T> block = {};
        if (strips.see_any) block = read_key_block(row, kb, touched);
        for (int i = 0; i < strips.count; ++i) {
            const Strip& strip = strips.list[i];
            if (!empty(strip.columns))
                body(block, strip);
            else if (kb == touched.begin)
                clear_rows(row.o.at(strip.rows.begin, 0), count(strip.rows), call.block.value_width);
        }
    }
}

}  // namespace
}  // namespace hone
