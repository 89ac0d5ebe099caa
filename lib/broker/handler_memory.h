// Memory for Asio's operations that is used again instead of given back.
//
// Each wait of a timer is an operation on the heap; with a timer for each target that would be an
// allocation for each target and round. A service of the io_context, because operations that were
// never run are destroyed with it, after everything else. One thread, like the io_context.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include <asio/execution_context.hpp>
#include <asio/io_context.hpp>

namespace muster::broker {

class HandlerMemory final : public asio::execution_context::service {
 public:
  using key_type = HandlerMemory;
  inline static asio::execution_context::id id;

  explicit HandlerMemory(asio::execution_context& context) : service(context) { grow(); }

  [[nodiscard]] void* allocate(std::size_t bytes) {
    if (bytes > kBlock) return ::operator new(bytes);
    if (free_count_ <= kReserve) grow_for_later();
    Block* const block = free_;
    free_ = block->next;
    --free_count_;
    return block;
  }

  void deallocate(void* memory, std::size_t bytes) noexcept {
    if (bytes > kBlock) return ::operator delete(memory);
    free_ = new (memory) Block{free_};
    ++free_count_;
  }

 private:
  static constexpr std::size_t kBlock = 96;
  static constexpr std::size_t kBlocksAtOnce = 64;
  // Kept for when memory is short: what the loop must do next is not lost for want of a few bytes.
  static constexpr std::size_t kReserve = 16;
  struct Block {
    Block* next;
  };
  struct alignas(std::max_align_t) Space {
    std::byte bytes[kBlock];
  };

  void shutdown() override {}

  void grow_for_later() {
    try {
      grow();
    } catch (const std::bad_alloc&) {
      if (free_ == nullptr) throw;
    }
  }

  void grow() {
    chunks_.push_back(std::make_unique<Space[]>(kBlocksAtOnce));
    for (std::size_t i = 0; i < kBlocksAtOnce; ++i) {
      free_ = new (&chunks_.back()[i]) Block{free_};
    }
    free_count_ += kBlocksAtOnce;
  }

  Block* free_ = nullptr;
  std::size_t free_count_ = 0;
  std::vector<std::unique_ptr<Space[]>> chunks_;
};

// What Asio asks for the allocator of a handler. Memory has allocate(bytes) and deallocate(place,
// bytes).
template <class T, class Memory = HandlerMemory>
class HandlerAllocator {
 public:
  using value_type = T;
  template <class U>
  struct rebind {  // NOLINT(readability-identifier-naming): the name that allocators have
    using other = HandlerAllocator<U, Memory>;
  };

  explicit HandlerAllocator(Memory& memory) noexcept : memory_(&memory) {}
  template <class U>  // an allocator must convert to its rebound kind: NOLINTNEXTLINE
  HandlerAllocator(const HandlerAllocator<U, Memory>& other) noexcept : memory_(other.memory_) {}

  [[nodiscard]] T* allocate(std::size_t count) {
    return static_cast<T*>(memory_->allocate(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    memory_->deallocate(memory, count * sizeof(T));
  }

  template <class U>
  friend bool operator==(const HandlerAllocator& a, const HandlerAllocator<U, Memory>& b) noexcept {
    return a.memory_ == b.memory_;
  }

 private:
  template <class, class>
  friend class HandlerAllocator;
  Memory* memory_;
};

// A handler that takes its memory from there.
template <class Function, class Memory = HandlerMemory>
struct PooledHandler {
  using allocator_type = HandlerAllocator<void, Memory>;

  Memory* memory;
  Function function;

  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*memory); }
  template <class... Args>
  void operator()(Args&&... args) {
    function(std::forward<Args>(args)...);
  }
};
template <class Function, class Memory>
PooledHandler(Memory*, Function) -> PooledHandler<Function, Memory>;

}  // namespace muster::broker
