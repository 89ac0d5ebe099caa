// Construction, and the dispatch of deadlines to what they are about.
#include "core/broker.h"

#include <algorithm>

#include "core/broker_state.h"

namespace muster::core {

Broker::Broker(Config config, Shell& shell)
    : state_(std::make_unique<State>(std::move(config), shell)) {
  // An operator that waits for a report must find it when the broadcast has ended.
  state_->config.max_reports = std::max<std::size_t>(state_->config.max_reports, 1);
  state_->config.report_age =
      std::max<std::chrono::milliseconds>(state_->config.report_age, std::chrono::seconds(1));
}

Broker::~Broker() = default;

void Broker::restore_keys(std::vector<UsedKey> keys, Now now) {
  for (UsedKey& key : keys) {
    // By the wall clock, which may have been set meanwhile: then it counts from now.
    const std::uint64_t age = now.unix_ms > key.used_unix_ms ? now.unix_ms - key.used_unix_ms : 0;
    if (age >= static_cast<std::uint64_t>(state_->config.key_age.count())) continue;
    state_->keys.add(std::move(key), now.steady - std::chrono::milliseconds(age));
  }
}

const std::shared_ptr<Accounts>& Broker::ledger() const noexcept { return state_->ledger; }

std::optional<uid_t> Broker::user_of(ConnectionId connection) const noexcept {
  const Session* const session = state_->find(connection);
  return session == nullptr ? std::nullopt : std::optional(session->peer.uid);
}

Counters& Broker::counters() noexcept { return state_->counters; }

void Broker::deadline_passed(DeadlineId id, Now now) {
  auto& state = *state_;
  const auto* found = state.deadlines.find(id);
  if (found == nullptr) return;
  const Deadline what = *found;
  state.deadlines.remove(id);
  switch (what.kind) {
    case Deadline::Kind::kTarget:
      state.target_deadline(*what.broadcast, what.index, now);
      return;
    case Deadline::Kind::kRegister:
      if (auto* session = state.find(what.connection)) {
        session->register_deadline = {};
        const auto seconds = static_cast<double>(state.config.register_timeout.count()) / 1000;
        auto text = std::to_string(seconds);
        text.erase(text.find_last_not_of('0') + 1);
        if (text.ends_with('.')) text.pop_back();
        state.turn_away_unknown(
            what.connection, 0,
            {RefusalCode::kTooSlow, "no Register came within " + text + " s", {}}, now);
      }
      return;
    case Deadline::Kind::kGrace: {
      state.registry.at(what.index).grace = {};
      state.grace_passed(what.index, now);
      return;
    }
    case Deadline::Kind::kIdle:
      state.registry.at(what.index).idle = {};
      state.idle_passed(what.index, now);
      return;
    case Deadline::Kind::kExpireDead:
      state.expire_dead_deadline = {};
      state.expire_dead(now);
      return;
    case Deadline::Kind::kExpireReport:
      state.expire_reports_deadline = {};
      state.expire_reports(now);
      return;
    case Deadline::Kind::kVerify:
      what.broadcast->proof->again = {};
      state.order_verification(*what.broadcast, now);
      return;
    case Deadline::Kind::kHoldExpires:
    case Deadline::Kind::kHoldScan:
    case Deadline::Kind::kHoldOwner:
      state.hold_deadline(what, now);
      return;
    case Deadline::Kind::kFree:
      return;
  }
}

DeadlineId Broker::State::arm(Deadline what, SteadyTime at) {
  what.at = at;
  const auto id = deadlines.add(what);
  try {
    shell.arm(id, at);
  } catch (...) {
    deadlines.remove(id);
    throw;
  }
  return id;
}

void Broker::State::disarm(DeadlineId& id) {
  if (!id.armed()) return;
  shell.cancel(id);
  deadlines.remove(id);
  id = {};
}

void Broker::State::arm_again(DeadlineId& id, Deadline::Kind kind, SteadyTime at) noexcept {
  if (at == SteadyTime::max() || id.armed()) return;
  Deadline deadline;
  deadline.kind = kind;
  unless_out_of_memory([&] { id = arm(deadline, at); });
}

void Broker::State::tell_cancelled(const Entry& entry, BroadcastId id) noexcept {
  if (entry.state != BackendState::kLive) return;
  unless_out_of_memory([&] { shell.send(entry.connection, id, CancelNotice{}); });
}

namespace {

Event about(Event::Kind kind, const Broadcast& broadcast, Now now) {
  Event event;
  event.kind = kind;
  event.unix_ms = now.unix_ms;
  event.broadcast_id = broadcast.id;
  event.targets = static_cast<std::uint32_t>(broadcast.targets.size());
  event.acks = broadcast.acks;
  event.timeouts = broadcast.timeouts;
  event.failures = broadcast.failures;
  event.skipped_dead = static_cast<std::uint32_t>(broadcast.skipped.size());
  return event;
}

}  // namespace

void Broker::State::tell(Event::Kind kind, const Enrolment& who, Now now, std::string_view detail,
                         bool was_refused) {
  unless_out_of_memory([&] {
    Event event;
    event.kind = kind;
    event.unix_ms = now.unix_ms;
    event.key = who.key();
    event.pid = who.peer.process.pid;
    event.uid = who.peer.uid;
    event.detail = detail;
    event.was_refused = was_refused;
    shell.report(event);
  });
}

void Broker::State::tell_refused(const Session& session, std::string_view reason,
                                 std::string_view why, Now now) {
  unless_out_of_memory([&] {
    Event event;
    event.kind = Event::Kind::kPeerRefused;
    event.unix_ms = now.unix_ms;
    event.pid = session.peer.process.pid;
    event.uid = session.peer.uid;
    event.detail = reason;
    if (!why.empty()) event.detail.append(" (").append(why).append(")");
    if (session.entry != Registry::kNone) event.key = registry.at(session.entry).enrolment->key();
    shell.report(event);
  });
}

void Broker::State::tell(Event::Kind kind, const Broadcast& broadcast, Now now) {
  unless_out_of_memory([&] {
    auto event = about(kind, broadcast, now);
    event.operation = broadcast.request.operation.to_string();
    event.asked_by = broadcast.asked_by;
    event.backends_unknown = broadcast.backends_unknown;
    shell.report(event);
  });
}

void Broker::State::tell_shutting_down(Now now) {
  unless_out_of_memory([&] {
    Event event;
    event.kind = Event::Kind::kShuttingDown;
    event.unix_ms = now.unix_ms;
    shell.report(event);
  });
}

void Broker::State::tell_outcome(Event::Kind kind, const Broadcast& broadcast, std::uint32_t target,
                                 Now now) {
  unless_out_of_memory([&] {
    auto event = about(kind, broadcast, now);
    event.backend_outcome = BroadcastRows(broadcast, now.steady).outcome(target);
    event.key = event.backend_outcome->key;
    event.pid = event.backend_outcome->pid;
    event.uid = event.backend_outcome->uid;
    event.detail = event.backend_outcome->detail;
    event.asked_by = broadcast.asked_by;
    shell.report(event);
  });
}

}  // namespace muster::core
