// Who hears of the broker's events: the log, operators that follow or watch, and who gives memory
// back when it is quiet again. The loop's thread.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <string_view>
#include <sys/types.h>

#include "broker/broker_server.h"
#include "musterd/control/control_plane.h"
#include "musterd/history/history.h"
#include "musterd/log/event_log.h"
#include "musterd/log/line_limit.h"
#include "musterd/log/log.h"
#include "musterd/service/memory_trim.h"
#include "musterd/service/roster_keeper.h"
#include "musterd/state/holds.h"

namespace muster::daemon {

class EventFanout final : public broker::EventSink {
 public:
  // All outlive it.
  EventFanout(Log& log, ControlPlane& control, MemoryTrim& memory, RosterKeeper* roster = nullptr,
              HoldStore* holds = nullptr, History* history = nullptr)
      : log_(log),
        events_(log),
        control_(control),
        memory_(memory),
        roster_(roster),
        holds_(holds),
        history_(history) {}

  void on_event(const Event& event) override {
    // One of them that fails is no reason to keep it from the others.
    std::exception_ptr failure;
    const auto tell = [&](auto&& step) {
      try {
        step();
      } catch (const std::exception&) {
        failure = std::current_exception();
      }
    };
    if (roster_ != nullptr) tell([&] { roster_->on_event(event); });
    tell([&] { control_.on_event(event); });
    tell([&] {
      const bool is_expected = roster_ != nullptr && roster_->is_expecting();
      events_.write(event, std::chrono::steady_clock::now(), is_expected);
    });
    if (history_ != nullptr) tell([&] { history_->on_event(event); });
    tell([&] { memory_.noticed(); });
    if (failure) std::rethrow_exception(failure);
  }
  void on_record_changed(const BackendKey& key) noexcept override {
    if (roster_ != nullptr) roster_->on_record_changed(key);
  }
  void on_ended(BroadcastId broadcast) noexcept override { control_.on_ended(broadcast); }
  void on_scan(const core::ScanOrder& order) override { control_.on_scan(order); }
  void on_holds_changed() noexcept override {
    if (holds_ != nullptr) holds_->changed();
  }
  void on_hold_ended(HoldId hold) noexcept override { control_.on_hold_ended(hold); }
  [[nodiscard]] bool wants_every_outcome() const noexcept override {
    return events_.wants_every_outcome() || control_.wants_every_outcome();
  }
  void on_trouble(std::string_view sentence, std::optional<uid_t> user) noexcept override {
    // Peers can bring it about. What is about one counts against its user, the rest (who comes and
    // goes when descriptors have run out is not known) against a budget of its own.
    if (user) {
      if (log_.admits(LogLevel::kWarning, *user)) log_.warning(sentence);
      return;
    }
    const auto left_out = troubles_.admit(std::chrono::steady_clock::now());
    if (!left_out) return;
    if (*left_out == 0) return log_.warning(sentence);
    log_.warning(sentence, {{"dropped_lines", *left_out}});
  }

 private:
  Log& log_;
  EventLog events_;
  LineLimit troubles_{50, 10};
  ControlPlane& control_;
  MemoryTrim& memory_;
  RosterKeeper* roster_;  // null: nobody keeps one
  HoldStore* holds_;      // the same
  History* history_;      // null: the same
};

}  // namespace muster::daemon
