// One value that the bench shares with the processes that it forks.
#pragma once

#include <cerrno>
#include <new>
#include <sys/mman.h>
#include <system_error>
#include <type_traits>

namespace muster::bench {

// Made before the fork. What is in it takes care of its own synchronisation: lock-free atomics.
template <typename Value>
class SharedMemory {
  static_assert(std::is_trivially_destructible_v<Value>);

 public:
  // Throws std::system_error.
  SharedMemory() {
    void* const memory =
        ::mmap(nullptr, sizeof(Value), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      throw std::system_error(errno, std::generic_category(), "shared memory");
    }
    value_ = new (memory) Value{};
  }
  ~SharedMemory() { ::munmap(value_, sizeof(Value)); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  Value* operator->() const noexcept { return value_; }
  Value& operator*() const noexcept { return *value_; }

 private:
  Value* value_ = nullptr;
};

}  // namespace muster::bench
