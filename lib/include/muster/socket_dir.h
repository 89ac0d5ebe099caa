// Where a broker's two sockets are. Reads the environment: call it before threads change that.
#pragma once

#include <filesystem>
#include <string>

namespace muster {

inline constexpr char kBackendSocketName[] = "backend.sock";
inline constexpr char kControlSocketName[] = "control.sock";

struct SocketDir {
  std::filesystem::path path;  // valid when problem is empty
  std::string problem;         // one sentence: what is wrong, what would be right
};

// `given` if not empty, else $MUSTER_SOCKET_DIR, else /run/muster for root, else
// $XDG_RUNTIME_DIR/muster. Refuses what does not fit into a socket address (107 bytes with the
// longest socket name).
[[nodiscard]] SocketDir find_socket_dir(const std::filesystem::path& given = {});

}  // namespace muster
