// How often this thread called operator new: for tests of what must not allocate.
//
// A program that uses this gets its operator new and delete from allocations.cpp, but not under a
// sanitizer, which has its own.
#pragma once

#include <cstddef>

namespace muster::test {

// False under a sanitizer: then allocations() says nothing.
[[nodiscard]] bool counts_allocations() noexcept;
[[nodiscard]] std::size_t allocations() noexcept;

// Lets the `number`-th operator new of this thread from now on fail, once, for as long as this
// lives. Nothing fails under a sanitizer.
class FailingAllocation {
 public:
  explicit FailingAllocation(std::size_t number) noexcept;
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  [[nodiscard]] bool has_failed() const noexcept;
};

}  // namespace muster::test
