// One musterd as a process of its own, in a directory of its own.
#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "muster/control.h"

#include "os/unique_fd.h"
#include "support/process.h"
#include "support/sanitized.h"
#include "support/service_manager.h"
#include "support/temp_dir.h"
#include "support/test_backend.h"
#include "support/test_transport.h"

namespace muster::test {

class MusterdTest : public ::testing::Test {
 protected:
  // Nothing of a service manager or shell that may run this test.
  MusterdTest() { leave_service_manager(); }

  [[nodiscard]] std::filesystem::path sockets() const { return dir_ / "s"; }
  [[nodiscard]] std::filesystem::path backend_socket() const { return sockets() / "backend.sock"; }

  [[nodiscard]] std::vector<std::string> command(std::vector<std::string> more = {}) const {
    more.insert(more.begin(),
                {"--socket-dir", sockets().native(), "--transport", test_transport()});
    return musterd(std::move(more));
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
