// The soak: a musterd of its own, processes full of backends, and a random script that knows what
// every broadcast must come to.
//
// Everything that could depend on timing is kept out of the script, not out of the broker: the next
// change of who is registered waits until the broker knows of the last one, and behaviours have one
// outcome (behaviour.h). One thread. Throws std::runtime_error with the whole picture when
// something is not as it must be.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "muster/control.h"

#include "bench/child.h"
#include "bench/musterd_process.h"
#include "simulator/rng.h"
#include "soak/hosts.h"
#include "soak/members.h"
#include "soak/options.h"
#include "soak/progress.h"
#include "soak/stray_connections.h"

namespace muster::soak {

// How many outcomes musterd keeps in reports: few, so that this bound is reached soon.
inline constexpr std::uint64_t kReportTargets = 20'000;

class Soak {
 public:
  explicit Soak(const Options& options);
  void run();

 private:
  using Clock = std::chrono::steady_clock;

  // A broadcast whose report was not looked at yet.
  struct Open {
    BroadcastId id = 0;
    BroadcastResult expected;
    BroadcastState state = BroadcastState::kFinished;
    std::uint64_t before = 0;  // outcomes() when it was asked
  };
  struct Question {
    Selected selected;
    std::optional<std::chrono::milliseconds> ack_timeout;
    bool alone = false;
    // Who may be gone by now without the soak's doing: when nobody is asked, it is.
  };
  using Respond = std::function<BroadcastBackendResponse(BroadcastId id, std::uint32_t key)>;
  struct Footprint {
    std::size_t descriptors = 0;
    std::size_t bytes = 0;
  };

  // --- the broker (soak_broker.cpp)
  void start_broker();
  void live(Clock::time_point until);
  void end_killed();
  void end_told();
  void settle();
  [[nodiscard]] Footprint footprint();
  void compare(const Footprint& base);
  void check_counters();

  // --- rounds (soak_rounds.cpp)
  void round();
  void ordinary();
  void everybody();
  void dying();
  void last_words();
  void cancelling();
  void stopped();
  void flood();
  Open ask(const Question& question, const Respond& respond);
  // Its report, as it is after a minute at the latest.
  [[nodiscard]] BroadcastReport ended(BroadcastId id);
  void look_at(const Open& open);
  void look_at_all(std::vector<Open>& open);
  void look_at_sleepers();
  // Of all that this broker was asked.
  [[nodiscard]] std::uint64_t outcomes() const {
    return sums_.acks + sums_.timeouts + sums_.failures + sums_.skipped_dead;
  }
  [[nodiscard]] Question question_to(Kind kind);
  // What a backend that is left alone does.
  [[nodiscard]] BroadcastBackendResponse usual(BroadcastId id, std::uint32_t key) const;

  // --- who is there (soak_members.cpp)
  void change_members();
  void change(std::uint32_t key);
  void join(std::uint32_t key, std::uint32_t slot);
  void join_all();
  // A new process for the slot whose backends died.
  void replace(std::uint32_t slot);
  void await_deaths(std::uint32_t slot);
  void await_disconnected(std::uint32_t key);
  [[nodiscard]] std::vector<std::uint32_t> held_by(std::uint32_t slot) const;
  [[nodiscard]] std::uint32_t some_slot(Kind kind);
  void silence(std::uint32_t slot, bool on);

  Options options_;
  simulator::Rng rng_;
  bench::TemporaryDirectory directory_;
  std::optional<bench::MusterdProcess> musterd_;
  std::optional<ControlClient> client_;
  Hosts hosts_;
  Members members_;
  StrayConnections stray_;
  std::array<std::uint32_t, kKeys> holder_{};  // the slot that has the key's connection
  std::deque<Open> sleepers_;                  // their outcomes come with time alone
  Counters sums_;                              // what this run of the broker must have counted
  Progress progress_;
  BroadcastId last_id_ = 0;
  std::uint64_t rounds_ = 0;
};

}  // namespace muster::soak
