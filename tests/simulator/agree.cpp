#include "simulator/agree.h"

namespace muster::simulator {

std::string show(const BackendOutcome& outcome) {
  std::string text = "    " + outcome.key.to_string() + " incarnation " +
                     std::to_string(outcome.incarnation) + " pid " + std::to_string(outcome.pid) +
                     " uid " + std::to_string(outcome.uid) + ": ";
  text += to_string(outcome.outcome);
  if (outcome.reason) text.append(" (").append(to_string(*outcome.reason)).append(")");
  if (!outcome.detail.empty()) text += " '" + outcome.detail + '\'';
  text.append(" (").append(to_string(outcome.cause)).append(", ");
  text.append(to_string(outcome.said_by)).append(")");
  text += " after " + std::to_string(outcome.latency.count()) + " us, budget " +
          std::to_string(outcome.ack_timeout.count()) + " ms, extensions " +
          std::to_string(outcome.extensions) + ", redeliveries " +
          std::to_string(outcome.redeliveries);
  if (!outcome.note.empty()) text += ", note '" + outcome.note + '\'';
  if (outcome.percent) text += ", " + std::to_string(*outcome.percent) + " %";
  return text + '\n';
}

std::string show(const BroadcastReport& report) {
  std::string text = "    broadcast " + std::to_string(report.broadcast_id) + ' ';
  text += to_string(report.state);
  text += " started " + std::to_string(report.started_unix_ms) + " took " +
          std::to_string(report.duration.count()) + " us, key '" + report.operation_key +
          "'\n    " + to_string(report.result) + '\n';
  if (report.asked_by) text += "    asked by uid " + std::to_string(report.asked_by->uid) + '\n';
  for (const auto& backend : report.backends) text += show(backend);
  const auto late = [&](const char* what, const std::vector<LateAnswer>& answers) {
    for (const auto& answer : answers) {
      text.append("    ").append(what).append(1, ' ').append(answer.key.to_string());
      text += " by " + std::to_string(answer.lateness.count()) + " us '" + answer.detail + "'\n";
    }
  };
  late("late ack", report.late_acks);
  late("late failure", report.late_failures);
  return text;
}

std::string show(const std::vector<BackendInfo>& backends) {
  std::string text;
  for (const auto& info : backends) {
    text += "    " + info.key.to_string() + ' ';
    text += to_string(info.state);
    text += " incarnation " + std::to_string(info.incarnation) + " pid " +
            std::to_string(info.pid) + " uid " + std::to_string(info.uid) + " gid " +
            std::to_string(info.gid) + " since " + std::to_string(info.since_unix_ms) + " gone '" +
            info.gone_because + "' owes " + std::to_string(info.open_operations);
    if (info.quiesced) text += " quiesced by " + std::to_string(info.quiesced->broadcast);
    text += '\n';
  }
  return text.empty() ? "    nobody\n" : text;
}

std::string show(const std::vector<UserUsage>& users) {
  std::string text;
  const auto add = [&](const char* what, const Share& share) {
    text.append(what).append(std::to_string(share.used)).append(" of ");
    text += std::to_string(share.quota);
  };
  for (const auto& user : users) {
    text += "    uid " + std::to_string(user.uid);
    add(": connections ", user.connections);
    add(", registrations ", user.registrations);
    add(", queued ", user.queued_bytes);
    add(", broadcasts ", user.broadcasts);
    text += ", dead " + std::to_string(user.dead_backends) + '\n';
  }
  return text.empty() ? "    nobody\n" : text;
}

}  // namespace muster::simulator
