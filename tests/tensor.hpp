// tensor.hpp: the tensors of the tests: any layout in memory, NaN wherever no element lies that counts, and a
// check that nothing was written there.
#pragma once

#include <hone/hone.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>
#include <vector>

namespace hone::test {

struct Extents {
    std::int64_t batch = 1, heads = 1, rows = 1, features = 1;
};

struct Layout {
    bool bnhd = false;  // [batch, rows, heads, features] in memory; else [batch, heads, rows, features]
    std::int64_t padding = 0;  // elements after the features of each row
    std::int64_t offset = 0;   // elements from a 64-byte boundary to the first row
    bool one_batch = false, one_head = false, one_row = false;  // axes broadcast by a stride of 0
    // Whether row i of batch element b counts, [batch][rows]; those that do not are padding. None: all do.
    std::vector<bool> rows = {};
};

// What outputs hold before a call, and padding always: a NaN whose bits no computation gives.
template <class S>
S poison() {
    if constexpr (std::is_same_v<S, float>)
        return std::bit_cast<float>(std::uint32_t{0x7fc5a5a5});
    else if constexpr (std::is_same_v<S, double>)
        return std::bit_cast<double>(std::uint64_t{0x7ff85a5a5a5a5a5a});
    else
        return std::numeric_limits<S>::quiet_NaN();
}

template <class S>
bool same_bits(S a, S b) {
    return std::memcmp(&a, &b, sizeof(S)) == 0;
}

// Memory on 64-byte boundaries, so that an offset is a misalignment.
template <class S>
struct AlignedAllocator {
    using value_type = S;
    AlignedAllocator() = default;
    template <class Other>
    AlignedAllocator(const AlignedAllocator<Other>&) {}
    S* allocate(std::size_t n) {
        return static_cast<S*>(::operator new(n * sizeof(S), std::align_val_t(64)));
    }
    void deallocate(S* p, std::size_t) { ::operator delete(p, std::align_val_t(64)); }
    bool operator==(const AlignedAllocator&) const = default;
};

template <class S>
using Storage = std::vector<S, AlignedAllocator<S>>;

// A tensor with a guard zone on both sides; a default one is absent: its data is null.
template <class S>
class Tensor {
  public:
    Tensor() = default;

    // All poison.
    Tensor(const Extents& extents, const Layout& layout)
        : extents_(extents), rows_(layout.rows), present_(true) {
        const std::int64_t batches = layout.one_batch ? 1 : extents.batch;
        const std::int64_t heads = layout.one_head ? 1 : extents.heads;
        const std::int64_t rows = layout.one_row ? std::int64_t{extents.rows > 0} : extents.rows;
        const std::int64_t width = extents.features + layout.padding;
        row_stride_ = layout.one_row ? 0 : layout.bnhd ? heads * width : width;
        head_stride_ = layout.one_head ? 0 : layout.bnhd ? width : rows * width;
        batch_stride_ = layout.one_batch ? 0 : heads * rows * width;
        first_ = kGuard + layout.offset;
        storage_.assign(first_ + batches * heads * rows * width + kGuard, poison<S>());
    }

    // The same layout in another scalar type.
    template <class From>
    explicit Tensor(const Tensor<From>& from)
        : extents_(from.extents_),
          first_(from.first_),
          batch_stride_(from.batch_stride_),
          head_stride_(from.head_stride_),
          row_stride_(from.row_stride_),
          rows_(from.rows_),
          present_(from.present_),
          storage_(from.storage_.begin(), from.storage_.end()) {}

    const Extents& extents() const { return extents_; }
    bool present() const { return present_; }
    S* data() { return present_ ? storage_.data() + first_ : nullptr; }
    S* row(std::int64_t b, std::int64_t h, std::int64_t i) {
        return data() + b * batch_stride_ + h * head_stride_ + i * row_stride_;
    }
    hone_tensor view() {
        hone_tensor t = {};
        t.data = data();
        t.batch_stride = batch_stride_, t.head_stride = head_stride_, t.row_stride = row_stride_;
        return t;
    }

    // Calls body(b, h, i, features) for every row that counts; for one that is broadcast, as often as it is
    // seen.
    template <class Body>
    void for_each_row(Body&& body) {
        for (std::int64_t b = 0; b < extents_.batch; ++b)
            for (std::int64_t h = 0; h < extents_.heads; ++h)
                for (std::int64_t i = 0; i < extents_.rows; ++i)
                    if (rows_.empty() || rows_[b * extents_.rows + i]) body(b, h, i, row(b, h, i));
    }

    // Calls body(b, h, i, d) for their elements.
    template <class Body>
    void for_each_element(Body&& body) {
        for_each_row([&](std::int64_t b, std::int64_t h, std::int64_t i, auto) {
            for (std::int64_t d = 0; d < extents_.features; ++d) body(b, h, i, d);
        });
    }

    template <class Value>
    void fill(Value&& value) {
        for_each_row([&](auto, auto, auto, S* x) {
            for (std::int64_t d = 0; d < extents_.features; ++d) x[d] = value();
        });
    }

    // Takes the elements of a tensor of the same layout.
    template <class From>
    void assign(const Tensor<From>& from) {
        *this = Tensor(from);
    }

    bool same_bytes(const Tensor& other) const {
        return storage_.size() == other.storage_.size() &&
               (storage_.empty() ||
                std::memcmp(storage_.data(), other.storage_.data(), storage_.size() * sizeof(S)) == 0);
    }

    // The stride of an axis that no row is found by.
    void set_batch_stride(std::int64_t stride) { batch_stride_ = stride; }

    // Whether padding and guard zones still hold their poison.
    bool surroundings_intact() {
        std::vector<bool> element(storage_.size(), false);
        for_each_row([&](auto, auto, auto, S* x) {
            for (std::int64_t d = 0; d < extents_.features; ++d) element[x + d - storage_.data()] = true;
        });
        for (std::size_t n = 0; n < storage_.size(); ++n)
            if (!element[n] && !same_bits(storage_[n], poison<S>())) return false;
        return true;
    }

  private:
    template <class Other>
    friend class Tensor;

    static constexpr std::int64_t kGuard = 64;

    Extents extents_ = {0, 0, 0, 0};
    std::int64_t first_ = 0, batch_stride_ = 0, head_stride_ = 0, row_stride_ = 0;
    std::vector<bool> rows_;
    bool present_ = false;
    Storage<S> storage_;
};

}  // namespace hone::test
