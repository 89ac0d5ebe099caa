// The control client's end of a control connection: a blocking Unix socket, whole frames.
//
// Plain poll(2), send(2) and recv(2): a command line tool starts and ends with it, so nothing here
// may cost more than the system calls themselves. Belongs to one thread. Never raises SIGPIPE.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "wire/control_lane.h"

namespace muster {

class ControlLink {
 public:
  using Clock = std::chrono::steady_clock;

  enum class Received {
    kFrame,
    kNothing,  // until then nothing came, or a signal did
    kEnded,    // the connection is over: why() says why
  };

  // Connects to control.sock in `socket_dir`. Throws ControlFailure kUnreachable.
  ControlLink(const std::filesystem::path& socket_dir, std::chrono::milliseconds patience);
  ~ControlLink();
  ControlLink(const ControlLink&) = delete;
  ControlLink& operator=(const ControlLink&) = delete;

  // Sends a whole frame, waiting for the broker to read it until `until` at most. False when that
  // failed: what the broker said before it closed can still be received.
  [[nodiscard]] bool send(std::string_view frame, Clock::time_point until);
  // Waits for one frame, at most until `until`.
  [[nodiscard]] Received receive(std::optional<wire::ControlAnswerFrame>& out,
                                 Clock::time_point until);

  // For messages: the socket's path, escaped.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // Part of a sentence: "closed the connection", ...
  [[nodiscard]] const std::string& why() const noexcept { return why_; }
  // 0 when the kernel does not say (another pid namespace).
  [[nodiscard]] pid_t broker_pid() const noexcept;
  // Nothing when the kernel does not say.
  [[nodiscard]] std::optional<uid_t> broker_uid() const noexcept;

 private:
  // True when a frame was in what has been read.
  bool take_buffered(std::optional<wire::ControlAnswerFrame>& out);
  // Reads once without waiting. False when nothing was there.
  bool read_some();
  void end(std::string why);

  std::string name_;
  std::string why_;
  int socket_ = -1;
  bool ended_ = false;
  std::string input_;  // bytes read; those before taken_ are done with
  std::size_t taken_ = 0;
  std::size_t wanted_ = 0;  // what input_ must hold before it is worth looking at again
  wire::ControlAnswerDecoder decoder_;
};

// Opening the control client's socket, and saying in one sentence why that did not work.

// A connected, non-blocking, close-on-exec stream socket. Waits at most `patience` for a broker
// that does not accept. `path` is as find_socket_dir() allows. Throws ControlFailure kUnreachable.
[[nodiscard]] int connect_to_broker(const std::string& path, std::chrono::milliseconds patience);

}  // namespace muster
