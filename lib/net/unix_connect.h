// Connecting to a Unix stream socket without ever waiting.
#pragma once

#include <string>
#include <system_error>

#include "os/unique_fd.h"

namespace muster::net {

struct UnixConnection {
  os::UniqueFd socket;    // connected, non-blocking, close-on-exec; when error is not set
  std::error_code error;  // EAGAIN: somebody listens, but its backlog is full
};

// Asio's async_connect is no use here: it takes a full backlog (EAGAIN) for a connection that is
// being made, and then reports success on a socket that is not connected.
[[nodiscard]] UnixConnection connect_unix(const std::string& path);
// Its two halves. Nothing where no socket is to be had: errno says why.
[[nodiscard]] os::UniqueFd make_unix_socket();
[[nodiscard]] std::error_code connect_unix(const os::UniqueFd& socket, const std::string& path);

}  // namespace muster::net
