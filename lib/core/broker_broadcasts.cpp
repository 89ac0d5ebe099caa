// What operators ask for: start a broadcast, cancel it, see its report, see who is there.
#include <algorithm>

#include "muster/path.h"

#include "core/broker_state.h"
#include "model/time_text.h"

namespace muster::core {
namespace {

ControlError error(ControlError::Code code, std::string message) {
  return {code, std::move(message)};
}

bool is_selected(const Selection& selection, const Entry& entry) {
  const auto& registration = entry.enrolment->registration;
  return selects(selection, registration.key, registration.labels);
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
  return std::min(BroadcastPolicy(budget).ack_timeout, config.max_ack_timeout);
}

std::optional<ControlError> Broker::State::check(BroadcastRequest& request) const {
  if (const auto* release = request.operation.as_release_handles()) {
    auto normal = normalize_path_prefix(release->path_prefix);
    if (!normal.problem.empty()) {
      return error(ControlError::Code::kInvalid, std::move(normal.problem));
    }
    request.operation = BroadcastOperation::release_handles(std::move(normal.path));
  }
  if (request.operation_key.size() > kMaxOperationKeyBytes) {
    return error(ControlError::Code::kInvalid,
                 "the operation key has " + std::to_string(request.operation_key.size()) +
                     " bytes; the most is " + std::to_string(kMaxOperationKeyBytes));
  }
  return std::nullopt;
}

std::variant<const Broadcast*, ControlError> Broker::State::known_by_key(
    const BroadcastRequest& request) const {
  if (request.operation_key.empty()) return nullptr;
  const auto* known = log.find_key(request.operation_key);
  if (known == nullptr || (known->request.operation == request.operation &&
                           known->request.selection == request.selection)) {
    return known;
  }
  const bool same = known->request.operation == request.operation;
  return error(ControlError::Code::kKeyConflict,
               "the operation key \"" + escape_bytes(request.operation_key) +
                   "\" belongs to broadcast " + std::to_string(known->id) + " (" +
                   known->request.operation.to_string() + (same ? ", of other backends" : "") +
                   "); give each different request a key of its own");
}

std::variant<Started, ControlError> Broker::start_broadcast(BroadcastRequest request, Now now,
                                                            std::optional<uid_t> asked_by) {
  auto& state = *state_;
  if (state.shutting_down) {
    return error(ControlError::Code::kShuttingDown,
                 "the broker is shutting down and quiesces every backend itself");
  }
  if (auto wrong = state.check(request)) return std::move(*wrong);
  const auto known = state.known_by_key(request);
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
  if (asked_by) {
    if (auto over = state.accounts.refusal(Resource::kBroadcast, *asked_by)) {
      ++state.counters.over_quota;
      return error(ControlError::Code::kBusy,
                   *std::move(over) + "; try again when one has ended, or cancel one");
    }
  }
  const auto& broadcast = state.launch(std::move(request), Registry::kNone, asked_by, now);
  return Started{broadcast.id, static_cast<std::uint32_t>(broadcast.targets.size()),
                 static_cast<std::uint32_t>(broadcast.skipped.size()), false};
}

Broadcast& Broker::State::launch(BroadcastRequest request, EntryId only,
                                 std::optional<uid_t> asked_by, Now now) {
  auto& broadcast = log.add(shell.next_broadcast_id());
  broadcast.asked_by = asked_by;
  if (asked_by) accounts.take(Resource::kBroadcast, *asked_by);
  broadcast.request = std::move(request);
  broadcast.started = now.steady;
  broadcast.started_unix_ms = now.unix_ms;
  if (only == Registry::kNone) broadcast.targets.reserve(registry.size_hint());

  const auto frame_for = [&](std::chrono::milliseconds budget) -> const FramePtr& {
    if (const auto* frame = broadcast.frame_for(budget)) return *frame;
    OutgoingOperation outgoing;
    outgoing.broadcast_id = broadcast.id;
    outgoing.operation = broadcast.request.operation;
    outgoing.ack_timeout = budget;
    outgoing.deadline_unix_ms = now.unix_ms + static_cast<std::uint64_t>(budget.count());
    outgoing.traceparent = broadcast.request.traceparent;
    outgoing.tracestate = broadcast.request.tracestate;
    broadcast.add_frame(budget, shell.encode(outgoing));
    return *broadcast.frame_for(budget);
  };
  const auto ask = [&](EntryId id, Entry& entry) {
    if (!is_selected(broadcast.request.selection, entry)) return;
    if (entry.state != BackendState::kLive) {
      broadcast.skipped.push_back({entry.enrolment, entry.gone});
      return;
    }
    const auto budget = budget_of(broadcast.request, entry);
    Target target;
    target.who = entry.enrolment;
    target.entry = id;
    target.budget = budget;
    target.deadline_at = now.steady + budget;
    const auto index = static_cast<std::uint32_t>(broadcast.targets.size());
    broadcast.targets.push_back(std::move(target));
    entry.open.push_back({broadcast.id, &broadcast, index});
    shell.send(entry.connection, frame_for(budget));
  };
  if (only == Registry::kNone) {
    registry.for_each(ask);
  } else {
    ask(only, registry.at(only));
  }
  // Backends already work while the timers are armed.
  shell.flush();
  for (std::uint32_t i = 0; i < broadcast.targets.size(); ++i) {
    Deadline deadline;
    deadline.kind = Deadline::Kind::kTarget;
    deadline.broadcast = &broadcast;
    deadline.index = i;
    broadcast.targets[i].deadline = arm(deadline, broadcast.targets[i].deadline_at);
  }
  broadcast.give_back_room();

  ++counters.broadcasts_started;
  counters.operations_sent += broadcast.targets.size();
  counters.skipped_dead += broadcast.skipped.size();
  tell(Event::Kind::kBroadcastStarted, broadcast, now);
  if (broadcast.complete()) {  // nobody to ask
    broadcast.ended = now.steady;
    broadcast.state = BroadcastState::kFinished;
    finish(broadcast, now);
  }
  return broadcast;
}

std::variant<DryRun, ControlError> Broker::dry_run(const BroadcastRequest& request) const {
  auto checked = request;
  if (auto wrong = state_->check(checked)) return std::move(*wrong);
  const auto known = state_->known_by_key(checked);
  if (const auto* conflict = std::get_if<ControlError>(&known)) return *conflict;
  DryRun dry_run;
  if (const auto* there = std::get<const Broadcast*>(known)) {
    dry_run.joins = there->id;
    return dry_run;
  }
  state_->registry.for_each([&](EntryId, const Entry& entry) {
    if (!is_selected(request.selection, entry)) return;
    auto& list = entry.state == BackendState::kLive ? dry_run.would_ask : dry_run.skipped_dead;
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
    settle(broadcast, i, OutcomeKind::kFailure, BroadcastFailureReason::kRejected, "cancelled",
           now);
  }
}

Resumed Broker::resume(BroadcastId /*id*/, const Selection& /*selection*/, Now /*now*/) {
  return {};
}

std::optional<ControlError> Broker::forget(const BackendKey& key, Now now) {
  auto& state = *state_;
  const auto id = state.registry.find(key);
  if (id == Registry::kNone) {
    return error(ControlError::Code::kNotFound, "no backend has the key " + key.to_string());
  }
  const auto who = state.registry.at(id).enrolment;
  if (state.registry.at(id).state != BackendState::kDead) {
    return error(ControlError::Code::kInvalid, key.to_string() + " is not dead");
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

std::vector<BackendInfo> Broker::backends(const Selection& selection) const {
  std::vector<BackendInfo> list;
  state_->registry.for_each([&](EntryId, const Entry& entry) {
    if (!is_selected(selection, entry)) return;
    const auto& registration = entry.enrolment->registration;
    BackendInfo info;
    info.key = registration.key;
    info.state = entry.state;
    info.incarnation = entry.enrolment->incarnation;
    info.pid = entry.enrolment->peer.process.pid;
    info.uid = entry.enrolment->peer.uid;
    info.labels = registration.labels;
    info.ack_timeout = registration.ack_timeout;
    info.idle_timeout = registration.idle_timeout;
    info.sdk_name = registration.sdk_name;
    info.sdk_version = registration.sdk_version;
    info.since_unix_ms = entry.since_unix_ms;
    if (entry.state != BackendState::kLive) info.gone_because = to_string(entry.gone);
    info.open_operations = static_cast<std::uint32_t>(entry.open.size());
    info.gid = entry.enrolment->peer.gid;
    if (const auto& facts = entry.enrolment->peer.facts) {
      info.exe = facts->exe;
      info.exe_problem = facts->exe_problem;
      info.process_started_unix_ms = facts->started_unix_ms;
    }
    list.push_back(std::move(info));
  });
  return list;
}

void Broker::fill_status(BrokerStatus& status) const {
  status.version = state_->config.broker_version;
  status.started_unix_ms = state_->config.started_unix_ms;
  status.shutting_down = state_->shutting_down;
  status.live_backends = 0;
  status.dead_backends = 0;
  state_->registry.for_each([&](EntryId, const Entry& entry) {
    ++(entry.state == BackendState::kLive ? status.live_backends : status.dead_backends);
  });
  status.running_broadcasts.clear();
  state_->log.for_each_running(
      [&](const Broadcast& broadcast) { status.running_broadcasts.push_back(broadcast.id); });
  status.reports_kept = state_->log.kept();
  status.counters = state_->counters;
  status.users = state_->usage();
}

}  // namespace muster::core
