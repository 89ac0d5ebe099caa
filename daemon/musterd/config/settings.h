// Everything that musterd can be told, with its defaults. Pure values.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "core/config.h"
#include "musterd/config/accounts.h"
#include "wire/framing.h"

namespace muster::daemon {

enum class LogLevel { kError, kWarning, kInfo, kDebug };
[[nodiscard]] constexpr std::string_view to_string(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::kError:
      return "error";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kDebug:
      return "debug";
  }
  return "?";
}
enum class LogFormat { kText, kJson };

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
};

// Who may connect to one of the sockets that musterd makes itself.
struct SocketAccess {
  std::optional<gid_t> group;  // else that of the process
  std::optional<mode_t> mode;  // else 0600, or 0660 with a group

  [[nodiscard]] mode_t effective_mode() const { return mode.value_or(group ? 0660 : 0600); }
};

struct SocketSettings {
  std::filesystem::path dir;  // empty: find_socket_dir() decides
  SocketAccess backend;
  SocketAccess control;
};

struct ControlSettings {
  std::size_t connections = 64;          // at a time
  std::size_t event_queue = 256 * 1024;  // bytes of events that wait for one slow reader
  std::filesystem::path scan_socket = "/run/muster-scan/scan.sock";  // where muster-scan is asked
  // Not keys of the file. Bytes of answers, which are never left out: room for two of the largest.
  std::size_t answer_queue = 2 * (wire::kMaxControlBody + wire::kHeaderBytes);
  // A connection that has asked for nothing for so long is closed when another needs its place.
  std::chrono::milliseconds idle = std::chrono::seconds(10);
  // For last words to one who does not read.
  std::chrono::milliseconds linger = std::chrono::seconds(1);
};

// What is remembered of broadcasts and refusals.
struct HistorySettings {
  bool enabled = true;
  std::chrono::milliseconds keep_age = std::chrono::hours(24 * 30);
  std::size_t keep_bytes = 256ULL * 1024 * 1024;  // of the file
};

// A name that could not be looked up: what it is about holds only as far as it denies.
struct UnresolvedName {
  std::string name;   // "user alice"
  std::string where;  // "[[policy.control]] at FILE:LINE"
  std::string why;
  bool in_policy = false;  // looked up again while the broker runs; else at the next start

  friend bool operator==(const UnresolvedName&, const UnresolvedName&) = default;
};

// [policy] none: of which kinds there are no rules, and that is meant.
struct NoRules {
  bool registration = false;
  bool control = false;
  bool connect = false;
};

struct Settings {
  NameLookup names = {};  // who is asked while the file is read
  std::vector<UnresolvedName> unresolved = {};
  NoRules no_rules = {};
  core::Config broker;
  std::size_t send_queue = 256 * 1024;  // bytes that wait for one backend
  std::string transport = "auto";
  SocketSettings sockets;
  ControlSettings control;
  core::AccessPolicy policy;  // the rules of the file: effective_policy() makes what is in force
  LogSettings log;
  HistorySettings history;
  std::filesystem::path state_dir;  // empty: find_state_dir() decides
};

}  // namespace muster::daemon
