// A vector whose elements stay where they are while it grows.
//
// What std::deque would be for, but with chunks of a power of two: looking at an element is a shift
// and a mask, where a deque divides by the size of a chunk. Elements are looked up several times
// for each backend and round.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace muster::core {

template <class T>
class StableVector {
 public:
  StableVector() = default;
  ~StableVector() { clear(); }
  StableVector(const StableVector&) = delete;
  StableVector& operator=(const StableVector&) = delete;

  // REQUIRES: index < size().
  [[nodiscard]] T& operator[](std::size_t index) noexcept { return *place(index); }
  [[nodiscard]] const T& operator[](std::size_t index) const noexcept { return *place(index); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  template <class... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == chunks_.size() * kChunk) chunks_.push_back(std::make_unique<Chunk>());
    T* const made = ::new (raw(size_)) T(std::forward<Args>(args)...);
    ++size_;
    return *made;
  }

  void clear() noexcept {
    while (size_ > 0) place(--size_)->~T();
    chunks_.clear();
  }

 private:
  static constexpr std::size_t kChunkBits = 6;
  static constexpr std::size_t kChunk = std::size_t{1} << kChunkBits;
  struct Chunk {
    alignas(T) std::byte bytes[kChunk * sizeof(T)];
  };

  [[nodiscard]] void* raw(std::size_t index) const noexcept {
    return chunks_[index >> kChunkBits]->bytes + (index & (kChunk - 1)) * sizeof(T);
  }
  [[nodiscard]] T* place(std::size_t index) const noexcept {
    return std::launder(static_cast<T*>(raw(index)));
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::size_t size_ = 0;
};

}  // namespace muster::core
