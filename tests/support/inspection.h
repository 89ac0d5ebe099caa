// A view of a core::Broker's insides, for finding leaks: what is armed and what for, what is still
// owed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

#include "core/broker.h"
#include "core/broker_state.h"
#include "core/deadlines.h"

namespace muster::core {

class Inspection {
 public:
  // `broker` must outlive it.
  explicit Inspection(const Broker& broker) : broker_(broker) {}

  // What a deadline that is armed is about.
  struct Armed {
    Deadline::Kind kind = Deadline::Kind::kFree;
    BroadcastId broadcast = 0;        // kTarget, kVerify
    const BackendKey* key = nullptr;  // kTarget, kGrace, kIdle; good until the next event
    ConnectionId connection;          // kRegister
    HoldId hold = 0;                  // kHoldExpires, kHoldScan, kHoldOwner
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

inline std::optional<Inspection::Armed> Inspection::deadline(DeadlineId id) const {
  const auto& state = *broker_.state_;
  const auto* deadline = state.deadlines.find(id);
  if (deadline == nullptr) return std::nullopt;
  Armed armed;
  armed.kind = deadline->kind;
  switch (deadline->kind) {
    case Deadline::Kind::kTarget:
      armed.broadcast = deadline->broadcast->id;
      armed.key = &deadline->broadcast->targets[deadline->index].who->key();
      break;
    case Deadline::Kind::kGrace:
    case Deadline::Kind::kIdle:
      armed.key = &state.registry.at(deadline->index).enrolment->key();
      break;
    case Deadline::Kind::kRegister:
      armed.connection = deadline->connection;
      break;
    case Deadline::Kind::kVerify:
      armed.broadcast = deadline->broadcast->id;
      break;
    case Deadline::Kind::kHoldExpires:
    case Deadline::Kind::kHoldScan:
    case Deadline::Kind::kHoldOwner:
      armed.hold = deadline->hold;
      break;
    default:
      break;
  }
  return armed;
}

inline std::size_t Inspection::deadlines_armed() const {
  return broker_.state_->deadlines.in_use();
}

inline std::size_t Inspection::open_operations() const {
  std::size_t open = 0;
  broker_.state_->registry.for_each(
      [&](EntryId, const Entry& entry) { open += entry.open.size(); });
  return open;
}

inline std::size_t Inspection::sessions() const {
  const auto& sessions = broker_.state_->sessions;
  return static_cast<std::size_t>(
      std::count_if(sessions.begin(), sessions.end(),
                    [](const Session& session) { return session.phase != Session::Phase::kFree; }));
}

}  // namespace muster::core
