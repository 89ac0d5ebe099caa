// The service manager's part, for a musterd that a test starts.
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>

#include "os/unique_fd.h"
#include "support/process.h"

namespace muster::test {

// Takes out of the environment what a service manager or shell that runs this test put there.
inline void leave_service_manager() {
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
                           "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID", "STATE_DIRECTORY",
                           "JOURNAL_STREAM", "MUSTER_SOCKET_DIR"}) {
    ::unsetenv(name);
  }
}

// The service manager's end of sd_notify(3).
class NotifySocket {
 public:
  explicit NotifySocket(const std::filesystem::path& path)
      : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    address_.sun_family = AF_UNIX;
    std::memcpy(address_.sun_path, path.c_str(), path.native().size());
    if (::bind(socket_.get(), where(), sizeof(address_)) != 0) {
      throw std::system_error(errno, std::generic_category(), "bind " + path.native());
    }
  }

  // Sends `text` to itself until nothing more fits: the socket of a service manager that hangs.
  // Returns how often.
  std::size_t fill(std::string_view text) const {
    const os::UniqueFd sender(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    std::size_t sent = 0;
    while (::sendto(sender.get(), text.data(), text.size(), MSG_DONTWAIT, where(),
                    sizeof(address_)) >= 0) {
      ++sent;
    }
    return sent;
  }

  // The next message with `text` in it, its lines separated by "; ". Throws when none comes.
  std::string wait_for(std::string_view text) {
    std::string others;
    for (;;) {
      pollfd look{socket_.get(), POLLIN, 0};
      const auto patience = std::chrono::milliseconds(Process::kPatience);
      if (::poll(&look, 1, static_cast<int>(patience.count())) != 1) {
        throw std::runtime_error("no " + std::string(text) + ", but: " + others);
      }
      std::array<char, 4096> message{};
      const ssize_t got = ::recv(socket_.get(), message.data(), message.size(), 0);
      std::string told(message.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      for (auto at = told.find('\n'); at != std::string::npos; at = told.find('\n', at)) {
        told.replace(at, 1, "; ");
      }
      if (told.find(text) != std::string::npos) return told;
      others += '[' + told + ']';
    }
  }

 private:
  [[nodiscard]] const sockaddr* where() const {
    return reinterpret_cast<const sockaddr*>(&address_);
  }

  sockaddr_un address_{};
  os::UniqueFd socket_;
};

}  // namespace muster::test
