// The brokers of user sessions: root asks them together with the host's.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "muster/broker_view.h"

namespace muster::ctl {

inline constexpr char kSessionsDir[] = "/run/user";

struct SessionBroker {
  uid_t uid = 0;
  std::filesystem::path socket_dir;
};

struct FoundSessions {
  std::vector<SessionBroker> brokers;  // in ascending order of uid
  std::vector<std::string> left_out;   // what looks like one and is not its user's, a sentence each
  std::string problem;                 // not empty: it could not be found out which there are
};

// Looks for DIR/UID/muster/control.sock. A directory that is a symbolic link, or that is not the
// user's own, could lead root to a socket of somebody else and is left out; so is the host's own
// broker in `host_dir`. Waits at most `limit` for file systems that do not answer.
[[nodiscard]] FoundSessions find_sessions(
    const std::filesystem::path& dir, const std::filesystem::path& host_dir,
    std::chrono::milliseconds limit = std::chrono::seconds(5));

// One exit status for several brokers: the highest, but one that had nobody to ask adds nothing.
[[nodiscard]] int worst_status(const std::vector<int>& statuses);

}  // namespace muster::ctl
