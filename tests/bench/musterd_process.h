// A musterd of the bench's own and its control lane, over which rounds and scenarios are driven.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "muster/broker_view.h"

#include "bench/child.h"
#include "os/unique_fd.h"
#include "wire/control_lane.h"

namespace muster::bench {

// A program with its arguments.
struct MusterdCommand {
  std::filesystem::path program;
  std::vector<std::string> arguments;
};

class MusterdProcess {
 public:
  // Returns when it listens. `directory` is its own. Throws std::runtime_error with what it logged.
  MusterdProcess(const MusterdCommand& command, const std::filesystem::path& directory);

  [[nodiscard]] pid_t pid() const noexcept { return child_.pid(); }
  [[nodiscard]] std::filesystem::path backend_socket() const;
  [[nodiscard]] std::filesystem::path control_socket() const;

  // --- requests; everything that is not the expected answer throws std::runtime_error
  void send(std::string_view frame);
  // The next answer's body, good until the next call.
  std::string_view receive();
  [[nodiscard]] wire::ControlResponse decode(std::string_view body);

  [[nodiscard]] BroadcastReport receive_report();
  [[nodiscard]] BroadcastId receive_acceptance();
  // Waits until that broadcast has ended.
  [[nodiscard]] BroadcastReport report(BroadcastId id);

 private:
  std::filesystem::path directory_;
  Child child_;
  os::UniqueFd control_;
  std::string body_;
  wire::ControlAnswerDecoder decoder_;
};

// The frame that asks for a broadcast. Without a budget each backend's own is in force.
[[nodiscard]] std::string start_frame(std::optional<std::chrono::milliseconds> ack_timeout,
                                      bool detach);

}  // namespace muster::bench
