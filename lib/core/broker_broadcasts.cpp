// Requests of operators: start a broadcast, cancel it, read its report, list the backends.
#include <new>
#include <utility>

#include "muster/text.h"

#include "core/broker_state.h"
#include "model/operation_table.h"
#include "model/time_text.h"

namespace muster::core {
namespace {

Started started_of(const Broadcast& broadcast, bool joined) {
  return {broadcast.id, static_cast<std::uint32_t>(broadcast.targets.size()),
          static_cast<std::uint32_t>(broadcast.skipped.size()), joined, broadcast.backends_unknown};
}

// What becomes at once of a lost backend that is asked.
BackendOutcome outcome_of_lost(const Entry& entry, std::chrono::milliseconds budget) {
  const Enrolment& who = *entry.enrolment;
  BackendOutcome outcome;
  outcome.key = who.key();
  outcome.incarnation = who.incarnation;
  outcome.pid = who.peer.process.pid;
  outcome.uid = who.peer.uid;
  outcome.outcome = OutcomeKind::kFailure;
  outcome.reason = BroadcastFailureReason::kBackendError;
  outcome.cause = entry.cause;
  outcome.said_by = said_by(entry.cause);
  outcome.detail = explain(entry.cause, outcome.pid);
  outcome.ack_timeout = budget;
  return outcome;
}

// Whose the keys are of what nobody in particular asks for.
constexpr uid_t kNobody = static_cast<uid_t>(-1);

ControlError error(ControlError::Code code, std::string message) {
  return {code, std::move(message)};
}

}  // namespace

std::optional<ControlError> Broker::State::check(BroadcastRequest& request) const {
  if (auto problem = normalize(request.operation); !problem.empty()) {
    return error(ControlError::Code::kInvalid, std::move(problem));
  }
  if (request.operation_key.size() > kMaxOperationKeyBytes) {
    return error(ControlError::Code::kInvalid,
                 "the operation key has " + std::to_string(request.operation_key.size()) +
                     " bytes; the most is " + std::to_string(kMaxOperationKeyBytes));
  }
  if (!request.operation_key.empty()) {
    if (const auto bytes = request_text(request).size(); bytes > OperationKeys::kMaxRequestText) {
      return error(ControlError::Code::kInvalid,
                   "the path and selectors of a request with an operation key are kept with it: "
                   "they have " +
                       std::to_string(bytes) + " bytes; the most is " +
                       std::to_string(OperationKeys::kMaxRequestText));
    }
  }
  if (request.deadline) request.deadline = BroadcastPolicy(*request.deadline).ack_timeout;
  if (request.operation.is_preflight() && (request.verify || request.hold)) {
    return error(ControlError::Code::kInvalid,
                 std::string("a preflight releases nothing, so it cannot be ") +
                     (request.verify ? "verified" : "held") + ": ask for that with the operation");
  }
  if (request.verify && request.operation.as_release_handles() == nullptr) {
    return error(ControlError::Code::kInvalid, "only a release of a path can be verified");
  }
  return request.hold ? check(*request.hold) : std::nullopt;
}

std::variant<const Broadcast*, ControlError> Broker::State::known_by_key(
    const BroadcastRequest& request, std::optional<uid_t> asked_by, Now now) const {
  if (request.operation_key.empty()) return nullptr;
  const auto* use = keys.find(asked_by.value_or(kNobody), request.operation_key);
  if (use == nullptr) return nullptr;
  const auto* known = log.find(use->broadcast);
  // It is forgotten at the next start.
  if (known == nullptr && use->used <= now.steady - config.key_age) return nullptr;
  const std::string name = "the operation key " + quote(request.operation_key);
  if (use->request != request_text(request)) {
    const auto operation = use->request.substr(0, use->request.find('\n'));
    const bool same = operation == request.operation.to_string();
    const auto of =
        use->broadcast == 0 ? "another broadcast" : "broadcast " + std::to_string(use->broadcast);
    return error(ControlError::Code::kKeyConflict,
                 name + " belongs to " + of + " (" + operation +
                     (same ? ", of other backends or with other options" : "") +
                     "); give each different request a key of its own");
  }
  if (known != nullptr) return known;
  if (use->broadcast == 0) {
    return error(ControlError::Code::kInterrupted,
                 name + " was used at " + format_utc(use->used_unix_ms) +
                     ", so nothing is sent: the broker ended before it recorded the broadcast; "
                     "backends may or may not have been asked: repeat the request with a new key");
  }
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
  const auto known = state.known_by_key(request, uid, now);
  if (const auto* conflict = std::get_if<ControlError>(&known)) return *conflict;
  if (const auto* there = std::get<const Broadcast*>(known)) {
    return started_of(*there, true);
  }
  const std::size_t most = uid ? most_for(*uid, state.config.max_broadcasts)
                               : state.config.max_broadcasts;  // the broker itself
  if (state.log.running() >= most) {
    std::string text = "there are " + std::to_string(state.log.running()) +
                       " broadcasts in flight, the most that this broker takes; ";
    if (const std::size_t reserved = state.config.max_broadcasts - most; reserved != 0) {
      text += std::to_string(reserved) + " more are reserved for root and the broker's own user; ";
    }
    return error(ControlError::Code::kBusy, text + "try again when some have ended");
  }
  if (uid) {
    if (auto over = state.accounts.refusal(Resource::kBroadcast, *uid)) {
      ++state.counters.over_quota;
      return error(ControlError::Code::kBusy,
                   *std::move(over) + "; try again when one has ended, or cancel one");
    }
    const std::uint64_t quota = state.accounts.quota_of(*uid).report_bytes;
    if (const std::size_t bytes = state.bytes_running(*uid); bytes >= quota) {
      ++state.counters.over_quota;
      return error(ControlError::Code::kBusy,
                   "uid " + std::to_string(*uid) + " has running broadcasts of " +
                       std::to_string(bytes) + " bytes, and its quota of report_bytes is " +
                       std::to_string(quota) + "; try again when one has ended, or cancel one");
    }
  }
  if (request.hold) {
    if (auto no_room = state.no_room_for_hold(request, uid)) return std::move(*no_room);
  }
  std::optional<UsedKey> key;
  if (!request.operation_key.empty()) {
    key = UsedKey{uid.value_or(kNobody), request.operation_key, 0, request_text(request),
                  now.unix_ms};
    if (!state.keys.has_room(key->uid)) {
      return error(ControlError::Code::kBusy,
                   "this user has as many operation keys in use as one may have (" +
                       std::to_string(OperationKeys::kMaxPerUser) + " of them, or " +
                       std::to_string(OperationKeys::kMaxBytesPerUser) +
                       " bytes), and they are kept for an hour; try again later");
    }
  }
  State::Launch what;
  what.request = std::move(request);
  what.asked_by = std::move(asked_by);
  what.charged = uid;
  what.selected = selected;
  if (!key) return started_of(state.launch(std::move(what), now), false);
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
  unless_out_of_memory([&] { state.shell.key_used(*key); });  // else a restart forgets it
  return started_of(broadcast, false);
}

std::variant<DryRun, ControlError> Broker::dry_run(const BroadcastRequest& request, Now now,
                                                   std::optional<uid_t> asked_by,
                                                   const SelectionWork* selected) const {
  auto checked = request;
  if (auto wrong = state_->check(checked)) return std::move(*wrong);
  const auto known = state_->known_by_key(checked, asked_by, now);
  if (const auto* conflict = std::get_if<ControlError>(&known)) return *conflict;
  DryRun dry_run;
  if (const auto* there = std::get<const Broadcast*>(known)) {
    dry_run.joins = there->id;
    dry_run.backends_unknown = there->backends_unknown;
    return dry_run;
  }
  dry_run.backends_unknown = state_->misses_backends(request.selection);
  std::optional<SelectionWork> fresh;
  if (selected == nullptr) selected = &fresh.emplace(request.selection);
  state_->registry.for_each([&](EntryId id, const Entry& entry) {
    if (!selected->selects(id, entry)) return;
    const BackendKey& key = entry.enrolment->key();
    switch (entry.state) {
      case BackendState::kDead:
        dry_run.skipped_dead.push_back(key);
        return;
      case BackendState::kLost:
        dry_run.would_fail.push_back(outcome_of_lost(entry, state_->budget_of(checked, entry)));
        return;
      case BackendState::kReconnecting:
        dry_run.reconnecting.push_back(key);
        break;
      case BackendState::kLive:
        break;
    }
    dry_run.would_ask.push_back(key);
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
  if (is_over(broadcast.state)) return;
  broadcast.cancelling = true;
  if (broadcast.state == BroadcastState::kVerifying) return stop_verifying(broadcast, now);
  const auto count = static_cast<std::uint32_t>(broadcast.targets.size());
  const auto id = broadcast.id;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto& target = broadcast.targets[i];
    if (target.outcome != OutcomeKind::kOpen) continue;
    tell_cancelled(registry.at(target.entry), id);
    settle(broadcast, i, OutcomeKind::kFailure, Cause::kCancelled, now,
           BroadcastFailureReason::kRejected);
  }
}

Resumed Broker::resume(BroadcastId id, const Selection& selection, Now now) {
  ResumeWork work = begin_resume(id, SelectionWork(selection));
  (void)resume_on(work, now, [] { return false; });
  return work.done;
}

ResumeWork Broker::begin_resume(BroadcastId id, const SelectionWork& selected) const {
  ResumeWork work;
  work.id = id;
  work.ends_holds = selected.is_everybody();
  std::as_const(state_->registry).for_each([&](EntryId entry_id, const Entry& entry) {
    if (!entry.quiesced.holds(id) || !selected.selects(entry_id, entry)) return;
    work.all.push_back({entry_id, entry.quiesced.newest().broadcast});
  });
  return work;
}

bool Broker::resume_on(ResumeWork& work, Now now, const std::function<bool()>& turn_is_over) {
  constexpr std::size_t kBetweenLooks = 8;  // whether the turn is over
  auto& state = *state_;
  state.shell.begin_sends(work.all.size() - work.next);
  for (std::size_t seen = 1; work.next < work.all.size(); ++seen) {
    if (seen % kBetweenLooks == 0 && turn_is_over()) return true;
    const ResumeWork::Quiesced one = work.all[work.next++];
    state.resume(one, work.id, now, work.done);
  }
  if (work.ends_holds) state.end_quiesce_holds(work.id, now);
  return false;
}

void Broker::State::resume(const ResumeWork::Quiesced& one, BroadcastId id, Now now,
                           Resumed& done) {
  auto& entry = registry.at(one.entry);
  // It left meanwhile, or resumed.
  if (entry.enrolment == nullptr || !entry.quiesced.holds(id)) return;
  if (!entry.enrolment->registration.can_resume) {
    ++done.cannot_resume;
    return;
  }
  const bool acked_another = id == 0 && entry.quiesced.newest().broadcast != one.newest;
  if (acked_another || entry.quiesced.end_one_of_many(id)) {
    ++done.still_quiesced;
    shell.record_changed(entry.enrolment->key());
    return;
  }
  ++(entry.state == BackendState::kLive ? done.resumed : done.away);
  end_quiesce(one.entry, HoldEnd::kResumed, now);
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
  if (entry.is_refused()) {
    state.drop_refused(id);
  } else {
    if (entry.state == BackendState::kLost) {
      state.fail_open(entry, Cause::kForgotten, now);
      state.release(entry.connection);
      state.accounts.give_back(Resource::kRegistration, who->peer.uid);
    }
    state.registry.remove(id);
  }
  state.tell(Event::Kind::kBackendForgotten, *who, now);
  return std::nullopt;
}

std::variant<BroadcastRows, ControlError> Broker::report(BroadcastId id, Now now) const {
  const auto& log = state_->log;
  const auto* broadcast = id == 0 ? log.newest() : log.find(id);
  if (broadcast == nullptr) return state_->no_report(id);
  const Hold* const hold = state_->holds.find(broadcast->id);
  return BroadcastRows(*broadcast, now.steady, hold == nullptr ? nullptr : &hold->state);
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

}  // namespace muster::core
