// Child processes that cannot outlive the bench, and a directory that goes with it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace muster::bench {

// Ended (SIGKILL to its pid) and waited for when this goes.
class Child {
 public:
  Child() = default;
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)), executed_(other.executed_) {}
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  // Runs `body` in a fork of this process; the child exits when it returns. Its descriptors are
  // those of this process.
  [[nodiscard]] static Child fork(const std::function<void()>& body);
  // Runs a program (a path) with its output appended to `log`, and with `environment`
  // ("NAME=VALUE") added to this process's. It inherits `kept`, else nothing that is close-on-exec.
  // Throws std::system_error when it cannot be executed.
  [[nodiscard]] static Child run(const std::vector<std::string>& command,
                                 const std::filesystem::path& log,
                                 const std::vector<std::string>& environment = {}, int kept = -1);

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // When run()'s child called exec.
  [[nodiscard]] std::chrono::steady_clock::time_point executed() const noexcept {
    return executed_;
  }
  // True while it runs; reaps it when it does not.
  [[nodiscard]] bool is_running();
  // Waits for its end. True when it exited with 0.
  bool wait();
  void end() noexcept;

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_ = 0;
  std::chrono::steady_clock::time_point executed_;
};

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

// The whole of a file, without white space at its end; empty when there is none.
[[nodiscard]] std::string text_of(const std::filesystem::path& file);
// What a program prints; empty when it fails.
[[nodiscard]] std::string output_of(const std::vector<std::string>& command);

}  // namespace muster::bench
