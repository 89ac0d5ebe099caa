// How a broadcast that was accepted gets to its targets: who they are, what is sent to each, and
// until when each may answer.
#include <algorithm>
#include <new>

#include "core/broker_state.h"

namespace muster::core {

std::chrono::milliseconds Broker::State::budget_of(const BroadcastRequest& request,
                                                   const Entry& entry) const {
  auto budget = config.ack_timeout;
  if (request.ack_timeout) {
    budget = *request.ack_timeout;
  } else if (const auto& declared = entry.enrolment->registration.ack_timeout) {
    budget = *declared;
  }
  budget = std::min(BroadcastPolicy(budget).ack_timeout, config.max_ack_timeout);
  return std::min(budget, request.deadline.value_or(budget));
}

std::unique_ptr<Broadcast> Broker::State::prepare(Launch what, Now now) {
  auto made = log.make(shell.next_broadcast_id());
  auto& broadcast = *made;
  broadcast.id_not_durable = !shell.last_id_is_durable();
  broadcast.asked_by = std::move(what.asked_by);
  broadcast.charged = what.charged;
  broadcast.own = what.own;
  broadcast.request = std::move(what.request);
  if (broadcast.request.verify) broadcast.proof.emplace();
  broadcast.is_held = broadcast.request.hold.has_value();
  broadcast.backends_unknown = misses_backends(broadcast.request.selection);
  if (broadcast.asked_by && broadcast.request.operation.as_quiesce() != nullptr) {
    broadcast.quiesced_by = std::make_shared<const Operator>(*broadcast.asked_by);
  }
  broadcast.started = now.steady;
  broadcast.started_unix_ms = now.unix_ms;
  if (what.only == Registry::kNone) broadcast.targets.reserve(registry.size_hint());

  const auto* quiesce = broadcast.request.operation.as_quiesce();
  const bool is_kept = quiesce != nullptr && quiesce->reason != QuiesceReason::kBrokerShutdown;
  const bool everybody = broadcast.request.selection.empty();
  std::optional<SelectionWork> fresh;
  const SelectionWork* selected = what.selected;
  if (selected == nullptr && !everybody) selected = &fresh.emplace(broadcast.request.selection);
  const auto add = [&](EntryId id, Entry& entry) {
    if (!everybody && !selected->selects(id, entry)) return;
    if (entry.state == BackendState::kDead) {
      broadcast.skipped.push_back({entry.enrolment, entry.cause, id});
      return;
    }
    const auto budget = budget_of(broadcast.request, entry);
    Target& target = broadcast.targets.emplace_back();
    target.who = entry.enrolment;
    target.entry = id;
    target.ack_timeout = budget;
    target.deadline_at = now.steady + budget;
    if (is_kept) entry.quiesced.reserve();  // for its ack
    if (entry.open.size() == entry.open.capacity()) entry.open.reserve(2 * entry.open.size() + 1);
  };
  if (what.only == Registry::kNone) {
    registry.for_each(add);
  } else {
    add(what.only, registry.at(what.only));
  }
  broadcast.give_back_room();
  return made;
}

void Broker::State::charge_enrolments(Broadcast& broadcast) noexcept {
  BroadcastId before = 0;
  std::size_t bytes = 0;
  const auto charge = [&](Entry& entry) {
    if (entry.charged_to != before) {
      if (bytes != 0) log.charge_enrolments(broadcast, before, bytes);
      before = entry.charged_to;
      bytes = 0;
    }
    bytes += entry.enrolment_bytes();
    entry.charged_to = broadcast.id;
  };
  for (const Target& target : broadcast.targets) charge(registry.at(target.entry));
  for (const SkippedTarget& skipped : broadcast.skipped) charge(registry.at(skipped.entry));
  if (bytes != 0) log.charge_enrolments(broadcast, before, bytes);
}

// A living process that is not connected is a target, too: what is known of it is its outcome, or
// it comes back and is asked then.
void Broker::State::ask(Broadcast& broadcast, std::uint32_t index, Now now) {
  auto& target = broadcast.targets[index];
  if (!target.sent) {  // else it is live
    const auto& entry = registry.at(target.entry);
    if (entry.state == BackendState::kLost) {
      return settle(broadcast, index, OutcomeKind::kFailure, entry.cause, now);
    }
  }
  try {
    Deadline deadline;
    deadline.kind = Deadline::Kind::kTarget;
    deadline.broadcast = &broadcast;
    deadline.index = index;
    target.deadline = arm(deadline, target.deadline_at);
  } catch (const std::bad_alloc&) {
    settle(broadcast, index, OutcomeKind::kFailure, Cause::kBrokerError, now);
  }
}

Broadcast& Broker::State::launch(Launch what, Now now) {
  auto prepared = prepare(std::move(what), now);
  auto outgoing = prepared->outgoing(std::chrono::milliseconds(-1));  // while nothing is sent yet
  if (prepared->charged) accounts.take(Resource::kBroadcast, *prepared->charged);
  const auto charged = prepared->charged;
  const BroadcastId id = prepared->id;
  Broadcast* added = nullptr;
  try {
    if (prepared->request.hold) add_hold(*prepared);
    added = &log.add(std::move(prepared));
  } catch (...) {
    if (charged) accounts.give_back(Resource::kBroadcast, *charged);
    remove_hold(id);
    throw;
  }
  auto& broadcast = *added;
  charge_enrolments(broadcast);
  // From here on everything that was prepared gets an outcome.
  const auto count = static_cast<std::uint32_t>(broadcast.targets.size());
  std::uint64_t sent = 0;
  shell.begin_sends(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    auto& target = broadcast.targets[i];
    auto& entry = registry.at(target.entry);
    entry.open.push_back({broadcast.id, &broadcast, i});  // has room: see prepare()
    if (entry.state != BackendState::kLive) continue;
    if (outgoing.ack_timeout != target.ack_timeout)
      broadcast.set_budget(outgoing, target.ack_timeout);
    try {
      shell.send(entry.connection, outgoing);
      target.sent = true;
      ++sent;
    } catch (const std::bad_alloc&) {
      target.cause = Cause::kBrokerError;  // settled below
    }
  }
  // Sent first, so that backends work while the timers are armed.
  unless_out_of_memory([&] { shell.flush(); });
  ++counters.broadcasts_started;
  counters.operations_sent += sent;
  counters.skipped_dead += broadcast.skipped.size();
  tell(Event::Kind::kBroadcastStarted, broadcast, now);
  if (broadcast.complete()) {  // no backend to ask
    broadcast.completed(now.steady);
    completed(broadcast, now);
    return broadcast;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    if (broadcast.targets[i].cause == Cause::kBrokerError) {
      settle(broadcast, i, OutcomeKind::kFailure, Cause::kBrokerError, now);
    } else {
      ask(broadcast, i, now);
    }
  }
  return broadcast;
}

}  // namespace muster::core
