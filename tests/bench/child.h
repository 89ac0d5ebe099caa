// Child processes that cannot outlive the bench, and a directory that goes with it.
#pragma once

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
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  // Runs `body` in a fork of this process; the child exits when it returns. Its descriptors are
  // those of this process.
  [[nodiscard]] static Child fork(const std::function<void()>& body);
  // Runs a program with its output in `log`. Throws std::system_error when it cannot be executed.
  [[nodiscard]] static Child run(const std::vector<std::string>& command,
                                 const std::filesystem::path& log);

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // True while it runs; reaps it when it does not.
  [[nodiscard]] bool is_running();
  void end() noexcept;

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_ = 0;
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

}  // namespace muster::bench
