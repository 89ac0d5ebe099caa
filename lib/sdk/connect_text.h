// Why a backend is not connected, in one sentence that names what helps.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>
#include <system_error>

namespace muster {

[[nodiscard]] std::string why_not_connected(const std::error_code& error,
                                            const std::string& socket);

// What helps somebody without permission to a socket of that owner, group and mode.
struct SocketAccess {
  uid_t owner = 0;
  gid_t group = 0;
  mode_t mode = 0;
};
[[nodiscard]] std::string permission_remedy(const SocketAccess& access, uid_t uid);

}  // namespace muster
