#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "muster/path.h"

#include "musterctl/duration.h"
#include "musterctl/text.h"
#include "musterctl/view_text.h"

namespace muster::ctl {
namespace {

constexpr std::size_t kStatusColumns = 13;
constexpr std::size_t kMostIds = 20;
constexpr std::size_t kMostUsers = 20;

std::string line(std::string_view name, const std::string& value) {
  return padded(std::string(name), kStatusColumns) + value + '\n';
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

std::string used_of(const Share& share, std::string_view what) {
  return std::to_string(share.used) + " of " + std::to_string(share.quota) + ' ' +
         std::string(what);
}

// How much of that quota is used of which most is.
double fullness(const UserUsage& user) {
  double most = 0;
  for (const Share& share :
       {user.connections, user.registrations, user.queued_bytes, user.broadcasts}) {
    most = std::max(most, static_cast<double>(share.used) /
                              static_cast<double>(std::max<std::uint64_t>(share.quota, 1)));
  }
  return most;
}

// Those who are nearest to a quota come first; among equals, the lower uid.
std::string show_users(std::vector<UserUsage> users, const UserName& name_of) {
  std::sort(users.begin(), users.end(), [](const UserUsage& a, const UserUsage& b) {
    const double of_a = fullness(a);
    const double of_b = fullness(b);
    return of_a != of_b ? of_a > of_b : a.uid < b.uid;
  });
  std::string text;
  for (std::size_t i = 0; i < users.size() && i < kMostUsers; ++i) {
    const UserUsage& user = users[i];
    const std::string name = name_of(user.uid);
    text += line("user " + std::to_string(user.uid) + ' ',
                 (name.empty() ? "" : escape_bytes(name) + ": ") +
                     used_of(user.connections, "connections, ") +
                     used_of(user.registrations, "registered, ") +
                     used_of(user.queued_bytes, "bytes queued, ") +
                     used_of(user.broadcasts, "broadcasts, ") + number(user.dead_backends, "dead"));
  }
  if (users.size() > kMostUsers) {
    text += line("users", number(users.size() - kMostUsers, "more"));
  }
  return text;
}

std::string show_descriptors(const DescriptorUsage& usage, const Paint& paint) {
  std::string text = std::to_string(usage.used) + " of " + std::to_string(usage.limit) +
                     " in use, " + number(usage.reserve, "reserved for operators");
  if (usage.exhausted) text += paint.error(", used up: new backends wait");
  return line("descriptors", text);
}

// An older broker does not say it; then the wall clocks of two programs have to do.
std::chrono::milliseconds uptime(const BrokerStatus& status, std::uint64_t now_unix_ms) {
  if (status.uptime.count() > 0) return status.uptime;
  return std::chrono::milliseconds(
      now_unix_ms > status.started_unix_ms ? now_unix_ms - status.started_unix_ms : 0);
}

}  // namespace

std::string show_status(const BrokerStatus& status, const ViewStyle& style) {
  const Counters& count = status.counters;
  const auto up = uptime(status, style.now_unix_ms);
  std::string text = style.paint.bold("musterd " + escape_bytes(status.version)) + ", pid " +
                     std::to_string(status.pid) + ", up " + show_measured(up) + ", since " +
                     local_time(status.started_unix_ms, style.now_unix_ms);
  if (status.shutting_down) text += style.paint.error(", shutting down");
  text += '\n';
  for (const std::string& problem : status.problems) {
    text += line("problem", style.paint.error(escape_controls(problem)));
  }
  text += line("sockets", escape_bytes(status.socket_dir));
  text += line("transport", escape_bytes(status.transport));
  text += line("backends", number(status.live_backends, "live, ") +
                               number(status.reconnecting_backends, "reconnecting, ") +
                               number(status.lost_backends, "lost, ") +
                               number(status.dead_backends, "dead, ") +
                               number(status.quiesced_backends, "quiesced, ") +
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
                                   number(count.unmatched_answers, "for unknown broadcasts"));
  text += line("peers", number(count.connections_accepted, "accepted, ") +
                            number(count.registrations, "registered, ") +
                            number(count.refusals, "refused, ") +
                            counted(count.protocol_errors, "protocol error") + ", " +
                            counted(count.slow_readers, "slow reader") + ", " +
                            number(count.over_quota, "over a quota"));
  if (count.task_failures > 0) {
    text += line("tasks", number(count.task_failures, "failed and were started again"));
  }
  text += show_descriptors(status.descriptors, style.paint);
  text += show_users(status.users, style.user);
  return text;
}

}  // namespace muster::ctl
