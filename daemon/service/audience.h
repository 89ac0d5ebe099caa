// Who hears of the broker's events: the log, and operators that follow or watch. The loop's thread.
#pragma once

#include <chrono>
#include <string_view>

#include "broker/broker_server.h"
#include "control/control_plane.h"
#include "log/event_log.h"
#include "log/log.h"

namespace muster::daemon {

class Audience final : public broker::EventSink {
 public:
  // Both outlive it.
  Audience(Log& log, ControlPlane& control) : log_(log), events_(log), control_(control) {}

  void on_event(const Event& event) override {
    events_.write(event, std::chrono::steady_clock::now());
    control_.on_event(event);
  }
  [[nodiscard]] bool wants_every_outcome() const noexcept override {
    return events_.wants_every_outcome() || control_.wants_every_outcome();
  }
  void on_trouble(std::string_view sentence) noexcept override { log_.warning(sentence); }

 private:
  Log& log_;
  EventLog events_;
  ControlPlane& control_;
};

}  // namespace muster::daemon
