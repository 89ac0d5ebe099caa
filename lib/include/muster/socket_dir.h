// Where a broker's two sockets are. Reads the environment: call it before threads change that.
#pragma once

#include <filesystem>
#include <string>

namespace muster {

inline constexpr char kBackendSocketName[] = "backend.sock";
inline constexpr char kControlSocketName[] = "control.sock";
inline constexpr char kSystemSocketDir[] = "/run/muster";

struct SocketDir {
  std::filesystem::path path;  // valid when problem is empty
  std::string problem;         // one sentence: what is wrong, what would be right
};

// Where to look for a broker: `given` if not empty, else $MUSTER_SOCKET_DIR, else /run/muster if
// that exists, else $XDG_RUNTIME_DIR/muster, else /run/muster, where a broker may come to be.
// Refuses what does not fit into a socket address (107 bytes with the longest socket name).
[[nodiscard]] SocketDir find_socket_dir(const std::filesystem::path& given = {});

// The same for who looks again and again: the environment is read once, when it is made, the file
// system at each find().
class SocketDirSearch {
 public:
  explicit SocketDirSearch(const std::filesystem::path& given = {});
  // Any thread. `system` stands for /run/muster.
  [[nodiscard]] SocketDir find(const std::filesystem::path& system = kSystemSocketDir) const;

  friend bool operator==(const SocketDirSearch& a, const SocketDirSearch& b) {
    return a.named_.path == b.named_.path && a.session_.path == b.session_.path;
  }

 private:
  bool is_named_ = false;
  SocketDir named_;    // by the caller or by MUSTER_SOCKET_DIR
  SocketDir session_;  // neither path nor problem: there is none
};

// Where a broker makes its sockets: `given` if not empty, else $MUSTER_SOCKET_DIR, else /run/muster
// for root and $XDG_RUNTIME_DIR/muster for others.
[[nodiscard]] SocketDir socket_dir_to_serve(const std::filesystem::path& given = {});

}  // namespace muster
