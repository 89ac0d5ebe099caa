// How far a broadcast is, as one line that is drawn again and again. Pure: the time comes in.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "muster/broker_view.h"

namespace muster::ctl {

class Progress {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // What the broker told while the broadcast runs, in order.
  void apply(const Event& event, TimePoint now);
  // Who is open: events only name a backend when something becomes of it, and some may be lost.
  // `report` is of the running broadcast, fetched after every event so far was sent.
  void seed(const BroadcastReport& report, TimePoint now);

  [[nodiscard]] BroadcastId id() const noexcept { return id_; }
  // False when a report would help.
  [[nodiscard]] bool knows_who_is_open() const noexcept { return knows_who_is_open_; }
  // "2 of 7 acked, 1 timed out, 4 open, 4.1 s; waiting for soldr 2.0.1 (pid 814) for 4.1 s, +3
  // more". Named is the one that has been silent for longest. At most `columns`; what is least
  // needed stands last and is cut.
  [[nodiscard]] std::string line(TimePoint now, std::size_t columns) const;

 private:
  struct Open {
    std::size_t order = 0;  // of registration
    pid_t pid = 0;
    TimePoint heard_at;  // its last sign of life: it was asked, or asked for more time
    bool said_something = false;
    std::string note;
    std::optional<std::uint32_t> percent;
  };

  void heard(const BackendOutcome& outcome, TimePoint now);
  [[nodiscard]] std::string waiting_for(TimePoint now) const;

  BroadcastId id_ = 0;
  bool knows_who_is_open_ = false;
  TimePoint started_at_{};
  std::uint32_t targets_ = 0;
  std::uint32_t acks_ = 0;
  std::uint32_t timeouts_ = 0;
  std::uint32_t failures_ = 0;
  std::map<BackendKey, Open> open_;
};

}  // namespace muster::ctl
