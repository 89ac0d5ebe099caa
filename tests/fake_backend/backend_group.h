// All fake backends of the process: starts them, ends the program when it is told to or when
// nothing is left to wait for. On the loop's thread.
#pragma once

#include <deque>

#include "fake_backend/backend.h"

namespace muster::fake {

class BackendGroup final : Loop::Source {
 public:
  // Takes SIGTERM and SIGINT. Throws std::system_error.
  BackendGroup(Loop& loop, const Options& options);
  ~BackendGroup();
  BackendGroup(const BackendGroup&) = delete;
  BackendGroup& operator=(const BackendGroup&) = delete;

  void start();

 private:
  void ready(std::uint32_t events) override;  // a signal
  void look_again();                          // after each change of a backend's state
  [[nodiscard]] std::size_t count(BackendState state) const { return shared_.count(state); }

  Output output_;
  wire::BrokerFrameDecoder decoder_;
  SharedState shared_;
  std::deque<FakeBackend> backends_;
  int signals_ = -1;
  bool leaving_ = false;
  bool ready_told_ = false;
};

}  // namespace muster::fake
