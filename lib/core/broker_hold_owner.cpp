// To whom a hold belongs: an operator's connection, which ends it by leaving; nobody for a while,
// until that operator comes back; or its time alone.
#include <string>
#include <utility>

#include "core/broker_state.h"

namespace muster::core {
namespace {

ControlError ownership_error(ControlError::Code code, std::string message) {
  return {code, std::move(message)};
}

}  // namespace

void Broker::hold_left(HoldId id, Now now) {
  auto& state = *state_;
  Hold* const hold = state.holds.find(id);
  if (hold == nullptr || !hold->state.leased) return;
  if (state.shutting_down) {  // the connection ends with the broker
    hold->state.owner_away = true;
    return;
  }
  // Nobody waits for its last scan any more.
  state.finish_hold(id, hold->is_ending ? HoldEnd::kCompleted : HoldEnd::kAbandoned, now);
}

std::optional<ControlError> Broker::keep_hold(HoldId id, uid_t uid, Now /*now*/) {
  auto& state = *state_;
  Hold* const hold = state.holds.find(id);
  const std::string name = "hold " + std::to_string(id);
  if (hold == nullptr)
    return ownership_error(ControlError::Code::kNotFound, "no " + name + " goes on");
  if (!hold->state.leased) {
    return ownership_error(ControlError::Code::kInvalid, name + " belongs to no connection");
  }
  if (!hold->asked_by || hold->asked_by->uid != uid) {
    return ownership_error(ControlError::Code::kDenied, name + " is another user's");
  }
  state.disarm(hold->owner);
  hold->state.owner_away = false;
  return std::nullopt;
}

std::optional<ControlError> Broker::detach_hold(HoldId id, uid_t uid, Now now) {
  const Hold* const known = state_->holds.find(id);
  const bool would_end = known == nullptr || known->ttl || known->state.expires_unix_ms != 0;
  if (!would_end) {
    return ownership_error(ControlError::Code::kInvalid,
                           "hold " + std::to_string(id) + " has no time: nothing would end it");
  }
  if (auto error = keep_hold(id, uid, now)) return error;
  state_->holds.find(id)->state.leased = false;
  state_->shell.holds_changed();
  return std::nullopt;
}

}  // namespace muster::core
