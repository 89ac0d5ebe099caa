#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include "muster/path.h"

#include "musterctl/duration.h"
#include "musterctl/text.h"
#include "musterctl/view_text.h"

namespace muster::ctl {
namespace {

enum Column : std::size_t {
  kKey,
  kState,
  kPid,
  kUser,
  kSince,
  kIncarnation,
  kOpen,
  kExe,
  kLabels,
  kColumns
};
using Row = std::array<std::string, kColumns>;

constexpr std::string_view kBetween = "  ";

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
    text += ", " + why + ", process " + (backend.pid > 0 ? std::to_string(backend.pid) + ' ' : "") +
            "is still running";
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

Row row_of(const BackendInfo& backend, const ViewStyle& style) {
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

std::string line_of(const Row& row, const std::array<std::size_t, kColumns>& widths) {
  std::string line;
  for (std::size_t i = 0; i < kColumns; ++i) {
    if (i > 0) line += kBetween;
    line += padded(row[i], widths[i]);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
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
  if (backends.empty()) return "no backend\n";
  const Row header{"BACKEND", "STATE", "PID", "USER", "SINCE", "INC", "OPEN", "EXE", "LABELS"};
  std::vector<Row> rows;
  rows.reserve(backends.size());
  for (const BackendInfo& backend : backends) rows.push_back(row_of(backend, style));
  std::array<std::size_t, kColumns> widths{};
  for (std::size_t i = 0; i < kColumns; ++i) {
    widths[i] = columns_of(header[i]);
    for (const Row& row : rows) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string text = style.paint.bold(line_of(header, widths)) + '\n';
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string line = line_of(rows[i], widths);
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

}  // namespace muster::ctl
