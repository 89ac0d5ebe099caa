#include "support/allocations.h"

#include <cstdlib>
#include <new>

#include "support/sanitized.h"

#if MUSTER_SANITIZED

namespace muster::test {

bool counts_allocations() noexcept { return false; }
std::size_t allocations() noexcept { return 0; }
FailingAllocation::FailingAllocation(std::size_t /*number*/) noexcept {}
FailingAllocation::~FailingAllocation() = default;
bool FailingAllocation::has_failed() const noexcept { return false; }

}  // namespace muster::test

#else

namespace {

thread_local std::size_t count = 0;
thread_local std::size_t until_failure = 0;  // 0: none fails

void count_one() {
  ++count;
  if (until_failure == 0) return;
  --until_failure;
  if (until_failure == 0) throw std::bad_alloc();
}

void* allocate(std::size_t bytes) {
  count_one();
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}

void* allocate(std::size_t bytes, std::align_val_t alignment) {
  count_one();
  const auto align = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// The other forms (arrays, nothrow) come down to these.
void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, alignment);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*bytes*/) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t /*alignment*/) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*bytes*/, std::align_val_t /*alignment*/) noexcept {
  std::free(memory);
}

namespace muster::test {

bool counts_allocations() noexcept { return true; }
std::size_t allocations() noexcept { return count; }

FailingAllocation::FailingAllocation(std::size_t number) noexcept { until_failure = number; }
FailingAllocation::~FailingAllocation() { until_failure = 0; }
bool FailingAllocation::has_failed() const noexcept { return until_failure == 0; }

}  // namespace muster::test

#endif
