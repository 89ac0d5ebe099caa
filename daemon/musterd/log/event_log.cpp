#include "musterd/log/event_log.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::daemon {
namespace {

std::string backend_of(const Event& event) { return event.key ? event.key->to_string() : "-"; }

double fractional_ms(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// To the microsecond: more digits are noise.
double rounded_ms(double ms) { return std::round(ms * 1000) / 1000; }

std::int64_t pid_of(const Event& event) { return event.pid; }
std::uint64_t uid_of(const Event& event) { return event.uid; }

std::uint64_t number(std::uint64_t value) { return value; }

std::string_view yes_or_no(bool value) { return value ? "yes" : "no"; }

}  // namespace

void EventLog::write(const Event& event, std::chrono::steady_clock::time_point now, bool expected) {
  const auto about_backend = [&](LogLevel level, std::string_view message) {
    if (!log_.admits(level, event.uid, now)) return;
    const std::string backend = backend_of(event);
    if (event.detail.empty()) {
      log_.write(level, message,
                 {{"backend", backend}, {"pid", pid_of(event)}, {"uid", uid_of(event)}});
    } else {
      log_.write(level, message,
                 {{"backend", backend},
                  {"pid", pid_of(event)},
                  {"uid", uid_of(event)},
                  {"why", event.detail}});
    }
  };
  const auto about_answer = [&](LogLevel level, std::string_view message) {
    if (!log_.admits(level, event.uid, now)) return;
    log_.write(level, message,
               {{"broadcast", event.broadcast_id},
                {"backend", backend_of(event)},
                {"pid", pid_of(event)},
                {"uid", uid_of(event)},
                {"detail", event.detail}});
  };
  const auto about_hold = [&](LogLevel level, std::string_view message) {
    if (!admits_operator(event, now)) return;
    log_.write(
        level, message,
        {{"hold", event.broadcast_id}, {"operation", event.operation}, {"detail", event.detail}});
  };

  switch (event.kind) {
    case Event::Kind::kBackendRegistered:
      // The detail says that its key is shared with another process: a mistake, mostly.
      return about_backend(event.detail.empty() ? LogLevel::kInfo : LogLevel::kWarning,
                           "backend registered");
    case Event::Kind::kBackendReturned:
      return about_backend(LogLevel::kInfo, "backend reconnected");
    case Event::Kind::kBackendReconnecting:
      if (expected) return write_expected(event, now);
      return about_backend(LogLevel::kInfo, "backend disconnected and may reconnect");
    case Event::Kind::kBackendDead:
      if (event.was_refused) return about_backend(LogLevel::kInfo, "refused process exited");
      return about_backend(LogLevel::kWarning, "backend dead");
    case Event::Kind::kBackendDeregistered:
      return about_backend(LogLevel::kInfo, "backend deregistered");
    case Event::Kind::kPeerRefused:
      return about_backend(LogLevel::kWarning, "peer refused");
    case Event::Kind::kBroadcastStarted:
      return write_started(event, now);
    case Event::Kind::kOutcome:
      return write_outcome(event, now);
    case Event::Kind::kWorking:
      return about_answer(LogLevel::kDebug, "backend asks for more time");
    case Event::Kind::kRedelivered:
      return about_answer(LogLevel::kInfo, "operation sent again after a reconnect");
    case Event::Kind::kLateAnswer:
      return about_answer(LogLevel::kInfo, "late answer");
    case Event::Kind::kDuplicateAnswer:
      return about_answer(LogLevel::kDebug, "duplicate answer ignored");
    case Event::Kind::kUnmatchedAnswer:
      return about_answer(LogLevel::kDebug, "answer to an unknown broadcast ignored");
    case Event::Kind::kBroadcastFinished:
      return write_finished(event, now);
    case Event::Kind::kShuttingDown:
      return log_.info("shutting down: waiting for the broadcasts that run");
    case Event::Kind::kBackendLost:
      return about_backend(LogLevel::kWarning, "backend lost");
    case Event::Kind::kBackendResumed:
      return about_backend(LogLevel::kInfo, "backend resumed");
    case Event::Kind::kBackendForgotten:
      return about_backend(LogLevel::kInfo, "backend forgotten");
    case Event::Kind::kVerifying:
      return;  // it finishes
    case Event::Kind::kHoldStarted:
      return about_hold(LogLevel::kInfo, "hold started");
    case Event::Kind::kHoldEnded:
      return about_hold(LogLevel::kInfo, "hold ended");
    case Event::Kind::kHoldViolated:
      return about_hold(LogLevel::kWarning, "hold violated");
    case Event::Kind::kEventsLost:
      return;  // it is about one watcher
  }
}

void EventLog::write_expected(const Event& event, Time now) {
  if (!log_.admits(LogLevel::kInfo, event.uid, now)) return;
  log_.info("backend expected: it was registered before the broker started",
            {{"backend", backend_of(event)}, {"pid", pid_of(event)}, {"uid", uid_of(event)}});
}

// What the broker does of its own is always told.
bool EventLog::admits_operator(const Event& event, Time now) {
  return !event.asked_by || log_.admits(LogLevel::kInfo, event.asked_by->uid, now);
}

void EventLog::write_started(const Event& event, Time now) {
  constexpr std::string_view kMessage = "broadcast started";
  const bool told = admits_operator(event, now);
  started_[event.broadcast_id] = {now, told, {}};
  if (!told) return;
  if (!event.asked_by) {
    return log_.info(kMessage, {{"broadcast", event.broadcast_id},
                                {"operation", event.operation},
                                {"targets", number(event.targets)},
                                {"skipped_dead", number(event.skipped_dead)}});
  }
  log_.info(kMessage, {{"broadcast", event.broadcast_id},
                       {"operation", event.operation},
                       {"targets", number(event.targets)},
                       {"skipped_dead", number(event.skipped_dead)},
                       {"pid", static_cast<std::int64_t>(event.asked_by->pid)},
                       {"uid", number(event.asked_by->uid)},
                       {"command", event.asked_by->command}});
}

void EventLog::write_outcome(const Event& event, Time now) {
  if (!event.backend_outcome) return;
  const BackendOutcome& outcome = *event.backend_outcome;
  if (const auto known = started_.find(event.broadcast_id); known != started_.end()) {
    Started& started = known->second;
    started.longest = std::max<std::chrono::nanoseconds>(started.longest, outcome.latency);
  }
  const double ms = rounded_ms(fractional_ms(outcome.latency));
  const auto write = [&](LogLevel level, std::string_view message, std::string_view detail) {
    if (!log_.admits(level, outcome.uid, now)) return;
    const std::string backend = outcome.key.to_string();
    log_.write(level, message,
               {{"broadcast", event.broadcast_id},
                {"backend", backend},
                {"pid", static_cast<std::int64_t>(outcome.pid)},
                {"uid", number(outcome.uid)},
                {"ms", ms},
                {"detail", detail}});
  };
  switch (outcome.outcome) {
    case OutcomeKind::kOpen:
      return;
    case OutcomeKind::kAck:
      return write(LogLevel::kDebug, "backend acked", outcome.note);
    case OutcomeKind::kTimeout:
      return write(LogLevel::kWarning, "backend timed out", outcome.note);
    case OutcomeKind::kSkippedDead:
      // Dead for long, maybe, and one of thousands: `backends` lists them, the counts name them.
      return write(LogLevel::kDebug, "dead backend skipped", {});
    case OutcomeKind::kFailure: {
      std::string detail(outcome.reason ? to_string(*outcome.reason) : "");
      if (!outcome.detail.empty()) detail += ": " + outcome.detail;
      return write(LogLevel::kWarning, "backend failed", detail);
    }
  }
}

void EventLog::write_finished(const Event& event, Time now) {
  Started started{now, true, {}};
  if (const auto known = started_.find(event.broadcast_id); known != started_.end()) {
    started = known->second;
    started_.erase(known);
  }
  // A broadcast whose beginning was left out has no end either.
  if (!started.told || !admits_operator(event, now)) return;
  const double ms = rounded_ms(
      fractional_ms(std::max<std::chrono::nanoseconds>(now - started.at, started.longest)));
  log_.info("broadcast finished", {{"broadcast", event.broadcast_id},
                                   {"operation", event.operation},
                                   {"targets", number(event.targets)},
                                   {"acks", number(event.acks)},
                                   {"timeouts", number(event.timeouts)},
                                   {"failures", number(event.failures)},
                                   {"skipped_dead", number(event.skipped_dead)},
                                   {"backends_unknown", yes_or_no(event.backends_unknown)},
                                   {"ms", ms}});
}

}  // namespace muster::daemon
