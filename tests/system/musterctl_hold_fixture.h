// What the system tests of holds share: a broker that can see the whole host, backends that keep a
// file open, and musterctl with a command that goes on until the test lets it go.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <list>
#include <memory>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "os/unique_fd.h"
#include "support/child.h"
#include "support/file_holding.h"
#include "support/host_abilities.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "support/test_transport.h"

namespace muster::test {

class MusterctlHold : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = why_no_private_mounts(); !why.empty()) GTEST_SKIP() << why;
    std::filesystem::create_directory(path());
    std::ofstream(file()) << "content";
    start_broker();
  }

  // --- the host

  // In a container even root may be kept from looking at its first process: the programs of a test
  // have mounts of their own, where it is not seen.
  void start_broker() {
    ProcessOptions options = with_environment();
    if (mounts_) {
      options.before_exec = [fd = mounts_.get()] { return join_mounts(fd); };
    } else {
      options.before_exec = [] {
        return ::unshare(CLONE_NEWNS) == 0 &&
               ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
               ::mount("none", "/proc/1", "tmpfs", 0, nullptr) == 0;
      };
    }
    brokers_.emplace_back(
        musterd({"--transport", test_transport(), "--state-dir", (directory_ / "state").native()}),
        options);
    brokers_.back().wait_for("listening");
    if (mounts_) return;
    const std::string mounts = "/proc/" + std::to_string(broker().pid()) + "/ns/mnt";
    mounts_.reset(must(::open(mounts.c_str(), O_RDONLY | O_CLOEXEC), mounts));
  }
  Process& broker() { return brokers_.back(); }

  // A registered backend that has file() open.
  Process& backend(const std::string& service, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {program("muster-fake-backend"), "--service", service});
    backends_.emplace_back(std::move(more), inside());
    backends_.back().wait_for("registered");
    return backends_.back();
  }
  Process& keeper(const std::string& service, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--keep-open", file()});
    Process& started = backend(service, std::move(more));
    started.wait_for("opened");
    return started;
  }
  // Somebody who knows nothing of Muster.
  Child& stranger() {
    std::string problem;
    auto child = start_holder([this] { must_open(file(), O_RDONLY); }, problem);
    if (child == nullptr) throw std::runtime_error(problem);
    strangers_.push_back(std::move(child));
    return *strangers_.back();
  }

  // --- musterctl

  [[nodiscard]] ProcessOptions inside() const {
    ProcessOptions options = with_environment();
    options.before_exec = [fd = mounts_.get(), to = directory_.path().native()] {
      return join_mounts(fd) && ::chdir(to.c_str()) == 0;
    };
    return options;
  }
  [[nodiscard]] static std::vector<std::string> command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program("musterctl"));
    return arguments;
  }
  [[nodiscard]] Finished ctl(std::vector<std::string> arguments) const {
    return run_program(command(std::move(arguments)), inside());
  }
  [[nodiscard]] Finished with_released(const std::string& script,
                                       std::vector<std::string> options = {}) const {
    return run_program(released_command(script, std::move(options)), inside());
  }
  // `script` is run by a shell. `wait_here` in it prints "running" and waits until let_go().
  [[nodiscard]] std::vector<std::string> released_command(
      const std::string& script, std::vector<std::string> options = {}) const {
    std::vector<std::string> arguments{"with-released"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const auto has = [&](const char* option) {
      return std::find(options.begin(), options.end(), option) != options.end();
    };
    // Other tests' processes may have descriptors in flight for long.
    if (!has("--wait") && !has("--timeout") && !has("--no-verify")) {
      arguments.insert(arguments.end(), {"--wait", "40s"});
    }
    arguments.insert(arguments.end(), {path(), "--", "/bin/sh", "-c", prelude() + script});
    return command(std::move(arguments));
  }
  [[nodiscard]] Process start_released(const std::string& script,
                                       std::vector<std::string> options = {}) {
    must(::mkfifo((directory_ / "gate").c_str(), 0600), "mkfifo");
    Process process(released_command(script, std::move(options)), inside());
    process.wait_for("running");
    return process;
  }
  void let_go() const { std::ofstream(directory_ / "gate") << "go\n"; }

  [[nodiscard]] std::string path() const { return (directory_ / "cache").native(); }
  [[nodiscard]] std::string file() const { return path() + "/file"; }
  [[nodiscard]] bool was_made(const std::string& name) const {
    return std::filesystem::exists(directory_ / name);
  }

  // The lines of a backend about holds, without their ids: "started, ended completed".
  static std::string holds_of(const Process& backend) {
    std::string found;
    std::istringstream lines(backend.out());
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string what, id, why;
      words >> what >> id >> why;
      if (what == "hold-started") found += (found.empty() ? "" : ", ") + std::string("started");
      if (what == "hold-ended") found += (found.empty() ? "" : ", ") + ("ended " + why);
    }
    return found;
  }

  TempDir directory_;

 private:
  // A sanitizer has a thread of its own in the new process, too: setns() refuses a process whose
  // threads share their working directory.
  static bool join_mounts(int fd) {
    return ::unshare(CLONE_FS) == 0 && ::setns(fd, CLONE_NEWNS) == 0;
  }
  [[nodiscard]] ProcessOptions with_environment() const {
    ProcessOptions options;
    options.environment = {{"MUSTER_SOCKET_DIR", directory_.path().native()}, {"TZ", "UTC"}};
    options.directory = directory_.path();
    return options;
  }
  [[nodiscard]] std::string prelude() const {
    return "wait_here() { echo running; read _ < gate; }\n";
  }

  os::UniqueFd mounts_;  // of the programs
  std::list<Process> brokers_;
  std::list<Process> backends_;
  std::vector<std::unique_ptr<Child>> strangers_;
};

}  // namespace muster::test
