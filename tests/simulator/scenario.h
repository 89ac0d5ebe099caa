// A simulation to write a case in, step by step, and to read what came of it as text.
//
// Every step must do something, and the oracle looks on.
#pragma once

#include <cstdint>
#include <string>

#include "simulator/simulation.h"

namespace muster::simulator {

class Scenario {
 public:
  explicit Scenario(const Knobs& knobs = {}) : simulation_(knobs) {}

  Simulation& simulation() noexcept { return simulation_; }

  void step(StepKind kind, std::int64_t a = 0, std::int64_t b = 0, std::int64_t c = 0,
            std::int64_t d = 0, std::int64_t e = 0, std::int64_t f = 0, std::int64_t g = 0);

  // A process connects and registers a key. Timeouts in ms, -1 for none.
  void join(std::int64_t connection, std::int64_t process, std::int64_t key,
            std::int64_t ack_timeout = -1, std::int64_t idle_timeout = -1);
  // What it says arrives at once.
  void says(StepKind what, std::int64_t connection, std::int64_t b = 0, std::int64_t c = 0,
            std::int64_t d = 0);
  void acks(std::int64_t connection, std::int64_t id) { says(StepKind::kAck, connection, id); }
  void fails(std::int64_t connection, std::int64_t id, BroadcastFailureReason reason);
  // Asks for that many ms more.
  void works(std::int64_t connection, std::int64_t id, std::int64_t extend);
  // Its connection ends.
  void hangs_up(std::int64_t connection);
  // Its process exits, and both are noticed.
  void exits(std::int64_t process, std::int64_t connection);

  // "release-handles /mnt/a"
  void release(std::int64_t id, std::int64_t ack_timeout = -1, std::int64_t key = 0);
  void pass_ms(std::int64_t ms) { step(StepKind::kAdvance, ms * 1000); }
  // Fires what is due; how many deadlines there were.
  int fire_due();

  // The report of a broadcast, in one line for the result and one for each backend about which
  // more is known.
  [[nodiscard]] std::string report(BroadcastId id) const;
  // What waits for a connection's backend, which reads it.
  [[nodiscard]] std::string reads(std::int64_t connection);
  // "alpha 1.0.0 live, beta 1.0.0 dead (process exited)"
  [[nodiscard]] std::string backends() const;

 private:
  Simulation simulation_;
};

}  // namespace muster::simulator
