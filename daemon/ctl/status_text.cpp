#include <chrono>
#include <string>
#include <string_view>

#include "muster/path.h"

#include "ctl/duration.h"
#include "ctl/text.h"
#include "ctl/view_text.h"

namespace muster::ctl {
namespace {

constexpr std::size_t kNameColumns = 13;
constexpr std::size_t kMostIds = 20;

std::string line(std::string_view name, const std::string& value) {
  return padded(std::string(name), kNameColumns) + value + '\n';
}

std::string number(std::uint64_t value, std::string_view what) {
  return std::to_string(value) + ' ' + std::string(what);
}

std::string running(const std::vector<BroadcastId>& ids) {
  std::string text = number(ids.size(), "running");
  for (std::size_t i = 0; i < ids.size() && i < kMostIds; ++i) {
    text += (i == 0 ? " (" : ", ") + std::to_string(ids[i]);
  }
  if (ids.size() > kMostIds) text += ", ...";
  return ids.empty() ? text : text + ')';
}

}  // namespace

std::string show_status(const BrokerStatus& status, const ViewStyle& style) {
  const Counters& count = status.counters;
  const auto up = std::chrono::milliseconds(
      style.now_unix_ms > status.started_unix_ms ? style.now_unix_ms - status.started_unix_ms : 0);
  std::string text = style.paint.strong("musterd " + escape_bytes(status.version)) + ", pid " +
                     std::to_string(status.pid) + ", up " + show_measured(up) + ", since " +
                     local_time(status.started_unix_ms, style.now_unix_ms);
  if (status.shutting_down) text += style.paint.bad(", shutting down");
  text += '\n';
  text += line("sockets", escape_bytes(status.socket_dir));
  text += line("transport", escape_bytes(status.transport));
  text += line("backends", number(status.live_backends, "live, ") +
                               number(status.dead_backends, "dead or reconnecting, ") +
                               counted(status.connections, "connection"));
  text += line("broadcasts", running(status.running_broadcasts) + ", " +
                                 number(count.broadcasts_started, "started, ") +
                                 number(count.broadcasts_finished, "finished, ") +
                                 counted(status.reports_kept, "report") + " kept");
  text += line("operations", number(count.operations_sent, "sent, ") +
                                 number(count.redeliveries, "sent again after a reconnect, ") +
                                 number(count.skipped_dead, "not sent (dead)"));
  text += line("outcomes", number(count.acks, "acked, ") + number(count.timeouts, "timed out, ") +
                               number(count.failures, "failed"));
  text += line("late answers", number(count.late_answers, "late, ") +
                                   number(count.duplicate_answers, "twice, ") +
                                   number(count.unmatched_answers, "for no known broadcast"));
  text += line("peers", number(count.connections_accepted, "accepted, ") +
                            number(count.registrations, "registered, ") +
                            number(count.refusals, "refused, ") +
                            counted(count.protocol_errors, "protocol error") + ", " +
                            counted(count.slow_readers, "slow reader"));
  return text;
}

}  // namespace muster::ctl
