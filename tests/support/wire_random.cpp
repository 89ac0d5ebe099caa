#include "support/wire_random.h"

#include <cstdlib>
#include <limits>

namespace muster::test {

std::uint64_t random_seed() {
  if (const char* given = std::getenv("MUSTER_TEST_SEED")) return std::strtoull(given, nullptr, 10);
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

std::uint64_t WireRandom::up_to(std::uint64_t most) {
  return std::uniform_int_distribution<std::uint64_t>(0, most)(engine_);
}

std::uint64_t WireRandom::number() {
  const auto bits = up_to(64);
  if (bits == 0) return 0;
  return engine_() >> (64 - bits);
}

std::string WireRandom::bytes(std::size_t most) {
  std::string out(up_to(most), '\0');
  for (char& c : out) c = static_cast<char>(up_to(255));
  return out;
}

std::string WireRandom::text(std::size_t most) {
  static const std::string kPieces[] = {
      "a",      "Z",          "0",         "-",      ".",
      " ",      "\\",         "\"",        "/",      std::string(1, '\0'),
      "\n",     "\x1b",       "\x7f",      "\u00e9", "\u20ac",
      "\ufffd", "\U0001f600", "\U0010ffff"};
  std::string out;
  for (auto n = up_to(most); n > 0; --n) {
    const auto& piece = kPieces[up_to(std::size(kPieces) - 1)];
    if (out.size() + piece.size() > most) break;
    out += piece;
  }
  return out;
}

std::chrono::microseconds WireRandom::us() {
  return std::chrono::microseconds(static_cast<std::int64_t>(number() >> 14));  // 50 bits
}

BackendKey WireRandom::key() {
  BackendKey key;
  const auto kind = up_to(2);
  if (kind == 1) key.instance = Instance::private_to(text(10));
  if (kind == 2) key.instance = Instance::explicitly(text(10));
  key.service_name = text(64);
  key.service_version = text(64);
  key.replica = text(64);
  return key;
}

Labels WireRandom::labels() {
  Labels labels;
  for (auto n = up_to(5); n > 0; --n) labels[text(20)] = text(20);
  return labels;
}

BroadcastOperation WireRandom::operation() {
  if (up_to(4) == 0)
    return BroadcastOperation::preflight(Quiesce{any(QuiesceReason::kMaintenance)});
  if (up_to(4) == 0) {
    return BroadcastOperation::preflight(
        ReleaseHandles{'/' + bytes(200), chance() ? bytes(9) : ""});
  }
  if (chance()) return BroadcastOperation::quiesce(any(QuiesceReason::kMaintenance));
  return BroadcastOperation::release_handles('/' + (chance() ? bytes(200) : text(200)));
}

Selection WireRandom::selection() {
  return some(3, [&] {
    auto terms = some(Selector::kMaxTerms, [&] {
      SelectorTerm term{chance() ? "service" : "label.x" + text(4), text(30)};
      for (const char never : {'\0', '[', '\\'}) std::erase(term.glob, never);
      return term;
    });
    return Selector::from_terms(std::move(terms)).selector;
  });
}

BroadcastFailureReason WireRandom::reason() { return any(BroadcastFailureReason::kBackendError); }

Registration WireRandom::registration() {
  Registration registration;
  registration.key = key();
  if (chance()) registration.ack_timeout = ms();
  if (chance()) registration.idle_timeout = ms();
  registration.labels = labels();
  registration.sdk_name = text(kMaxSdkNameBytes);
  registration.sdk_version = text(kMaxSdkNameBytes);
  registration.min_protocol = number32();
  registration.max_protocol = number32();
  return registration;
}

Failure WireRandom::failure() { return {reason(), text(kMaxDetailBytes)}; }

Working WireRandom::working() {
  Working working{ms(), {}, text(kMaxNoteBytes)};
  if (chance()) working.percent = static_cast<std::uint32_t>(up_to(100));
  return working;
}

Registered WireRandom::registered() {
  Registered registered;
  registered.incarnation = number();
  registered.broker_version = text(20);
  registered.protocol = number32();
  registered.limits = {number32(), number32(), number32(), ms()};
  registered.active_holds = some(3, [&] {
    return ActiveHold{number(), bytes(100), number(), bytes(50)};
  });
  return registered;
}

Refusal WireRandom::refusal() { return {any(RefusalCode::kTooSlow), text(kMaxDetailBytes), ms()}; }

OutgoingOperation WireRandom::outgoing() {
  OutgoingOperation outgoing;
  outgoing.broadcast_id = number();
  outgoing.operation = operation();
  outgoing.ack_timeout = ms();
  outgoing.deadline_unix_ms = number();
  if (!outgoing.operation.is_preflight()) {  // which has no hold
    if (chance()) outgoing.hold_id = number();
    if (chance()) outgoing.hold_expires_unix_ms = number();
  }
  outgoing.traceparent = text(60);
  outgoing.tracestate = text(kMaxTraceBytes);
  return outgoing;
}

HoldEnded WireRandom::hold_ended() { return {number(), any(HoldEnd::kResumed)}; }

BackendOutcome WireRandom::outcome() {
  BackendOutcome outcome;
  outcome.key = key();
  outcome.incarnation = number();
  outcome.pid = static_cast<pid_t>(number32());
  outcome.uid = number32();
  outcome.outcome = any(OutcomeKind::kSkippedDead);
  if (outcome.outcome == OutcomeKind::kFailure) outcome.reason = reason();
  outcome.detail = text(kMaxDetailBytes);
  outcome.ack_timeout = ms();
  outcome.latency = us();
  outcome.note = text(kMaxNoteBytes);
  if (chance()) outcome.percent = number32();
  outcome.extensions = number32();
  outcome.redeliveries = number32();
  return outcome;
}

LateAnswer WireRandom::late() {
  LateAnswer late{key(), us(), {}, text(kMaxDetailBytes)};
  if (chance()) late.reason = reason();
  return late;
}

BroadcastReport WireRandom::report() {
  BroadcastReport report(operation());
  report.broadcast_id = number();
  report.state = any(BroadcastState::kVerifying);
  report.result.acks = some(3, [&] { return BroadcastAck{key()}; });
  report.result.timeouts = some(3, [&] { return BroadcastTimeout{key(), ms()}; });
  report.result.failures = some(3, [&] { return BroadcastFailure{key(), reason()}; });
  report.result.skipped_dead = some(3, [&] { return key(); });
  report.backends = some(5, [&] { return outcome(); });
  report.late_acks = some(3, [&] { return late(); });
  report.late_failures = some(3, [&] { return late(); });
  report.started_unix_ms = number();
  report.duration = us();
  report.operation_key = text(kMaxOperationKeyBytes);
  report.verify = chance();
  if (chance()) report.verification = verification();
  if (chance()) report.hold = hold_state();
  return report;
}

BackendInfo WireRandom::info() {
  BackendInfo info;
  info.key = key();
  info.state = any(BackendState::kDead);
  info.incarnation = number();
  info.pid = static_cast<pid_t>(number32());
  info.uid = number32();
  info.labels = labels();
  if (chance()) info.ack_timeout = ms();
  if (chance()) info.idle_timeout = ms();
  info.sdk_name = text(64);
  info.sdk_version = text(64);
  info.since_unix_ms = number();
  info.gone_because = text(100);
  info.open_operations = number32();
  info.gid = number32();
  info.exe = text(100);
  info.exe_problem = text(100);
  info.process_started_unix_ms = number();
  return info;
}

BrokerStatus WireRandom::status() {
  BrokerStatus status;
  status.version = text(20);
  status.pid = static_cast<pid_t>(number32());
  status.started_unix_ms = number();
  status.shutting_down = chance();
  status.socket_dir = text(100);
  status.transport = text(10);
  status.connections = number();
  status.live_backends = number();
  status.dead_backends = number();
  status.running_broadcasts = some(5, [&] { return number(); });
  status.reports_kept = number();
  auto& c = status.counters;
  for (auto* counter :
       {&c.connections_accepted, &c.registrations, &c.refusals, &c.protocol_errors,
        &c.broadcasts_started, &c.broadcasts_finished, &c.operations_sent, &c.redeliveries, &c.acks,
        &c.timeouts, &c.failures, &c.skipped_dead, &c.late_answers, &c.duplicate_answers,
        &c.unmatched_answers, &c.slow_readers, &c.over_quota}) {
    *counter = number();
  }
  status.users = some(3, [&] {
    const auto share = [&] { return Share{number(), number()}; };
    return UserUsage{number32(), share(), share(), share(), share(),
                     number(),   share(), share(), share(), share()};
  });
  status.descriptors = {number(), number(), number(), chance()};
  return status;
}

Event WireRandom::event() {
  Event event;
  event.kind = any(Event::Kind::kEventsLost);
  event.unix_ms = number();
  event.broadcast_id = number();
  if (chance()) event.key = key();
  event.pid = static_cast<pid_t>(number32());
  event.uid = number32();
  event.detail = text(kMaxDetailBytes);
  if (chance()) event.backend_outcome = outcome();
  for (auto* count :
       {&event.targets, &event.acks, &event.timeouts, &event.failures, &event.skipped_dead}) {
    *count = number32();
  }
  event.operation = text(100);
  event.joined = chance();
  event.backends_unknown = chance();
  event.was_refused = chance();
  return event;
}

PolicyQuestion WireRandom::question() {
  PolicyQuestion question{number32(), number32(), some(5, [&] { return gid_t{number32()}; }), {}};
  if (chance()) {
    question.about = PolicyQuestion::Registration{text(64), key().instance};
  } else if (chance()) {
    question.about = PolicyQuestion::Control{any(ControlAction::kHold), text(100)};
  }
  return question;
}

Holder WireRandom::holder() {
  Holder holder;
  holder.pid = static_cast<pid_t>(number32());
  holder.started = number();
  holder.uid = number32();
  holder.command = text(15);
  holder.unit = text(60);
  if (chance()) holder.unit_user = number32();
  holder.object = bytes(100);
  holder.inside = static_cast<pid_t>(number32());
  holder.held = some(4, [&] { return Held{any(HeldBy::kNfsExport), number()}; });
  holder.example = bytes(100);
  holder.deleted = chance();
  holder.possibly = chance();
  if (chance()) holder.backend = key();
  return holder;
}

HolderScan WireRandom::holder_scan() {
  HolderScan scan;
  scan.prefix = bytes(100);
  scan.problem = text(100);
  // Not "clear": what is shown beside it would contradict it.
  scan.verdict = chance() ? HolderVerdict::kHeld : HolderVerdict::kUnknown;
  scan.holders = some(4, [&] { return holder(); });
  scan.more_holders = number();
  scan.unseen = some(4, [&] {
    return Unseen{static_cast<pid_t>(number32()), number32(), text(15), text(60)};
  });
  scan.more_unseen = number();
  scan.leases = {number(), number(), number(), number(), bytes(60), text(60), chance(), text(60)};
  scan.processes = number();
  scan.descriptors = number();
  scan.at_unix_ms = number();
  scan.took_us = number();
  return scan;
}

Verification WireRandom::verification() { return {holder_scan(), number32(), us()}; }

HoldState WireRandom::hold_state() {
  HoldState state;
  state.leased = chance();
  state.owner_away = chance();
  state.since_unix_ms = number();
  state.expires_unix_ms = number();
  if (chance()) state.ended = any(HoldEnd::kResumed);
  state.ended_unix_ms = number();
  state.violations = some(3, [&] { return HoldViolation{holder(), number()}; });
  state.more_violations = number();
  state.scans = number32();
  state.last_verdict = any(HolderVerdict::kUnknown);
  return state;
}

HoldInfo WireRandom::hold_info() {
  HoldInfo hold;
  hold.id = number();
  hold.operation = operation();
  if (chance()) hold.asked_by = Operator{number32(), static_cast<pid_t>(number32()), text(15)};
  hold.acked = number32();
  hold.state = hold_state();
  return hold;
}

}  // namespace muster::test
