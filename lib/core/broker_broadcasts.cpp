// What operators ask for: start a broadcast, cancel it, see its report, see who is there.
#include <algorithm>
#include <new>

#include "muster/path.h"

#include "core/broker_state.h"
#include "model/time_text.h"

namespace muster::core {
namespace {

// Whose the keys are of what nobody in particular asks for.
constexpr uid_t kNobody = static_cast<uid_t>(-1);

ControlError error(ControlError::Code code, std::string message) {
  return {code, std::move(message)};
}

}  // namespace

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

std::optional<ControlError> Broker::State::check(BroadcastRequest& request) const {
  if (const auto* release = request.operation.as_release_handles()) {
    auto normal = normalize_path_prefix(release->path_prefix);
    if (!normal.problem.empty()) {
      return error(ControlError::Code::kInvalid, std::move(normal.problem));
    }
    std::string alias;
    if (!release->alias.empty()) {
      auto asked = normalize_path_prefix(release->alias);
      if (!asked.problem.empty()) {
        return error(ControlError::Code::kInvalid, "the alias: " + std::move(asked.problem));
      }
      if (asked.path != normal.path) alias = std::move(asked.path);
    }
    request.operation =
        BroadcastOperation::release_handles(std::move(normal.path), std::move(alias));
  }
  if (request.operation_key.size() > kMaxOperationKeyBytes) {
    return error(ControlError::Code::kInvalid,
                 "the operation key has " + std::to_string(request.operation_key.size()) +
                     " bytes; the most is " + std::to_string(kMaxOperationKeyBytes));
  }
  if (request.deadline) request.deadline = BroadcastPolicy(*request.deadline).ack_timeout;
  return std::nullopt;
}

std::variant<const Broadcast*, ControlError> Broker::State::known_by_key(
    const BroadcastRequest& request, std::optional<uid_t> asked_by) const {
  if (request.operation_key.empty()) return nullptr;
  const auto* use = keys.find(asked_by.value_or(kNobody), request.operation_key);
  if (use == nullptr) return nullptr;
  const std::string name = "the operation key " + quote(request.operation_key);
  if (use->request != request_text(request)) {
    const auto operation = use->request.substr(0, use->request.find('\n'));
    const bool same = operation == request.operation.to_string();
    return error(ControlError::Code::kKeyConflict,
                 name + " belongs to broadcast " + std::to_string(use->broadcast) + " (" +
                     operation + (same ? ", of other backends" : "") +
                     "); give each different request a key of its own");
  }
  if (const auto* known = log.find(use->broadcast)) return known;
  auto gone = no_report(use->broadcast);
  gone.message = name + " was used at " + format_utc(use->used_unix_ms) +
                 ", so nothing is sent: " + gone.message;
  return gone;
}

std::variant<Started, ControlError> Broker::start_broadcast(BroadcastRequest request, Now now,
                                                            std::optional<Operator> asked_by,
                                                            const SelectionWork* selected) {
  auto& state = *state_;
  if (state.shutting_down) {
    return error(ControlError::Code::kShuttingDown,
                 "the broker is shutting down and starts no broadcast");
  }
  if (auto wrong = state.check(request)) return std::move(*wrong);
  const auto uid = asked_by ? std::optional(asked_by->uid) : std::nullopt;
  if (!request.operation_key.empty()) {
    state.keys.expire(now.steady - state.config.key_age,
                      [&](BroadcastId id) { return state.log.find(id) != nullptr; });
  }
  const auto known = state.known_by_key(request, uid);
  if (const auto* conflict = std::get_if<ControlError>(&known)) return *conflict;
  if (const auto* there = std::get<const Broadcast*>(known)) {
    return Started{there->id, static_cast<std::uint32_t>(there->targets.size()),
                   static_cast<std::uint32_t>(there->skipped.size()), true};
  }
  if (state.log.running() >= state.config.max_broadcasts) {
    return error(ControlError::Code::kBusy, "there are " + std::to_string(state.log.running()) +
                                                " broadcasts in flight, the most that this "
                                                "broker takes; try again when some have ended");
  }
  if (uid) {
    if (auto over = state.accounts.refusal(Resource::kBroadcast, *uid)) {
      ++state.counters.over_quota;
      return error(ControlError::Code::kBusy,
                   *std::move(over) + "; try again when one has ended, or cancel one");
    }
  }
  std::optional<UsedKey> key;
  if (!request.operation_key.empty()) {
    key = UsedKey{uid.value_or(kNobody), request.operation_key, 0, request_text(request),
                  now.unix_ms};
    if (!state.keys.has_room(key->uid)) {
      return error(ControlError::Code::kBusy,
                   "this user has " + std::to_string(OperationKeys::kMaxPerUser) +
                       " operation keys in use, which are kept for an hour; try again later");
    }
  }
  State::Launch what;
  what.request = std::move(request);
  what.asked_by = std::move(asked_by);
  what.charged = uid;
  what.selected = selected;
  if (!key) {
    const auto& broadcast = state.launch(std::move(what), now);
    return Started{broadcast.id, static_cast<std::uint32_t>(broadcast.targets.size()),
                   static_cast<std::uint32_t>(broadcast.skipped.size()), false};
  }
  // What needs memory comes before anything is sent.
  state.keys.add(*key, now.steady);
  const Broadcast* started = nullptr;
  try {
    started = &state.launch(std::move(what), now);
  } catch (...) {
    state.keys.remove(key->uid, key->key);
    throw;
  }
  const auto& broadcast = *started;
  key->broadcast = broadcast.id;
  state.keys.set_broadcast(key->uid, key->key, broadcast.id);
  try {
    state.shell.key_used(*key);
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): only a restart forgets it
  }
  return Started{broadcast.id, static_cast<std::uint32_t>(broadcast.targets.size()),
                 static_cast<std::uint32_t>(broadcast.skipped.size()), false};
}

std::unique_ptr<Broadcast> Broker::State::prepare(Launch what, Now now) {
  auto made = log.make(shell.next_broadcast_id());
  auto& broadcast = *made;
  broadcast.id_not_durable = !shell.last_id_is_durable();
  broadcast.asked_by = std::move(what.asked_by);
  broadcast.charged = what.charged;
  broadcast.own = what.own;
  broadcast.request = std::move(what.request);
  broadcast.started = now.steady;
  broadcast.started_unix_ms = now.unix_ms;
  if (what.only == Registry::kNone) broadcast.targets.reserve(registry.size_hint());

  const bool everybody = broadcast.request.selection.empty();
  std::optional<SelectionWork> fresh;
  const SelectionWork* selected = what.selected;
  if (selected == nullptr && !everybody) selected = &fresh.emplace(broadcast.request.selection);
  std::chrono::milliseconds made_for{-1};  // mostly all have the same
  const auto make_frame = [&](std::chrono::milliseconds budget) {
    if (budget == made_for) return;
    made_for = budget;
    if (broadcast.frame_for(budget) != nullptr) return;
    OutgoingOperation outgoing;
    outgoing.broadcast_id = broadcast.id;
    outgoing.operation = broadcast.request.operation;
    outgoing.ack_timeout = budget;
    outgoing.deadline_unix_ms = now.unix_ms + static_cast<std::uint64_t>(budget.count());
    if (broadcast.request.operation.as_quiesce() != nullptr) outgoing.hold_id = broadcast.id;
    outgoing.traceparent = broadcast.request.traceparent;
    outgoing.tracestate = broadcast.request.tracestate;
    broadcast.add_frame(budget, shell.encode(outgoing));
  };
  const auto add = [&](EntryId id, Entry& entry) {
    if (!everybody && !selected->selects(id, entry)) return;
    if (entry.state == BackendState::kDead) {
      broadcast.skipped.push_back({entry.enrolment, entry.cause});
      return;
    }
    const auto budget = budget_of(broadcast.request, entry);
    make_frame(budget);
    Target& target = broadcast.targets.emplace_back();
    target.who = entry.enrolment;
    target.entry = id;
    target.budget = budget;
    target.deadline_at = now.steady + budget;
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

// A living process that is not connected is a target, too: what is known of it is its outcome, or
// it comes back and is asked then.
void Broker::State::ask(Broadcast& broadcast, std::uint32_t index, Now now) {
  auto& target = broadcast.targets[index];
  auto& entry = registry.at(target.entry);
  if (entry.state == BackendState::kLost) {
    return settle(broadcast, index, OutcomeKind::kFailure, entry.cause, now);
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
  if (prepared->charged) accounts.take(Resource::kBroadcast, *prepared->charged);
  const auto charged = prepared->charged;
  Broadcast* added = nullptr;
  try {
    added = &log.add(std::move(prepared));
  } catch (...) {
    if (charged) accounts.give_back(Resource::kBroadcast, *charged);
    throw;
  }
  auto& broadcast = *added;
  // From here on everything that was prepared gets an outcome.
  const auto count = static_cast<std::uint32_t>(broadcast.targets.size());
  std::uint64_t sent = 0;
  const FramePtr* frame = nullptr;
  std::chrono::milliseconds frame_is_for{-1};
  for (std::uint32_t i = 0; i < count; ++i) {
    auto& target = broadcast.targets[i];
    auto& entry = registry.at(target.entry);
    entry.open.push_back({broadcast.id, &broadcast, i});  // has room: see prepare()
    if (entry.state != BackendState::kLive) continue;
    if (target.budget != frame_is_for) {
      frame_is_for = target.budget;
      frame = broadcast.frame_for(frame_is_for);
    }
    try {
      shell.send(entry.connection, *frame);
      target.sent = true;
      ++sent;
    } catch (const std::bad_alloc&) {
      target.cause = Cause::kBrokerError;  // settled below
    }
  }
  // Backends already work while the timers are armed.
  shell.flush();
  ++counters.broadcasts_started;
  counters.operations_sent += sent;
  counters.skipped_dead += broadcast.skipped.size();
  tell(Event::Kind::kBroadcastStarted, broadcast, now);
  if (broadcast.complete()) {  // nobody to ask
    broadcast.ended = now.steady;
    broadcast.state = BroadcastState::kFinished;
    finish(broadcast, now);
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

std::variant<DryRun, ControlError> Broker::dry_run(const BroadcastRequest& request,
                                                   std::optional<uid_t> asked_by,
                                                   const SelectionWork* selected) const {
  auto checked = request;
  if (auto wrong = state_->check(checked)) return std::move(*wrong);
  const auto known = state_->known_by_key(checked, asked_by);
  if (const auto* conflict = std::get_if<ControlError>(&known)) return *conflict;
  DryRun dry_run;
  if (const auto* there = std::get<const Broadcast*>(known)) {
    dry_run.joins = there->id;
    return dry_run;
  }
  std::optional<SelectionWork> fresh;
  if (selected == nullptr) selected = &fresh.emplace(request.selection);
  state_->registry.for_each([&](EntryId id, const Entry& entry) {
    if (!selected->selects(id, entry)) return;
    auto& list = entry.state == BackendState::kDead ? dry_run.skipped_dead : dry_run.would_ask;
    list.push_back(entry.enrolment->key());
  });
  return dry_run;
}

std::variant<std::uint32_t, ControlError> Broker::cancel_broadcast(BroadcastId id, Now now) {
  auto* broadcast = state_->log.find(id);
  if (broadcast == nullptr) return state_->no_report(id);
  const auto open = broadcast->open_count();
  state_->cancel(*broadcast, now);
  return open;
}

void Broker::State::cancel(Broadcast& broadcast, Now now) {
  if (broadcast.complete()) return;
  broadcast.cancelling = true;
  const auto count = static_cast<std::uint32_t>(broadcast.targets.size());
  const auto id = broadcast.id;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto& target = broadcast.targets[i];
    if (target.outcome != OutcomeKind::kOpen) continue;
    const auto& entry = registry.at(target.entry);
    if (entry.state == BackendState::kLive) shell.send(entry.connection, id, CancelNotice{});
    settle(broadcast, i, OutcomeKind::kFailure, Cause::kCancelled, now,
           BroadcastFailureReason::kRejected);
  }
}

Resumed Broker::resume(BroadcastId id, const Selection& selection, Now now) {
  auto& state = *state_;
  Resumed done;
  const SelectionWork selected(selection);
  state.registry.for_each([&](EntryId entry_id, Entry& entry) {
    if (!entry.quiesced || entry.quiesced->ended) return;
    if (id != 0 && entry.quiesced->state.broadcast != id) return;
    if (!selected.selects(entry_id, entry)) return;
    if (!entry.enrolment->registration.can_resume) {
      ++done.cannot_resume;
      return;
    }
    ++done.resumed;
    state.end_quiesce(entry_id, now);
  });
  return done;
}

std::optional<ControlError> Broker::forget(const BackendKey& key, Now now) {
  auto& state = *state_;
  const auto id = state.registry.find(key);
  if (id == Registry::kNone) {
    return error(ControlError::Code::kNotFound, "no backend has the key " + key.to_string());
  }
  auto& entry = state.registry.at(id);
  const auto who = entry.enrolment;
  if (entry.state != BackendState::kDead && entry.state != BackendState::kLost) {
    return error(ControlError::Code::kInvalid,
                 key.to_string() + " is " + std::string(to_string(entry.state)) +
                     "; only a dead or a lost backend can be forgotten");
  }
  if (entry.state == BackendState::kLost) {
    state.fail_open(entry, Cause::kForgotten, now);
    state.release(entry.connection);
    state.accounts.give_back(Resource::kRegistration, who->peer.uid);
  }
  state.registry.remove(id);
  state.tell(Event::Kind::kBackendForgotten, *who, now);
  return std::nullopt;
}

std::variant<BroadcastRows, ControlError> Broker::report(BroadcastId id, Now now) const {
  const auto& log = state_->log;
  const auto* broadcast = id == 0 ? log.newest() : log.find(id);
  if (broadcast == nullptr) return state_->no_report(id);
  return BroadcastRows(*broadcast, now.steady);
}

ControlError Broker::State::no_report(BroadcastId id) const {
  if (id == 0) {
    return error(ControlError::Code::kNotFound,
                 "there was no broadcast since the broker started, or its report is gone");
  }
  const auto name = "broadcast " + std::to_string(id);
  if (log.first_id() != 0 && id >= log.first_id() && id <= log.last_id()) {
    return error(
        ControlError::Code::kExpired,
        "the report of " + name + " was kept as long as the configuration says and is gone");
  }
  const bool before = id >= config.first_id_ever && id < config.next_id_at_start;
  if (before) {
    return error(ControlError::Code::kInterrupted,
                 "the broker restarted at " + format_utc(config.started_unix_ms) + "; " + name +
                     " was not finished or its report is gone");
  }
  return error(ControlError::Code::kNotFound, "there never was a " + name);
}

bool Broker::look_on(SelectionWork& selection, SteadyTime until) const {
  return selection.advance(state_->registry, until);
}

BackendSnapshot Broker::snapshot(const SelectionWork& selection) const {
  BackendSnapshot backends;
  state_->registry.for_each([&](EntryId id, const Entry& entry) {
    if (selection.selects(id, entry)) backends.add(entry);
  });
  return backends;
}

std::vector<BackendInfo> Broker::backends(const Selection& selection) const {
  const auto found = snapshot(SelectionWork(selection));
  std::vector<BackendInfo> list;
  list.reserve(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) list.push_back(found.info(i));
  return list;
}

void Broker::fill_status(BrokerStatus& status) const {
  status.version = state_->config.broker_version;
  status.started_unix_ms = state_->config.started_unix_ms;
  status.shutting_down = state_->shutting_down;
  status.live_backends = 0;
  status.dead_backends = 0;
  status.reconnecting_backends = 0;
  status.lost_backends = 0;
  status.quiesced_backends = 0;
  state_->registry.for_each([&](EntryId, const Entry& entry) {
    switch (entry.state) {
      case BackendState::kLive:
        ++status.live_backends;
        break;
      case BackendState::kReconnecting:
        ++status.reconnecting_backends;
        break;
      case BackendState::kLost:
        ++status.lost_backends;
        break;
      case BackendState::kDead:
        ++status.dead_backends;
        break;
    }
    if (entry.quiesced && !entry.quiesced->ended) ++status.quiesced_backends;
  });
  status.running_broadcasts.clear();
  state_->log.for_each_running(
      [&](const Broadcast& broadcast) { status.running_broadcasts.push_back(broadcast.id); });
  status.reports_kept = state_->log.kept();
  status.counters = state_->counters;
  status.users = state_->usage();
}

}  // namespace muster::core
