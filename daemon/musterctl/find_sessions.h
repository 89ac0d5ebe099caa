// Finds the brokers of user sessions, also those that no longer run while their backends may. Root
// follows only what belongs to the session's user.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace muster::ctl {

// What follows why a session's broker is gone, before the file that says so.
inline constexpr char kBackendsMayRun[] =
    ": its backends may still run and were not asked: start the session's musterd again, or "
    "remove ";

// The brokers of user sessions: root asks them together with the host's.
struct SessionBroker {
  uid_t uid = 0;
  std::filesystem::path socket_dir;
  // Not empty: it does not run, and did not end in order, so its backends may live. A sentence.
  std::string gone = {};
};

struct FoundSessions {
  std::vector<SessionBroker> brokers;  // in ascending order of uid
  std::vector<std::string> left_out;   // what looks like one and is not its user's, a sentence each
  std::string problem;                 // not empty: it could not be found out which there are
  bool no_directory = false;           // there is no such directory: no session, no problem
};

// Looks for DIR/UID/muster/control.sock, and for what a broker leaves there that was killed. A
// directory that is a symbolic link, or that is not the user's own, could lead root to a socket of
// somebody else and is left out; so is the host's own broker in `host_dir`. Waits at most `limit`
// for file systems that do not answer.
[[nodiscard]] FoundSessions find_sessions(
    const std::filesystem::path& dir, const std::filesystem::path& host_dir,
    std::chrono::milliseconds limit = std::chrono::seconds(5));

}  // namespace muster::ctl
