// A real program as a child process: what it prints is read, and it never outlives the test.
//
// Belongs to one thread. Every wait has an end: after kPatience it throws with all that the process
// printed so far, so that the failed test shows it.
#pragma once

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "os/unique_fd.h"

namespace muster::test {

// Where a program of this build is.
[[nodiscard]] std::string program(const std::string& name);
// A musterd with these arguments that reads no file of this host: where they name no --config,
// none.
[[nodiscard]] std::vector<std::string> musterd(std::vector<std::string> arguments);

struct ProcessOptions {
  std::vector<std::pair<std::string, std::string>> environment;  // added to the test's own
  std::filesystem::path directory;                               // empty: the test's own
  // Its standard streams are a terminal of so many columns (out() is what it shows); 0: pipes.
  unsigned short terminal_columns = 0;
  // Runs in the child before the program does: only what is safe after fork(). False: no program.
  std::function<bool()> before_exec = {};
};

struct Finished {
  int status = 0;  // the exit status, or 128 + the signal that ended it
  std::string out;
  std::string err;
};

class Process {
 public:
  static constexpr std::chrono::seconds kPatience{60};

  // The first of `command` is a path.
  explicit Process(std::vector<std::string> command, const ProcessOptions& options = {});
  // Kills what still runs.
  ~Process();
  Process(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  Process& operator=(Process&&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // The next whole line that has `text` in it, from where the last call stopped, on either stream.
  std::string wait_for(std::string_view text);
  // The same for text that no line's end follows, anywhere in what was printed.
  void wait_until_shown(std::string_view text);
  // Takes what it printed so far and does not wait for more. A program that prints much while
  // nobody looks would find its pipe full.
  void look();
  void signal(int number) const;
  // Waits for its end.
  Finished finish();
  // Pressed on its terminal.
  void type(std::string_view keys) const;
  // finish() after a signal.
  Finished end(int number = SIGTERM);
  // So far.
  [[nodiscard]] const std::string& out() const noexcept { return out_.text; }
  [[nodiscard]] const std::string& err() const noexcept { return err_.text; }

 private:
  struct Stream {
    os::UniqueFd fd;  // none: it ended
    std::string text;
    std::size_t looked_at = 0;  // by wait_for()
  };

  // Reads what is there, waiting for something until then. False: nothing was there.
  bool read_more(std::chrono::steady_clock::time_point until);
  [[noreturn]] void fail(const std::string& what) const;
  static bool next_line(Stream& stream, std::string_view text, std::string& line);

  std::string name_;
  pid_t pid_ = -1;
  Stream out_;
  Stream err_;
};

// Runs a program to its end.
Finished run_program(std::vector<std::string> command, const ProcessOptions& options = {});

}  // namespace muster::test
