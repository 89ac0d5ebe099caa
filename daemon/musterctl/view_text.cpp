#include "musterctl/view_text.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "muster/path.h"

#include "model/counter_table.h"
#include "musterctl/text.h"

namespace muster::ctl {

// --- backends

namespace {

std::string shown_labels(const Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    if (!text.empty()) text += ' ';
    text += quote_if_needed(name) + '=' + quote_if_needed(value);
  }
  return text;
}

std::string shown_quiesced(const BackendInfo& backend, const ViewStyle& style) {
  if (!backend.quiesced) return {};
  const QuiescedState& quiesced = *backend.quiesced;
  std::string text = ", quiesced since " + local_time(quiesced.since_unix_ms, style.now_unix_ms);
  text += " by " + (quiesced.by ? "uid " + shown_user(quiesced.by->uid, style.user)
                                : std::string("the broker"));
  text += " (broadcast " + std::to_string(quiesced.broadcast) + ')';
  return backend.can_resume ? text : text + ", restart it to resume";
}

std::string shown_state(const BackendInfo& backend, const ViewStyle& style) {
  std::string text(backend.state == kUnknownBackendState ? "unknown" : to_string(backend.state));
  if (backend.state == BackendState::kLost) {
    const std::string why =
        backend.gone_because.empty() ? "connection lost" : escape_bytes(backend.gone_because);
    text += ", " + why;
    if (backend.cause == Cause::kInherited) return text + shown_quiesced(backend, style);
    if (backend.cause == Cause::kUnseen) {
      return text + ", it may still run" + shown_quiesced(backend, style);
    }
    text += backend.pid > 0 ? ", process " + std::to_string(backend.pid) + " is still running"
                            : ", its process may still run";
  } else if (!backend.gone_because.empty()) {
    text += ", " + escape_bytes(backend.gone_because);
  }
  return text + shown_quiesced(backend, style);
}

std::string shown_exe(const BackendInfo& backend) {
  // Escaped by the broker; quotes only where it would look like several columns.
  const bool one_word = backend.exe.find_first_of(" \"") == std::string::npos;
  if (!backend.exe.empty()) return one_word ? escape_controls(backend.exe) : quote(backend.exe);
  return backend.exe_problem.empty() ? "-" : '(' + escape_bytes(backend.exe_problem) + ')';
}

std::vector<std::string> row_of(const BackendInfo& backend, const ViewStyle& style) {
  return {shown(backend.key),
          shown_state(backend, style),
          backend.pid > 0 ? std::to_string(backend.pid) : "pid not visible",
          shown_user(backend.uid, style.user),
          local_time(backend.since_unix_ms, style.now_unix_ms),
          std::to_string(backend.incarnation),
          std::to_string(backend.open_operations),
          shown_exe(backend),
          shown_labels(backend.labels)};
}

std::string totals(const std::vector<BackendInfo>& backends) {
  std::string text;
  const auto add = [&](std::string_view what, const auto& is) {
    const auto count = std::count_if(backends.begin(), backends.end(), is);
    if (count == 0) return;
    text += (text.empty() ? "" : ", ") + std::to_string(count) + ' ' + std::string(what);
  };
  for (const BackendState state : {BackendState::kLive, BackendState::kReconnecting,
                                   BackendState::kLost, BackendState::kDead}) {
    add(to_string(state), [state](const BackendInfo& of) { return of.state == state; });
  }
  add("unknown", [](const BackendInfo& of) { return of.state == kUnknownBackendState; });
  add("quiesced", [](const BackendInfo& of) { return of.quiesced.has_value(); });
  return text;
}

}  // namespace

std::string show_backends(const std::vector<BackendInfo>& backends, const ViewStyle& style) {
  if (backends.empty()) return style.selective ? "no backend is selected\n" : "no backend\n";
  std::vector<std::vector<std::string>> rows{
      {"BACKEND", "STATE", "PID", "USER", "SINCE", "INC", "OPEN", "EXE", "LABELS"}};
  rows.reserve(backends.size() + 1);
  for (const BackendInfo& backend : backends) rows.push_back(row_of(backend, style));
  const std::vector<std::string> lines = table_lines(rows);
  std::string text = style.paint.bold(lines[0]) + '\n';
  for (std::size_t i = 0; i < backends.size(); ++i) {
    const std::string& line = lines[i + 1];
    switch (backends[i].state) {
      case BackendState::kLive:
        text += line;
        break;
      case BackendState::kReconnecting:
        text += style.paint.warning(line);
        break;
      case BackendState::kLost:
      case BackendState::kDead:
      default:
        text += style.paint.error(line);
        break;
    }
    text += '\n';
  }
  return text + totals(backends) + '\n';
}

// --- status

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
       {user.connections, user.registrations, user.queued_bytes, user.broadcasts, user.holds,
        user.operators, user.followers, user.answer_bytes}) {
    most = std::max(most, static_cast<double>(share.used) /
                              static_cast<double>(std::max<std::uint64_t>(share.quota, 1)));
  }
  return most;
}

// What most users have nothing of.
std::string rest_of(const UserUsage& user) {
  std::string text;
  const auto add = [&](const Share& share, std::string_view what) {
    if (share.used != 0) text += ", " + used_of(share, what);
  };
  add(user.holds, "holds");
  add(user.operators, "operators");
  add(user.followers, "requests that follow events");
  add(user.answer_bytes, "bytes unread");
  add(user.report_bytes, "bytes of reports");
  return text;
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
                     used_of(user.broadcasts, "broadcasts, ") + number(user.dead_backends, "dead") +
                     rest_of(user));
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

// What stands on a line of counters.
std::string counters_of(std::string_view line, const Counters& counters) {
  std::string text;
  for (const CounterRow& row : all_counters()) {
    if (row.line != line) continue;
    if (!text.empty()) text += ", ";
    const std::uint64_t value = counters.*row.value;
    text += row.is_noun ? counted(value, std::string(row.words)) : number(value, row.words);
  }
  return text;
}

// An older broker does not say it; then the wall clocks of two programs have to do.
std::chrono::milliseconds uptime(const BrokerStatus& status, std::uint64_t now_unix_ms) {
  if (status.uptime.count() > 0) return status.uptime;
  return std::chrono::milliseconds(
      now_unix_ms > status.started_unix_ms ? now_unix_ms - status.started_unix_ms : 0);
}

}  // namespace

std::string show_status(const BrokerStatus& status, const ViewStyle& style) {
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
                                 counters_of("broadcasts", status.counters) + ", " +
                                 counted(status.reports_kept, "report") + " kept");
  for (const char* const name : {"operations", "outcomes", "late answers", "peers"}) {
    text += line(name, counters_of(name, status.counters));
  }
  if (status.counters.task_failures > 0) {
    text += line("tasks", counters_of("tasks", status.counters));
  }
  text += show_descriptors(status.descriptors, style.paint);
  text += show_users(status.users, style.user);
  return text;
}

}  // namespace muster::ctl
