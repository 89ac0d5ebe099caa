// The oracle: what operators ask for, idle backends, going down.
#include <algorithm>

#include "simulator/shadow.h"
#include "simulator/universe.h"
#include "simulator/violation.h"

namespace muster::simulator {

using Code = ControlError::Code;

std::variant<core::Started, Code> Shadow::start(BroadcastId next, std::int64_t operation,
                                                std::optional<milliseconds> ack_timeout,
                                                std::int64_t selection, std::int64_t key,
                                                std::optional<uid_t> by, Now now) {
  const auto& choice = operation_of(operation);
  const auto& operation_key = operation_key_of(key);
  if (shutting_down_) return Code::kShuttingDown;
  if (!choice.accepted) return Code::kInvalid;
  if (operation_key.size() > kMaxOperationKeyBytes) return Code::kInvalid;

  const auto started = [](const Cast& cast, bool joined) {
    const auto skipped = static_cast<std::uint32_t>(std::count_if(
        cast.asked.begin(), cast.asked.end(),
        [](const Asked& asked) { return asked.outcome == OutcomeKind::kSkippedDead; }));
    const auto all = static_cast<std::uint32_t>(cast.asked.size());
    return core::Started{cast.id, all - skipped, skipped, joined};
  };
  for (const auto& [id, cast] : casts_) {
    if (operation_key.empty() || cast.forgotten || cast.operation_key != operation_key) continue;
    const bool same = cast.operation == *choice.accepted && cast.selection == selection;
    if (!same) return Code::kKeyConflict;
    return started(cast, true);
  }
  if (running() >= static_cast<std::size_t>(knobs_.max_broadcasts)) return Code::kBusy;
  if (by && is_full(usage_of(*by).broadcasts)) {
    cases_.saw(Case::kBroadcastsUsedUp);
    ++counters.over_quota;
    return Code::kBusy;
  }

  Cast cast;
  cast.by = by;
  cast.id = next;
  cast.operation = *choice.accepted;
  cast.selection = selection;
  cast.operation_key = operation_key;
  return started(launch(std::move(cast), ack_timeout, std::nullopt, now), false);
}

Shadow::Cast& Shadow::launch(Cast what, std::optional<milliseconds> ack_timeout,
                             std::optional<std::uint64_t> only, Now now) {
  const auto id = what.id;
  last_id_ = id;
  auto& cast = casts_[id];
  cast = std::move(what);
  cast.started = now.steady;
  cast.started_unix_ms = now.unix_ms;
  for (const auto& backend : backends_) {
    if (only && backend.serial != *only) continue;
    if (!selected(cast.selection, backend.form.key, backend.form.hot)) continue;
    Asked asked;
    asked.key = backend.form.key;
    asked.serial = backend.serial;
    asked.peer = backend.peer;
    asked.incarnation = backend.incarnation;
    if (backend.state != BackendState::kLive) {
      asked.outcome = OutcomeKind::kSkippedDead;
      asked.detail = backend.gone;
      ++counters.skipped_dead;
    } else {
      auto budget = milliseconds(knobs_.ack_timeout);
      if (backend.form.ack_timeout) budget = *backend.form.ack_timeout;
      if (ack_timeout) budget = *ack_timeout;
      if (budget < milliseconds(1)) budget = milliseconds(1);
      if (budget > milliseconds(knobs_.max_ack_timeout)) {
        budget = milliseconds(knobs_.max_ack_timeout);
      }
      asked.budget = budget;
      asked.deadline = now.steady + budget;
      ++counters.operations_sent;
      send(backend.connection, Sent::Kind::kOperation, id,
           static_cast<std::uint64_t>(budget.count()));
    }
    cast.asked.push_back(asked);
  }
  ++counters.broadcasts_started;
  tell(Event::Kind::kBroadcastStarted, cast);
  end_if_complete(cast, now);
  return cast;
}

std::variant<std::uint32_t, Code> Shadow::cancel(BroadcastId id, Now now) {
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

void Shadow::cancel(Cast& cast, Now now) {
  for (auto& asked : cast.asked) {
    if (asked.outcome != OutcomeKind::kOpen) continue;
    cast.state = BroadcastState::kCancelled;
    const auto* backend = by_serial(asked.serial);
    if (backend->state == BackendState::kLive) {
      send(backend->connection, Sent::Kind::kCancel, cast.id);
    }
    settle(cast, asked, OutcomeKind::kFailure, BroadcastFailureReason::kRejected, "cancelled", now);
  }
}

void Shadow::idle_due(BroadcastId next, std::uint32_t key, SteadyTime at, Now now) {
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
  if (running() >= static_cast<std::size_t>(knobs_.max_broadcasts)) {
    backend->idle_at = now.steady + std::chrono::seconds(1);
    return;
  }
  Cast cast;
  cast.id = next;
  cast.operation = BroadcastOperation::quiesce(QuiesceReason::kIdleTimeout);
  launch(std::move(cast), std::nullopt, backend->serial, now);
}

void Shadow::shut_down(BroadcastId next, Now now) {
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
  Cast cast;
  cast.id = next;
  cast.operation = BroadcastOperation::quiesce(QuiesceReason::kBrokerShutdown);
  launch(std::move(cast), std::nullopt, std::nullopt, now);
}

// Reports are bounded in number, in size (the newest is kept whatever its size) and in age.
void Shadow::expire_reports(Now now) {
  // Somebody is about to read the report of a broadcast that ends now.
  const auto most = std::max<std::int64_t>(knobs_.max_reports, 1);
  const auto age = milliseconds(std::max<std::int64_t>(knobs_.report_age, 1000));
  for (;;) {
    if (kept_.empty()) return;
    std::size_t targets = 0;
    for (const auto id : kept_) targets += casts_.at(id).asked.size();
    auto& oldest = casts_.at(kept_.front());
    const bool too_many = kept_.size() > static_cast<std::size_t>(most);
    const bool too_large =
        kept_.size() > 1 && targets > static_cast<std::size_t>(knobs_.max_report_targets);
    const bool too_old = oldest.ended + age <= now.steady;
    if (!too_many && !too_large && !too_old) return;
    oldest.forgotten = true;
    kept_.pop_front();
  }
}

}  // namespace muster::simulator
