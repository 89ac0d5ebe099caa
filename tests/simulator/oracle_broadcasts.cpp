// The oracle: what operators ask for, idle backends, going down.
#include <algorithm>
#include <utility>

#include "simulator/oracle.h"
#include "simulator/universe.h"
#include "simulator/violation.h"

namespace muster::simulator {

using Code = ControlError::Code;

namespace {

bool is_over(const Oracle::Cast& cast) {
  return std::none_of(cast.asked.begin(), cast.asked.end(), [](const Oracle::Asked& asked) {
    return asked.outcome == OutcomeKind::kOpen;
  });
}

}  // namespace

void Oracle::restore_keys(std::vector<Key> keys, Now now) {
  constexpr std::uint64_t kHourMs = 3'600'000;
  recorded_keys_ = keys;
  for (auto& key : keys) {
    const auto age = now.unix_ms > key.used_unix_ms ? now.unix_ms - key.used_unix_ms : 0;
    if (age >= kHourMs) continue;
    key.used = now.steady - milliseconds(age);
    key.restored = true;
    keys_.push_back(std::move(key));
  }
}

std::variant<core::Started, Code> Oracle::start(BroadcastId next, Wish wish, Now now) {
  const auto& choice = operation_of(wish.operation);
  const auto& operation_key = operation_key_of(wish.key);
  auto& by = wish.by;
  if (shutting_down_) return Code::kShuttingDown;
  if (!choice.accepted) return Code::kInvalid;
  if (operation_key.size() > kMaxOperationKeyBytes) return Code::kInvalid;
  if (const auto wrong = check_hold(wish)) return *wrong;

  const auto started = [](const Cast& cast, bool joined) {
    const auto skipped = static_cast<std::uint32_t>(std::count_if(
        cast.asked.begin(), cast.asked.end(),
        [](const Asked& asked) { return asked.outcome == OutcomeKind::kSkippedDead; }));
    const auto all = static_cast<std::uint32_t>(cast.asked.size());
    return core::Started{cast.id, all - skipped, skipped, joined, cast.backends_unknown};
  };
  // Rule: an operation key belongs to the user who used it, and holds for an hour and for as long
  // as its report is kept, across restarts; submitted twice, the second joins the first or gets its
  // report, and nothing is sent twice.
  const uid_t user = by ? by->uid : static_cast<uid_t>(-1);
  if (!operation_key.empty()) {
    std::erase_if(keys_, [&](const Key& used) {
      const auto cast = casts_.find(used.id);
      const bool has_report = cast != casts_.end() && !cast->second.forgotten;
      return !has_report && used.used + std::chrono::hours(1) <= now.steady;
    });
    for (const auto& used : keys_) {
      if (used.uid != user || used.key != operation_key) continue;
      // Whoever asks for a proof or a hold must not be given a broadcast without.
      const bool same = used.operation == *choice.accepted && used.selection == wish.selection &&
                        used.verify == wish.verify && used.hold == wish.hold;
      // Rule: a preflight is another request than what it asks about: neither joins the other.
      if (used.operation.is_preflight() != choice.accepted->is_preflight()) {
        cases_.saw(Case::kPreflightOtherKey);
      }
      if (!same) return Code::kKeyConflict;
      if (used.restored) cases_.saw(Case::kKeyAfterRestart);
      const auto known = find_report(used.id);
      if (const auto* code = std::get_if<Code>(&known)) return *code;
      return started(casts_.at(used.id), true);
    }
  }
  const auto user_of_it = by ? std::optional(by->uid) : std::nullopt;
  if (running() >= most_running(user_of_it)) return Code::kBusy;
  if (user_of_it && running() >= most_running(uid_of(0))) cases_.saw(Case::kReserveUsed);
  if (by && is_full(usage_of(by->uid).broadcasts)) {
    cases_.saw(Case::kBroadcastsUsedUp);
    ++counters.over_quota;
    return Code::kBusy;
  }
  // Rule: the reports of what a user asked for and still runs take no more than its reports may;
  // the one that goes over it is still taken.
  if (by && running_bytes_of(by->uid) >= report_quota(by->uid)) {
    cases_.saw(Case::kRunningBytesUsedUp);
    ++counters.over_quota;
    return Code::kBusy;
  }
  if (const auto no_room = no_room_for_hold(wish)) return *no_room;
  if (!operation_key.empty()) {
    keys_.push_back({user, operation_key, next, *choice.accepted, wish.selection, wish.verify,
                     wish.hold, now.unix_ms, now.steady, false});
    std::erase_if(recorded_keys_,
                  [&](const Key& one) { return one.uid == user && one.key == operation_key; });
    recorded_keys_.push_back(keys_.back());
  }

  Cast cast;
  if (by) cast.charged = by->uid;
  cast.by = std::move(by);
  cast.id = next;
  cast.operation = *choice.accepted;
  cast.selection = wish.selection;
  cast.operation_key = operation_key;
  if (wish.deadline) cast.deadline = std::max(*wish.deadline, milliseconds(1));
  cast.verify = wish.verify;
  cast.verify_wait = wish.verify_wait;
  cast.mount_namespace = wish.mount_namespace;
  cast.hold = wish.hold;
  return started(launch(std::move(cast), wish.ack_timeout, std::nullopt, now), false);
}

// Rule: root and the broker's own user have a reserve that nobody else can take. The broker itself
// may have all.
std::size_t Oracle::most_running(std::optional<uid_t> uid) const {
  const auto most = static_cast<std::size_t>(knobs_.max_broadcasts);
  if (!uid || core::is_privileged(*uid)) return most;
  return most - std::min<std::size_t>(most / 4, 16);
}

milliseconds Oracle::budget_of(const Backend& backend,
                               std::optional<milliseconds> ack_timeout) const {
  auto budget = milliseconds(knobs_.ack_timeout);
  if (backend.form.ack_timeout) budget = *backend.form.ack_timeout;
  if (ack_timeout) budget = *ack_timeout;
  if (budget < milliseconds(1)) budget = milliseconds(1);
  return std::min(budget, milliseconds(knobs_.max_ack_timeout));
}

Oracle::Cast& Oracle::launch(Cast what, std::optional<milliseconds> ack_timeout,
                             std::optional<std::uint64_t> only, Now now) {
  const auto id = what.id;
  last_id_ = id;
  auto& cast = casts_[id];
  cast = std::move(what);
  cast.started = now.steady;
  cast.started_unix_ms = now.unix_ms;
  // Rule: the broker knows of a process that was not asked, and cannot name it: never a yes.
  cast.backends_unknown = misses_somebody(cast.selection);
  if (!cast.backends_unknown && misses_somebody()) cases_.saw(Case::kMissedNotSelected);
  if (cast.backends_unknown) cases_.saw(Case::kMissedAsked);
  for (const auto& backend : backends_) {
    if (only && backend.serial != *only) continue;
    if (!selected(cast.selection, backend.form.key, backend.form.hot)) continue;
    Asked asked;
    asked.key = backend.key;
    asked.serial = backend.serial;
    asked.peer = backend.peer;
    asked.incarnation = backend.incarnation;
    if (backend.state == BackendState::kDead) {
      // Rule: it was dead (its process has exited) when the broadcast began: skipped. A living
      // process is never skipped.
      asked.outcome = OutcomeKind::kSkippedDead;
      asked.cause = backend.cause;
      ++counters.skipped_dead;
    } else {
      auto budget = budget_of(backend, ack_timeout);
      if (cast.deadline) budget = std::min(budget, *cast.deadline);
      asked.budget = budget;
      asked.deadline = now.steady + budget;
      if (backend.state == BackendState::kLive) {
        ++counters.operations_sent;
        asked.sent = true;
        send(backend.connection, Sent::Kind::kOperation, id,
             static_cast<std::uint64_t>(budget.count()));
      }
      // Rule: a backend that is reconnecting when the broadcast starts is a target; the operation
      // is sent when it returns.
      if (backend.state == BackendState::kReconnecting) cases_.saw(Case::kReconnectingAsked);
    }
    cast.asked.push_back(asked);
  }
  add_hold(cast);
  for (const auto& asked : cast.asked) charge_enrolment(cast, *by_serial(asked.serial));
  ++counters.broadcasts_started;
  tell(Event::Kind::kBroadcastStarted, cast);
  if (cast.asked.empty() || is_over(cast)) {
    end_if_complete(cast, now);
    return cast;
  }
  // Rule: a backend is lost when the broadcast starts: a failure, BackendError, at once.
  for (auto& asked : cast.asked) {
    const auto* backend = by_serial(asked.serial);
    if (asked.outcome != OutcomeKind::kOpen || backend->state != BackendState::kLost) continue;
    // Rule: the broker knows of a process that was not asked, as it was refused: the same.
    cases_.saw(backend->is_refused() ? Case::kRefusedAsked : Case::kLostAsked);
    if (backend->is_unseen()) cases_.saw(Case::kUnseenAsked);
    settle(cast, asked, OutcomeKind::kFailure, BroadcastFailureReason::kBackendError,
           backend->cause, now);
  }
  return cast;
}

std::variant<std::uint32_t, Code> Oracle::cancel(BroadcastId id, Now now) {
  const auto found = find_report(id);
  if (id == 0) return Code::kNotFound;
  if (const auto* code = std::get_if<Code>(&found)) return *code;
  auto& cast = casts_.at(id);
  const auto open = static_cast<std::uint32_t>(
      std::count_if(cast.asked.begin(), cast.asked.end(),
                    [](const Asked& asked) { return asked.outcome == OutcomeKind::kOpen; }));
  cancel(cast, now);
  return open;
}

void Oracle::cancel(Cast& cast, Now now) {
  if (cast.state == BroadcastState::kVerifying) {
    cases_.saw(Case::kVerifyingCancelled);
    cast.state = BroadcastState::kCancelled;
    return stop_verifying(cast, now);
  }
  for (auto& asked : cast.asked) {
    if (asked.outcome != OutcomeKind::kOpen) continue;
    cast.state = BroadcastState::kCancelled;
    const auto* backend = by_serial(asked.serial);
    if (backend->state == BackendState::kLive) {
      send(backend->connection, Sent::Kind::kCancel, cast.id);
    }
    // Rule: the operator cancels: open targets get CANCEL, their outcome is Rejected, and that it
    // was cancelled is the broker's word.
    settle(cast, asked, OutcomeKind::kFailure, BroadcastFailureReason::kRejected, Cause::kCancelled,
           now);
  }
}

void Oracle::idle_due(BroadcastId next, std::uint32_t key, SteadyTime at, Now now) {
  auto* backend = by_key(key);
  if (backend == nullptr || backend->state != BackendState::kLive || backend->idle_at != at) {
    throw Violation("an idle deadline is armed that nobody has");
  }
  backend->idle_at.reset();
  const auto idle_from = backend->last_activity + *backend->form.idle_timeout;
  if (idle_from > now.steady) {
    backend->idle_at = idle_from;
    return;
  }
  if (shutting_down_) return;
  if (!backend->holds.empty() && !backend->resumed_away) return;
  // Rule: quiesces that the broker starts itself count against the backend's user.
  std::size_t own = 0;
  for (const auto& [id, cast] : casts_) own += cast.own && !is_over(cast) ? 1 : 0;
  const std::size_t most = most_running(backend->peer.uid);
  if (running() >= most || 2 * own >= most || is_full(usage_of(backend->peer.uid).broadcasts)) {
    backend->idle_at = now.steady + std::chrono::seconds(1);
    return;
  }
  Cast cast;
  cast.id = next;
  cast.operation = BroadcastOperation::quiesce(QuiesceReason::kIdleTimeout);
  cast.own = true;
  cast.charged = backend->peer.uid;
  launch(std::move(cast), std::nullopt, backend->serial, now);
}

void Oracle::shut_down(BroadcastId next, bool restart, Now now) {
  if (shutting_down_) {
    for (auto& [id, cast] : casts_) cancel(cast, now);
    return;
  }
  shutting_down_ = true;
  told.push_back({Event::Kind::kShuttingDown, 0, kKeys, 0, 0, 0});
  std::vector<std::uint32_t> waiting;
  for (const auto& [number, connection] : connections_) {
    if (!connection.registered) waiting.push_back(number);
  }
  for (const auto number : waiting) refuse(number, 0, RefusalCode::kShuttingDown);
  // Rule: whoever waits for the end of a hold is answered, though nobody looks a last time.
  std::vector<HoldId> ending;
  for (auto& [id, hold] : holds_) {
    if (hold.ending) ending.push_back(id);
  }
  for (const HoldId id : ending) finish_hold(id, HoldEnd::kCompleted, now);
  if (restart) {  // Rule: a restart does not quiesce anybody.
    if (running() == 0) drained = drained_ever_ = true;
  } else {
    Cast cast;
    cast.id = next;
    cast.operation = BroadcastOperation::quiesce(QuiesceReason::kBrokerShutdown);
    launch(std::move(cast), std::nullopt, std::nullopt, now);
  }
  // Rule: what is verified ends at once, without a verification.
  for (auto& [id, cast] : casts_) {
    if (cast.state != BroadcastState::kVerifying) continue;
    cases_.saw(Case::kVerifyingShutDown);
    stop_verifying(cast, now);
  }
}

// Rule: quiesces may overlap: each ends by its own id, and the backend resumes when the last has
// ended. Without an id all end.
core::Resumed Oracle::resume(BroadcastId id, std::int64_t selection, Now now) {
  core::Resumed done;
  for (auto& backend : backends_) {
    if (backend.holds.empty() || backend.resumed_away) continue;
    const auto named = std::find_if(backend.holds.begin(), backend.holds.end(),
                                    [&](const auto& hold) { return hold.state.broadcast == id; });
    if (id != 0 && named == backend.holds.end()) continue;
    if (!selected(selection, backend.form.key, backend.form.hot)) continue;
    if (id != 0 && (named->for_more || backend.holds.size() > 1)) {
      ++done.still_quiesced;
      cases_.saw(Case::kStillQuiesced);
      if (!named->for_more) backend.holds.erase(named);
      continue;
    }
    cases_.saw(Case::kResumed);
    ++(backend.state == BackendState::kLive ? done.resumed : done.away);
    if (!backend.holds.empty()) backend.holds.erase(backend.holds.begin(), backend.holds.end() - 1);
    end_quiesce(backend);
  }
  // Rule: whoever resumes everybody ends the hold, too.
  if (static_cast<std::size_t>(selection) % kSelections == 0) end_quiesce_holds(id, now);
  return done;
}

std::optional<Code> Oracle::forget(std::uint32_t key, Now now) {
  auto* backend = by_key(key);
  if (backend == nullptr) return Code::kNotFound;
  const bool lost = backend->state == BackendState::kLost;
  if (!lost && backend->state != BackendState::kDead) return Code::kInvalid;
  cases_.saw(backend->is_refused() ? Case::kRefusedForgotten : Case::kForgotten);
  if (backend->is_unseen()) cases_.saw(Case::kUnseenForgotten);
  const auto serial = backend->serial;
  if (lost) {
    fail_open(serial, Cause::kForgotten, now);
    release(backend->connection);
  }
  tell(Event::Kind::kBackendForgotten, *backend);
  std::erase_if(backends_, [&](const Backend& b) { return b.serial == serial; });
  return std::nullopt;
}

// Rule: a process without a name counts where a key that is selected might be its own: where policy
// lets its user register none of those, it is not in the way.
bool Oracle::misses_somebody(std::int64_t selection) const {
  const auto counts = [&](uid_t uid) { return might_register(knobs_.policy, uid, selection); };
  return std::any_of(missed_.begin(), missed_.end(), counts) ||
         std::any_of(connections_.begin(), connections_.end(), [&](const auto& one) {
           return one.second.turned_away && counts(one.second.peer.uid);
         });
}

bool Oracle::forget_missed() {
  const bool had = misses_somebody();
  missed_.clear();
  std::vector<std::uint32_t> watches;
  for (const auto& [number, connection] : connections_) {
    if (connection.turned_away) watches.push_back(number);
  }
  for (const auto number : watches) release(number);
  return had;
}

}  // namespace muster::simulator
