#include "musterctl/find_sessions.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <sys/stat.h>
#include <system_error>

#include "muster/path.h"
#include "muster/socket_dir.h"

#include "musterctl/bounded_child.h"
#include "os/error_text.h"
#include "os/left_running.h"

namespace muster::ctl {

namespace {

namespace fs = std::filesystem;

// With --socket-dir and no --state-dir, musterd keeps its roster in the directory of its sockets.
constexpr char kRosterName[] = "roster";
constexpr off_t kEmptyRosterBytes = sizeof("muster journal 1\n") - 1;

std::optional<uid_t> uid_of_name(const std::string& name) {
  uid_t uid = 0;
  const char* const end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data(), end, uid);
  if (error != std::errc() || at != end) return std::nullopt;
  return uid;
}

bool same_file(const fs::path& one, const fs::path& other) {
  struct stat first {};
  struct stat second {};
  return ::stat(one.c_str(), &first) == 0 && ::stat(other.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// Why root must not follow `path`; nothing if it may.
std::string not_the_users(const fs::path& path, uid_t uid, mode_t kind, bool roots_too) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    return escape_bytes(path.native()) + ": " + os::error_text(errno);
  }
  const std::string name = escape_bytes(path.native());
  if ((status.st_mode & S_IFMT) != kind) {
    return name + (kind == S_IFDIR ? " is not a directory" : " is not a socket");
  }
  if (status.st_uid == uid || (roots_too && status.st_uid == 0)) return {};
  return name + " belongs to uid " + std::to_string(status.st_uid) + ", not to uid " +
         std::to_string(uid);
}

// "2 of its backends ran on (cache 1.0.0, pid 77; ..)".
std::string shown_left(const os::LeftRunning& left) {
  constexpr std::size_t kMostShown = 3;
  constexpr std::size_t kMostOfAName = 200;
  const std::uint64_t all = left.processes.size() + left.unnamed;
  std::string text = std::to_string(all) + " of its backends ran on (";
  const std::size_t shown = std::min(left.processes.size(), kMostShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const os::LeftProcess& process = left.processes[i];
    text += escape_bytes(process.name.substr(0, kMostOfAName));
    if (process.pid != 0) text += ", pid " + std::to_string(process.pid);
    if (i + 1 != shown) text += "; ";
  }
  if (all > shown) text += (shown == 0 ? "" : "; ") + std::to_string(all - shown) + " more";
  return text + ')';
}

// Of a directory without control.sock. A broker that ends in order removes its sockets, and leaves
// who has not drained; its roster has no other backend that still runs. Empty: nothing says that
// somebody may be left.
std::string left_behind(const fs::path& sockets) {
  struct stat status {};
  if (::lstat(sockets.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return {};
  const fs::path socket = sockets / kBackendSocketName;
  if (::lstat(socket.c_str(), &status) == 0) {
    return "the broker's control socket is gone" +
           (kBackendsMayRun + escape_bytes(socket.native()));
  }
  const os::LeftRunning left = os::read_left_running(sockets);
  if (left.is_anybody_left()) {
    const std::string name = escape_bytes((sockets / os::kLeftRunningName).native());
    const std::string what = left.problem.empty()
                                 ? "the broker ended while " + shown_left(left)
                                 : "the broker ended, and what it left " + left.problem;
    return what + (kBackendsMayRun + name);
  }
  const fs::path roster = sockets / kRosterName;
  if (::lstat(roster.c_str(), &status) == 0 && status.st_size > kEmptyRosterBytes) {
    return "the broker ended and its roster names backends" +
           (kBackendsMayRun + escape_bytes(roster.native()));
  }
  return {};
}

// A line each, for the parent: "b UID", "g UID SENTENCE" of one that is gone, "x SENTENCE" of one
// that is left out, "p SENTENCE", "n" (sentences are escaped, so without a newline).
std::string look_for_sessions(const fs::path& dir, const fs::path& host_dir) {
  std::string lines;
  std::error_code error;
  for (fs::directory_iterator at(dir, error), end; !error && at != end; at.increment(error)) {
    const auto uid = uid_of_name(at->path().filename().native());
    if (!uid) continue;
    const fs::path sockets = at->path() / "muster";
    struct stat status {};
    const bool is_there = ::lstat((sockets / kControlSocketName).c_str(), &status) == 0;
    const bool is_absent = !is_there && (errno == ENOENT || errno == ENOTDIR);
    if (same_file(sockets, host_dir)) continue;
    if (is_absent) {
      const std::string gone = left_behind(sockets);
      if (!gone.empty()) lines += "g " + std::to_string(*uid) + ' ' + gone + '\n';
      continue;
    }
    std::string why = not_the_users(at->path(), *uid, S_IFDIR, false);
    if (why.empty()) why = not_the_users(sockets, *uid, S_IFDIR, true);
    if (why.empty()) why = not_the_users(sockets / kControlSocketName, *uid, S_IFSOCK, true);
    lines += why.empty() ? "b " + std::to_string(*uid) : "x " + why;
    lines += '\n';
  }
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
    lines += "n \n";
  } else if (error) {
    lines += "p " + escape_bytes(dir.native()) + " cannot be read: " + error.message() + '\n';
  }
  return lines;
}

}  // namespace

FoundSessions find_sessions(const fs::path& dir, const fs::path& host_dir,
                            std::chrono::milliseconds limit) {
  FoundSessions found;
  const auto lines = run_in_child([&] { return look_for_sessions(dir, host_dir); }, limit);
  if (!lines) {
    found.problem = escape_bytes(dir.native()) + " cannot be read: it is not answering";
    return found;
  }
  for (std::size_t at = 0; at < lines->size();) {
    const std::size_t end = std::min(lines->find('\n', at), lines->size());
    const char kind = (*lines)[at];
    const std::string rest = lines->substr(at + 2, end - at - 2);
    if (kind == 'b') found.brokers.push_back({*uid_of_name(rest), dir / rest / "muster"});
    if (kind == 'g') {
      const std::string uid = rest.substr(0, rest.find(' '));
      found.brokers.push_back(
          {*uid_of_name(uid), dir / uid / "muster", rest.substr(uid.size() + 1)});
    }
    if (kind == 'x') found.left_out.push_back(rest);
    if (kind == 'p') found.problem = rest;
    if (kind == 'n') found.no_directory = true;
    at = end + 1;
  }
  std::sort(found.brokers.begin(), found.brokers.end(),
            [](const SessionBroker& a, const SessionBroker& b) { return a.uid < b.uid; });
  return found;
}

}  // namespace muster::ctl
