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

}  // namespace muster::test
