#include "simulator/scenario.h"

#include "simulator/universe.h"

namespace muster::simulator {

void Scenario::step(StepKind kind, std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d,
                    std::int64_t e, std::int64_t f, std::int64_t g) {
  const Step step{kind, {a, b, c, d, e, f, g}};
  must(simulation_.apply(step), ("this step does nothing: " + to_string(step)).c_str());
}

void Scenario::join(std::int64_t connection, std::int64_t process, std::int64_t key,
                    std::int64_t ack_timeout, std::int64_t idle_timeout) {
  step(StepKind::kConnect, connection, process);
  step(StepKind::kRegister, connection, key, ack_timeout, idle_timeout);
  step(StepKind::kDeliver, connection);
}

void Scenario::says(StepKind what, std::int64_t connection, std::int64_t b, std::int64_t c,
                    std::int64_t d) {
  step(what, connection, b, c, d);
  step(StepKind::kDeliver, connection);
}

void Scenario::fails(std::int64_t connection, std::int64_t id, BroadcastFailureReason reason) {
  says(StepKind::kFail, connection, id, static_cast<std::int64_t>(reason));
}

void Scenario::works(std::int64_t connection, std::int64_t id, std::int64_t extend) {
  says(StepKind::kWorking, connection, id, extend, 50);
}

void Scenario::hangs_up(std::int64_t connection) {
  step(StepKind::kClose, connection);
  step(StepKind::kDeliver, connection);
}

void Scenario::exits(std::int64_t process, std::int64_t connection) {
  step(StepKind::kExit, process);
  step(StepKind::kGone, connection);
}

void Scenario::release(std::int64_t id, std::int64_t ack_timeout, std::int64_t key) {
  constexpr std::int64_t kMntA = 3;
  step(StepKind::kStart, id, kMntA, ack_timeout, 0, key);
}

int Scenario::fire_due() {
  int fired = 0;
  for (; simulation_.due() != 0; ++fired) step(StepKind::kFire, 0);
  return fired;
}

std::string Scenario::report(BroadcastId id) const {
  const auto found = simulation_.oracle().casts().find(id);
  if (found == simulation_.oracle().casts().end()) return "no such broadcast";
  // The oracle's; that the core's is the same is looked at with every step.
  const auto report = simulation_.oracle().report_of(found->second, simulation_.now());
  std::string text(to_string(report.state));
  text += ": " + to_string(report.result);
  for (const auto& backend : report.backends) {
    std::string more;
    if (!backend.detail.empty()) more += ", " + backend.detail;
    if (backend.redeliveries != 0) more += ", sent again " + std::to_string(backend.redeliveries);
    if (backend.extensions != 0) more += ", extended " + std::to_string(backend.extensions);
    if (!more.empty()) text += "\n" + backend.key.to_string() + more;
  }
  if (report.backends_unknown) text += "\nnot all backends are known";
  for (const auto& late : report.late_acks) {
    text += "\nlate ack of " + late.key.to_string() + ": " + std::to_string(late.lateness.count()) +
            " us";
  }
  for (const auto& late : report.late_failures) {
    text += "\nlate failure of " + late.key.to_string() + ": " +
            std::to_string(late.lateness.count()) + " us";
  }
  return text;
}

std::string Scenario::reads(std::int64_t connection) {
  std::string text;
  const auto& line = simulation_.shell().lines().at(static_cast<std::uint32_t>(connection));
  for (const auto& message : line.outbox) {
    if (!text.empty()) text += ", ";
    text += to_string(message.kind);
    if (message.kind == Sent::Kind::kRefused) {
      text.append(" (").append(to_string(static_cast<RefusalCode>(message.b / 2))).append(")");
    } else if (message.kind == Sent::Kind::kOperation || message.kind == Sent::Kind::kCancel ||
               message.kind == Sent::Kind::kResumed) {
      text += ' ' + std::to_string(message.a);
    }
  }
  (void)simulation_.apply({StepKind::kRead, {connection, 1000}});
  return text;
}

std::string Scenario::backends() const {
  std::string text;
  for (const auto& info : simulation_.oracle().list(0)) {
    if (!text.empty()) text += ", ";
    text += info.key.to_string() + ' ';
    text += to_string(info.state);
    if (!info.gone_because.empty()) text += " (" + info.gone_because + ')';
  }
  return text;
}

}  // namespace muster::simulator
