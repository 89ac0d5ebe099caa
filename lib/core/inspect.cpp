#include "core/inspect.h"

#include <algorithm>

#include "core/broker_state.h"

namespace muster::core {

std::optional<Inspection::Armed> Inspection::deadline(DeadlineId id) const {
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
    default:
      break;
  }
  return armed;
}

std::size_t Inspection::deadlines_armed() const { return broker_.state_->deadlines.in_use(); }

std::size_t Inspection::open_operations() const {
  std::size_t open = 0;
  broker_.state_->registry.for_each(
      [&](EntryId, const Entry& entry) { open += entry.open.size(); });
  return open;
}

std::size_t Inspection::sessions() const {
  const auto& sessions = broker_.state_->sessions;
  return static_cast<std::size_t>(
      std::count_if(sessions.begin(), sessions.end(),
                    [](const Session& session) { return session.phase != Session::Phase::kFree; }));
}

}  // namespace muster::core
