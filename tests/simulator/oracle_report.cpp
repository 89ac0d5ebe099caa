// The oracle: what reports, lists and answers to operators must look like.
#include <algorithm>

#include "muster/lifecycle_broadcast_model.h"

#include "simulator/oracle.h"
#include "simulator/universe.h"

namespace muster::simulator {
namespace {

using Code = ControlError::Code;

template <class Duration>
Duration floor_to(SteadyTime::duration duration) {
  return std::chrono::floor<Duration>(duration);
}

// What the model makes of the responses.
BroadcastResult model_result(const Oracle::Cast& cast, milliseconds one_budget) {
  LifecycleBroadcastModel model{BroadcastPolicy(one_budget)};
  for (const auto& asked : cast.asked) {
    const auto& key = key_of(asked.key);
    switch (asked.outcome) {
      case OutcomeKind::kSkippedDead:
        model.register_backend(BroadcastBackend::dead(key));
        break;
      case OutcomeKind::kTimeout:
        model.register_backend(
            BroadcastBackend::live(key).with_response(BroadcastBackendResponse::timeout()));
        break;
      case OutcomeKind::kFailure:
        model.register_backend(BroadcastBackend::live(key).with_response(
            BroadcastBackendResponse::failure(asked.reason)));
        break;
      case OutcomeKind::kAck:
        model.register_backend(BroadcastBackend::live(key));
        break;
      case OutcomeKind::kOpen:  // of one that still runs: the model has no word for it
        break;
    }
  }
  return model.broadcast(cast.operation);
}

}  // namespace

namespace {

// Who can know it.
SaidBy speaker_of(Cause cause) {
  if (cause == Cause::kAnswer || cause == Cause::kDeregistered) return SaidBy::kBackend;
  if (cause == Cause::kProcessExited || cause == Cause::kClosed) return SaidBy::kKernel;
  if (cause == Cause::kInherited) return SaidBy::kKernel;
  return SaidBy::kBroker;
}

std::string detail_of(const Oracle::Asked& asked) {
  const bool is_dead = asked.outcome == OutcomeKind::kSkippedDead;
  const std::string lives =
      asked.peer.process.pid == 0
          ? "; its process, in another pid namespace, may still run"
          : "; process " + std::to_string(asked.peer.process.pid) + " is still running";
  switch (asked.cause) {
    case Cause::kAnswer:
      return asked.said;
    case Cause::kClosed:
      return is_dead ? "connection closed" : "disconnected" + lives;
    case Cause::kSlowReader:
    case Cause::kUserQuota:
    case Cause::kProtocolError:
    case Cause::kBrokerRestarted:
      return std::string(to_string(asked.cause)) + (is_dead ? "" : lives);
    case Cause::kInherited:
      return (asked.peer.process.pid == 0 ? "its process"
                                          : "process " + std::to_string(asked.peer.process.pid)) +
             " has exited, but another process (a child?) still has its connection";
    case Cause::kRefusedQuota:
    case Cause::kRefusedKey:
      return std::string("not registered: ") +
             (asked.cause == Cause::kRefusedQuota
                  ? "its user has as many backends as its quota allows"
                  : "another user's process has its key") +
             (asked.peer.process.pid == 0
                  ? "; its process, in another pid namespace, may run and was not asked"
                  : "; process " + std::to_string(asked.peer.process.pid) +
                        " is running and was not asked");
    case Cause::kUnseen:
      return std::string(to_string(asked.cause)) + "; it may still run";
    case Cause::kDeadline:
      return "no answer by the broadcast's deadline";
    case Cause::kNone:
    case Cause::kAckTimeout:
      return "";
    default:
      return std::string(to_string(asked.cause));
  }
}

}  // namespace

BackendOutcome Oracle::outcome_of(const Cast& cast, const Asked& asked) const {
  BackendOutcome outcome;
  outcome.key = key_of(asked.key);
  outcome.incarnation = asked.incarnation;
  outcome.pid = asked.peer.process.pid;
  outcome.uid = asked.peer.uid;
  outcome.outcome = asked.outcome;
  outcome.detail = detail_of(asked);
  outcome.cause = asked.cause;
  outcome.said_by = speaker_of(asked.cause);
  outcome.ack_timeout = asked.budget;
  outcome.note = asked.note;
  outcome.percent = asked.percent;
  outcome.extensions = asked.extensions;
  outcome.redeliveries = asked.redeliveries;
  if (asked.outcome == OutcomeKind::kFailure) outcome.reason = asked.reason;
  if (asked.outcome != OutcomeKind::kOpen && asked.outcome != OutcomeKind::kSkippedDead) {
    outcome.latency = floor_to<std::chrono::microseconds>(asked.settled - cast.started);
  }
  return outcome;
}

BroadcastReport Oracle::report_of(const Cast& cast, SteadyTime now) const {
  const auto most = milliseconds(knobs_.max_ack_timeout);
  const auto one_budget =
      std::min(BroadcastPolicy(milliseconds(knobs_.ack_timeout)).ack_timeout, most);
  BroadcastReport report(cast.operation);
  report.result = model_result(cast, one_budget);
  // The model has one timeout for all; where there may be several, each late target has its own.
  if (knobs_.one_budget == 0) {
    for (auto& timeout : report.result.timeouts) {
      for (const auto& asked : cast.asked) {
        if (key_of(asked.key) != timeout.key) continue;
        timeout.timeout = floor_to<milliseconds>(asked.deadline - cast.started);
      }
    }
  }
  const bool running = std::any_of(cast.asked.begin(), cast.asked.end(), [](const Asked& asked) {
    return asked.outcome == OutcomeKind::kOpen;
  });
  report.broadcast_id = cast.id;
  report.state = cast.state;
  for (const auto& asked : cast.asked) report.backends.push_back(outcome_of(cast, asked));
  report.late_acks = cast.late_acks;
  report.late_failures = cast.late_failures;
  report.started_unix_ms = cast.started_unix_ms;
  report.duration =
      floor_to<std::chrono::microseconds>((running ? now : cast.ended) - cast.started);
  report.operation_key = cast.operation_key;
  report.asked_by = cast.by;
  report.deadline = cast.deadline;
  report.backends_unknown = cast.backends_unknown;
  report.verify = cast.verify;
  report.verification = cast.verification;
  // Rule: the report carries how its hold stands, or how it ended.
  const auto hold = holds_.find(cast.id);
  report.hold = hold == holds_.end() ? cast.hold_ended : hold->second.state;
  return report;
}

std::variant<const Oracle::Cast*, Code> Oracle::find_report(BroadcastId id) const {
  const Cast* newest = nullptr;
  for (const auto& [known, cast] : casts_) {
    if (!cast.forgotten && !cast.own) newest = &cast;  // Rule: they are never `last`.
    if (known != id) continue;
    if (cast.forgotten) return Code::kExpired;
    return &cast;
  }
  if (id == 0 && newest != nullptr) return newest;
  const bool of_this_run = !casts_.empty() && id >= casts_.begin()->first && id <= last_id_;
  if (id != 0 && of_this_run) return Code::kExpired;
  const bool of_another_run = id >= static_cast<BroadcastId>(knobs_.first_id) && id < first_id_;
  return of_another_run ? Code::kInterrupted : Code::kNotFound;
}

std::vector<BackendInfo> Oracle::list(std::int64_t selection) const {
  std::vector<BackendInfo> list;
  for (const auto& backend : backends_) {
    if (!selected(selection, backend.form.key, backend.form.hot)) continue;
    BackendInfo info;
    info.key = key_of(backend.key);
    info.state = backend.state;
    info.incarnation = backend.incarnation;
    info.pid = backend.peer.process.pid;
    info.uid = backend.peer.uid;
    info.gid = backend.peer.gid;
    if (backend.form.hot) info.labels["tier"] = "hot";
    info.ack_timeout = backend.form.ack_timeout;
    info.idle_timeout = backend.form.idle_timeout;
    info.sdk_name = "simulator";
    info.since_unix_ms = backend.since_unix_ms;
    if (backend.state != BackendState::kLive) info.gone_because = to_string(backend.cause);
    info.cause = backend.cause;
    if (!backend.holds.empty() && !backend.resumed_away) info.quiesced = backend.holds.back().state;
    for (const auto& [id, cast] : casts_) {
      for (const auto& asked : cast.asked) {
        const bool owes = asked.serial == backend.serial && asked.outcome == OutcomeKind::kOpen;
        if (owes) ++info.open_operations;
      }
    }
    list.push_back(std::move(info));
  }
  return list;
}

std::variant<DryRun, Code> Oracle::dry_run(std::int64_t operation, std::int64_t selection) const {
  if (!operation_of(operation).accepted) return Code::kInvalid;
  DryRun dry_run;
  // Rule: it says what launch() would do now, and no more of a yes.
  dry_run.backends_unknown = misses_somebody(selection);
  for (const auto& backend : backends_) {
    if (!selected(selection, backend.form.key, backend.form.hot)) continue;
    if (backend.state == BackendState::kDead) {
      dry_run.skipped_dead.push_back(key_of(backend.key));
      continue;
    }
    if (backend.state == BackendState::kLost) {
      Asked asked;
      asked.key = backend.key;
      asked.peer = backend.peer;
      asked.incarnation = backend.incarnation;
      asked.budget = budget_of(backend, std::nullopt);
      asked.outcome = OutcomeKind::kFailure;
      asked.reason = BroadcastFailureReason::kBackendError;
      asked.cause = backend.cause;
      dry_run.would_fail.push_back(outcome_of(Cast(), asked));
      continue;
    }
    dry_run.would_ask.push_back(key_of(backend.key));
    if (backend.state == BackendState::kReconnecting) {
      dry_run.reconnecting.push_back(key_of(backend.key));
    }
  }
  return dry_run;
}

std::size_t Oracle::running() const {
  return casts_.size() - kept() -
         static_cast<std::size_t>(std::count_if(
             casts_.begin(), casts_.end(), [](const auto& cast) { return cast.second.forgotten; }));
}

bool Oracle::is_kept(BroadcastId id) const {
  return std::find(kept_.begin(), kept_.end(), id) != kept_.end() ||
         std::find(own_kept_.begin(), own_kept_.end(), id) != own_kept_.end();
}

std::size_t Oracle::open_targets() const {
  std::size_t open = 0;
  for (const auto& [id, cast] : casts_) {
    for (const auto& asked : cast.asked) open += asked.outcome == OutcomeKind::kOpen ? 1 : 0;
  }
  return open;
}

const Oracle::Asked* Oracle::asked(BroadcastId id, std::uint32_t key) const {
  const auto cast = casts_.find(id);
  if (cast == casts_.end()) return nullptr;
  for (const auto& asked : cast->second.asked) {
    if (asked.key == key) return &asked;
  }
  return nullptr;
}

}  // namespace muster::simulator
