#include "sdk/request_clock.h"

#include <algorithm>

namespace muster {
namespace {

using std::chrono::milliseconds;

// Of a broker that does not say: its default.
constexpr milliseconds kUnsaidBudget{5000};
constexpr milliseconds kLongAgo = std::chrono::hours(24 * 36'500);

std::int64_t steady_ms(RequestClock::Steady time) {
  return std::chrono::floor<milliseconds>(time.time_since_epoch()).count();
}

std::int64_t difference(RequestClock::Steady now, std::uint64_t now_unix_ms) {
  return static_cast<std::int64_t>(now_unix_ms) - steady_ms(now);
}

}  // namespace

void RequestClock::heard(Steady now, std::uint64_t now_unix_ms) {
  heard_at_ = now;
  wall_minus_steady_ms_ = difference(now, now_unix_ms);
}

milliseconds RequestClock::left(const OutgoingOperation& operation, Steady now,
                                std::uint64_t now_unix_ms) const {
  const milliseconds budget =
      operation.ack_timeout > milliseconds(0) ? operation.ack_timeout : kUnsaidBudget;
  if (operation.deadline_unix_ms == 0) return budget;
  const auto by = [&](std::int64_t wall_minus_steady) {
    // Unsigned, for any deadline that may come.
    const auto wall = static_cast<std::uint64_t>(steady_ms(now) + wall_minus_steady);
    const auto left = static_cast<std::int64_t>(operation.deadline_unix_ms - wall);
    return std::clamp(milliseconds(left), -kLongAgo, budget);
  };
  // The clock may have been set after the broker read it, or before: whichever leaves more.
  const milliseconds left = std::max(by(difference(now, now_unix_ms)), by(wall_minus_steady_ms_));
  if (left > milliseconds(0)) return left;
  // Nothing is sent after its deadline, so it waited here since then at least. Could it?
  return -left <= now - heard_at_ ? left : budget;
}

}  // namespace muster
