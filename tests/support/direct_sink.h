// Brings the answers of requests straight into the SDK's core, as on a caller's loop, for as long
// as there is one.
//
// Port: `queue` (HandlerQueue), `state` (ConnectionState), `time` (of the steady clock).
#pragma once

#include <chrono>
#include <utility>

#include "sdk/backend_core.h"

namespace muster::test {

template <class Port>
class DirectSink final : public AnswerSink {
 public:
  explicit DirectSink(Port& port) : port_(port) {}

  void answer(RequestRef request, Answer answer) override {
    if (core != nullptr) core->deliver(AnswerGiven{request, std::move(answer)});
  }
  void working(RequestRef request, Working working) override {
    if (core != nullptr) core->deliver(MoreTimeAsked{request, std::move(working)});
  }
  void released(RequestRef request) override {
    if (core != nullptr) core->deliver(RequestReleased{request});
  }
  [[nodiscard]] bool in_handler() const override {
    return core != nullptr && port_.queue.is_running_here();
  }
  [[nodiscard]] bool registered() const override {
    return core != nullptr && port_.state == ConnectionState::kRegistered;
  }
  [[nodiscard]] std::chrono::steady_clock::time_point now() const override {
    return core != nullptr ? port_.time : std::chrono::steady_clock::time_point::max();
  }

  BackendCore* core = nullptr;

 private:
  Port& port_;
};

}  // namespace muster::test
