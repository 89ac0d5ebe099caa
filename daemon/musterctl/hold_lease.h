// Keeps leased holds while something else goes on: a command, or an operator who thinks.
//
// A leased hold belongs to a connection. When the broker restarts, the holds wait for their
// operator to come back; HoldLease connects again and takes them up. What becomes of each hold is
// in a HoldBook, which decides without I/O.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "muster/control.h"

#include "musterctl/hold_text.h"
#include "musterctl/program.h"
#include "os/holders/family.h"

namespace muster::ctl {

struct LeasedHold {
  HoldId id = 0;
  BroadcastOperation operation = BroadcastOperation::unknown();
  bool verified = false;  // the kernel is asked once more at its end

  [[nodiscard]] std::string path() const;  // empty: of a quiesce
};

// A hold with --ttl belongs to this connection until the answer is here, so that it ends when
// musterctl is killed before. This detaches it, and updates `report`. Throws ControlFailure.
void leave_to_its_time(ControlClient& client, BroadcastReport& report);

// Every sentence that is returned is for the operator, and is said once; an empty one is none.
class HoldBook {
 public:
  explicit HoldBook(const std::vector<LeasedHold>& holds);

  // What the broker says of a hold that should go on. A sentence for each new violation.
  std::vector<std::string> noted(const HoldInfo& hold);
  // What it says when its operator ended it.
  std::vector<std::string> ended(const HoldInfo& hold);
  // From some moment on nobody kept it.
  std::string lost(HoldId id, const std::string& why);
  // The connection to the broker ended, or is there again.
  std::string went_away(const std::string& why);
  std::string came_back();

  [[nodiscard]] bool is_away() const noexcept { return is_away_; }
  // Those that were neither lost nor ended.
  [[nodiscard]] std::vector<HoldId> going_on() const;
  // What would be the exit status of a command that ended with `command`: 6 in place of 0 when a
  // hold was lost or violated, or the kernel's last word is not "clear".
  [[nodiscard]] int status(int command) const;
  // What is known of them.
  [[nodiscard]] std::vector<HoldInfo> infos() const;
  // The violations of all of them, with what would end each; and which were not clear in the end.
  [[nodiscard]] std::string text(const HoldStyle& style) const;

 private:
  struct Entry {
    LeasedHold hold;
    HoldInfo info;  // with the violations of before a restart of the broker
    bool is_lost = false;
    bool is_ended = false;
  };
  Entry* find(HoldId id);
  static std::vector<std::string> take(Entry& entry, const HoldInfo& hold);

  std::vector<Entry> entries_;
  bool is_away_ = false;
};

class HoldLease {
 public:
  // Returns false when nobody waits any more.
  using Tick = std::function<bool()>;
  // Of a broker that restarts: how long one that is away is waited for at the end.
  static constexpr std::chrono::milliseconds kGrace{5'000};

  // `client`: the connection that the holds belong to. REQUIRES: `to` outlives it.
  HoldLease(const Invocation& to, ControlClient client, const std::vector<LeasedHold>& holds);

  // Asks the broker how they stand, if it is time; connects again where it went away. `tick` is
  // called while it waits.
  void look(const Tick& tick);
  // Ends them, and waits for the kernel's last word where there is one.
  void end(const Tick& tick);
  [[nodiscard]] const HoldBook& book() const noexcept { return book_; }

 private:
  using Clock = std::chrono::steady_clock;

  // Connects if it is not. False when the broker does not listen.
  bool connect();
  void say(const std::string& sentence) const;
  void say(const std::vector<std::string>& sentences) const;
  void went_away(const std::string& why);
  // False when `ask` could not be answered because the broker is away, or nobody waits any more.
  bool ask(HoldId id, const Tick& tick, const std::function<void(ControlClient&)>& question);

  const Invocation& to_;
  // What is run while the holds last is started after the lease begins.
  const std::uint64_t children_after_ = os::ticks_now();
  std::optional<ControlClient> client_;  // none: the broker is away
  HoldBook book_;
  Clock::time_point look_at_;
  Clock::time_point away_since_{};
};

}  // namespace muster::ctl
