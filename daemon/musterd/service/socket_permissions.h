// Whether a socket's owner and mode let in those whom policy lets in. Start-up only.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "core/access_policy.h"

namespace muster::daemon {

// A socket as the file system has it: who may write to it may connect.
struct SocketPermissions {
  core::Lane lane = core::Lane::kBackend;
  std::string path;
  uid_t owner = 0;
  gid_t group = 0;
  mode_t mode = 0;
};

// Nothing for a socket that is no file.
[[nodiscard]] std::optional<SocketPermissions> socket_permissions(int socket, core::Lane lane);

// One sentence for each rule that allows somebody to connect whom the socket's mode keeps out, and
// for a mode that lets in a group that no rule is about.
[[nodiscard]] std::vector<std::string> permission_problems(const core::AccessPolicy& policy,
                                                           const SocketPermissions& socket);
// Of all of them.
[[nodiscard]] std::vector<std::string> permission_problems(
    const core::AccessPolicy& policy, const std::vector<SocketPermissions>& sockets);

}  // namespace muster::daemon
