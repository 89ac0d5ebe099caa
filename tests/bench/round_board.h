// Memory that the bench shares with its clients: how many have registered, how many answers were
// sent, and a descriptor that wakes the bench when that is as many as it waits for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "bench/shared_memory.h"
#include "os/unique_fd.h"

namespace muster::bench {

class RoundBoard {
 public:
  // Throws std::system_error.
  RoundBoard();

  // --- the bench
  // From now on wait() waits for `count` more.
  void expect(std::size_t count) noexcept;
  // Throws std::runtime_error when `seconds` are over.
  void wait(int seconds = 20) const;
  [[nodiscard]] std::chrono::nanoseconds registration_time() const noexcept;

  // --- the clients
  void one_more() noexcept;
  void set_registration_time(std::chrono::nanoseconds time) noexcept;

 private:
  struct Shared {
    std::atomic<std::uint64_t> done;
    std::atomic<std::uint64_t> expected;
    std::atomic<std::int64_t> registration_ns;
  };
  SharedMemory<Shared> shared_;
  os::UniqueFd wake_;
};

}  // namespace muster::bench
