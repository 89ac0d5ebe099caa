// Writes log lines to a descriptor, never waiting for whoever reads it.
//
// What the descriptor does not take at once is lost, and counted; the first line that gets through
// again is followed by one that says how many are missing. At most the rest of one line is kept.
// The flags of the descriptor, which others may share, are left as they are. Any thread.
// REQUIRES: SIGPIPE is ignored.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include <spdlog/sinks/base_sink.h>

#include "os/unique_fd.h"

namespace muster::daemon {

class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // `fd` stays the caller's and open.
  explicit StderrSink(int fd);

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  // How to write without waiting.
  enum class Way {
    kFile,    // a regular file takes everything at once
    kSocket,  // MSG_DONTWAIT
    kOwn,     // a pipe or terminal, opened once more with O_NONBLOCK
    kPoll,    // the same where it could not be opened: RWF_NOWAIT, else looks first
  };

  // How many bytes of `text` were taken; all that is not is lost.
  std::size_t write_some(std::string_view text) noexcept;
  // True when all of it was taken. What is left of a line that was begun waits in rest_.
  bool write_line(std::string_view line);
  bool write_rest();

  int fd_;
  os::UniqueFd own_;
  Way way_ = Way::kFile;
  std::string rest_;
  std::uint64_t lost_ = 0;
};

}  // namespace muster::daemon
