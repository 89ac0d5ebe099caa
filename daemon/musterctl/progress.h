// A broadcast while it runs: events as sentences, and a live line on a terminal, plain lines
// elsewhere, or nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "muster/broker_view.h"

#include "musterctl/console.h"
#include "musterctl/user_names.h"

namespace muster::ctl {

// --- events

// What happens in a broker, one sentence an event. Pure.

// "soldr 2.0.1 (pid 814, uid 1000) timed out: no answer within 2 s"
[[nodiscard]] std::string show_event(const Event& event);
// With the local time before it, the broadcast and who asked, for a log of everything.
[[nodiscard]] std::string show_watched_event(const Event& event, const UserName& user);

// The events of one broadcast as lines for a file or a pipe: what an operator wants to see there,
// and no more than `most` of each kind of outcome.
class PlainProgress {
 public:
  explicit PlainProgress(std::size_t most = 50) : most_(most) {}

  // With its newline; empty when the event is not worth one.
  [[nodiscard]] std::string line(const Event& event);

 private:
  std::size_t most_;
  std::map<std::string, std::size_t, std::less<>> written_;  // by outcome word
};

// --- progress

// How far a broadcast is, as one line that is drawn again and again. Pure: the time comes in.
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
  // When every outcome is in: "7 of 7 acked, 4.1 s; asking the kernel who has files in use".
  // Else: "2 of 7 acked, 1 timed out, 4 open, 4.1 s; waiting for soldr 2.0.1 (pid 814) for 4.1 s,
  // +3 more". Named is the one that has been silent for longest. At most `columns`; what is least
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
  bool verifying_ = false;  // every outcome is in
  TimePoint started_at_{};
  std::uint32_t targets_ = 0;
  std::uint32_t acks_ = 0;
  std::uint32_t timeouts_ = 0;
  std::uint32_t failures_ = 0;
  std::map<BackendKey, Open> open_;
};

// --- the live line

// One line at the end of a terminal that is drawn over and over, and is gone in the end.
class LiveLine {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  LiveLine(Console& console, TimePoint now) : console_(console), due_(now + kFirst) {}
  ~LiveLine() { clear(); }
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  // True when it is time to draw again.
  [[nodiscard]] bool due(TimePoint now) const { return now >= due_; }
  void draw(const std::string& line, TimePoint now) {
    console_.progress("\r" + line + kClearRest);
    drawn_ = true;
    due_ = now + kEvery;
  }
  void clear() {
    if (drawn_) console_.progress(std::string("\r") + kClearRest);
    drawn_ = false;
  }

 private:
  // What ends at once needs no line that flickers; ten times a second is as fast as one can read.
  static constexpr std::chrono::milliseconds kFirst{150};
  static constexpr std::chrono::milliseconds kEvery{100};
  static constexpr const char* kClearRest = "\x1b[K";

  Console& console_;
  TimePoint due_;
  bool drawn_ = false;
};

// --- display

// Shows a broadcast while it runs: a live line on a terminal, plain lines elsewhere, or nothing.
class BroadcastDisplay {
 public:
  virtual ~BroadcastDisplay() = default;
  virtual void on_event(const Event& event) = 0;
  // Called ten times a second or more.
  virtual void tick() = 0;
};

// `socket_dir`: where to ask who is still open, which the events do not say. `before`: stands in
// front of a live line.
[[nodiscard]] std::unique_ptr<BroadcastDisplay> make_display(
    Console& console, bool silent, const std::filesystem::path& socket_dir,
    const std::string& before = {});

}  // namespace muster::ctl
