// Opening the control client's socket, and saying in one sentence why that did not work.
#pragma once

#include <chrono>
#include <string>

namespace muster {

// A connected, non-blocking, close-on-exec stream socket. Waits at most `patience` for a broker
// that does not accept. `path` is as find_socket_dir() allows. Throws ControlFailure kUnreachable.
[[nodiscard]] int connect_to_broker(const std::string& path, std::chrono::milliseconds patience);

}  // namespace muster
