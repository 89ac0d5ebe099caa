// One line at the end of a terminal that is drawn over and over, and is gone in the end.
#pragma once

#include <chrono>
#include <string>

#include "musterctl/console.h"

namespace muster::ctl {

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

}  // namespace muster::ctl
