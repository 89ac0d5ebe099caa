// A view of a Broker's insides, for tests and for finding leaks: what is armed and what for,
// what is still owed. Const; no part of the interface.
#pragma once

#include <cstddef>
#include <optional>

#include "core/broker.h"
#include "core/deadlines.h"

namespace muster::core {

class Inspection {
 public:
  // `broker` must outlive it.
  explicit Inspection(const Broker& broker) : broker_(broker) {}

  // What a deadline that is armed is about.
  struct Armed {
    Deadline::Kind kind = Deadline::Kind::kFree;
    BroadcastId broadcast = 0;        // kTarget
    const BackendKey* key = nullptr;  // kTarget, kGrace, kIdle; good until the next event
    ConnectionId connection;          // kRegister
  };
  // Nothing when it is not armed (any more).
  [[nodiscard]] std::optional<Armed> deadline(DeadlineId id) const;
  [[nodiscard]] std::size_t deadlines_armed() const;
  // Answers that registered backends owe, over all broadcasts.
  [[nodiscard]] std::size_t open_operations() const;
  // Connections that the core knows.
  [[nodiscard]] std::size_t sessions() const;

 private:
  const Broker& broker_;
};

}  // namespace muster::core
