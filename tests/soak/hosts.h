// The processes that hold connections, seen from the soak: one for each slot, killed only by the
// pid of a child that is its own and not waited for yet.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>

#include "bench/child.h"
#include "os/unique_fd.h"
#include "soak/behaviour.h"
#include "soak/orders.h"

namespace muster::soak {

class Hosts {
 public:
  Hosts(std::filesystem::path backend_socket, std::uint64_t seed)
      : socket_(std::move(backend_socket)), seed_(seed) {}

  // REQUIRES: none runs in that slot.
  void start(std::uint32_t slot);
  [[nodiscard]] bool runs(std::uint32_t slot) const { return slots_[slot].child.pid() != 0; }
  // SIGKILL; returns when it is gone.
  void kill(std::uint32_t slot);
  // Waits for its end by its own hand (Order::kLastWords).
  void await_end(std::uint32_t slot);
  void stop(std::uint32_t slot) const;         // SIGSTOP
  void continue_it(std::uint32_t slot) const;  // SIGCONT

  void tell(std::uint32_t slot, const Order& order);
  // The next reply. Throws std::runtime_error for one of another kind, for trouble, and when there
  // is none for a minute.
  Reply hear(std::uint32_t slot, Reply::Kind kind);
  Reply ask(std::uint32_t slot, const Order& order, Reply::Kind kind) {
    tell(slot, order);
    return hear(slot, kind);
  }

 private:
  struct Slot {
    bench::Child child;
    os::UniqueFd orders;
  };
  std::filesystem::path socket_;
  std::uint64_t seed_;
  std::array<Slot, kSlots> slots_;
};

}  // namespace muster::soak
