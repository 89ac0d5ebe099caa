// One musterd as a process of its own, in a directory of its own, and what it says to a service
// manager.
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "muster/control.h"

#include "os/unique_fd.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "support/test_backend.h"

namespace muster::test {

// The service manager's end of sd_notify(3).
class NotifySocket {
 public:
  explicit NotifySocket(const std::filesystem::path& path)
      : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.native().size());
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      throw std::system_error(errno, std::generic_category(), "bind " + path.native());
    }
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
  os::UniqueFd socket_;
};

class MusterdTest : public ::testing::Test {
 protected:
  // Nothing of a service manager or shell that may run this test.
  MusterdTest() {
    for (const char* name :
         {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID",
          "LISTEN_FDNAMES", "STATE_DIRECTORY", "JOURNAL_STREAM", "MUSTER_SOCKET_DIR"}) {
      ::unsetenv(name);
    }
  }

  [[nodiscard]] std::filesystem::path sockets() const { return dir_ / "s"; }
  [[nodiscard]] std::filesystem::path backend_socket() const { return sockets() / "backend.sock"; }

  [[nodiscard]] std::vector<std::string> command(std::vector<std::string> more = {}) const {
    std::vector<std::string> all{program("musterd"), "--socket-dir", sockets().native()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static ProcessOptions with_environment(
      std::vector<std::pair<std::string, std::string>> environment) {
    ProcessOptions options;
    options.environment = std::move(environment);
    return options;
  }

  // One that listens.
  [[nodiscard]] Process start(std::vector<std::string> more = {},
                              std::vector<std::pair<std::string, std::string>> environment = {}) {
    Process process(command(std::move(more)), with_environment(std::move(environment)));
    process.wait_for("listening");
    return process;
  }
  // One that ends by itself.
  [[nodiscard]] Finished run(std::vector<std::string> more = {}) {
    return run_program(command(std::move(more)));
  }
  // A line of the log without its time.
  static std::string without_time(const std::string& line) {
    const auto space = line.find(' ');
    std::string rest = space == std::string::npos ? line : line.substr(space + 1);
    while (!rest.empty() && rest.back() == '\n') rest.pop_back();
    return rest;
  }

  [[nodiscard]] std::filesystem::path write(const std::string& name, std::string_view text) const {
    std::ofstream(dir_ / name) << text;
    return dir_ / name;
  }
  [[nodiscard]] TestBackend join(const std::string& service) const {
    TestBackend backend(backend_socket());
    backend.registers(service);
    EXPECT_EQ(backend.hears(), "registered");
    return backend;
  }
  [[nodiscard]] pid_t ping() const { return ControlClient(sockets()).ping().broker_pid; }

  TempDir dir_;
};

}  // namespace muster::test
