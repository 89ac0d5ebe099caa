// Picks the next step of a random script: looks at the simulation, so that most steps do something,
// and plans a few steps ahead where a case of interest takes several (a backend that leaves and
// comes back within its grace, two processes that want one key).
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "simulator/rng.h"
#include "simulator/simulation.h"

namespace muster::simulator {

class Chooser {
 public:
  // `rng` must outlive it.
  explicit Chooser(Rng& rng, const Knobs& knobs);

  [[nodiscard]] Step next(const Simulation& simulation);

 private:
  // Connections by what can be done with them.
  struct Sight {
    std::vector<std::uint32_t> silent;       // open, must register
    std::vector<std::uint32_t> live;         // registered, and its process can speak on it
    std::vector<std::uint32_t> halves;       // half closed, and the other end can be
    std::vector<std::uint32_t> readable;     // messages wait for the backend
    std::vector<std::uint32_t> deliverable;  // something waits for the broker
    std::vector<std::uint32_t> gone;         // its process exited, the broker does not know
    std::vector<std::uint32_t> released;
  };
  [[nodiscard]] static Sight look(const Simulation& simulation);

  Step any(const Simulation& simulation);
  Step backend_step(const Simulation& simulation, const Sight& sight);
  Step time_step(const Simulation& simulation);
  Step operator_step(const Simulation& simulation);
  Step odd_step(const Simulation& simulation, const Sight& sight);

  Step connect(const Simulation& simulation, std::optional<std::uint32_t> process = {});
  std::uint32_t some_key(const Simulation& simulation);
  std::uint32_t some_entry(const Simulation& simulation);
  Step register_as(std::uint32_t connection, std::uint32_t key);
  std::int64_t operation_for(const Simulation& simulation, std::uint32_t connection);
  [[nodiscard]] static std::optional<std::int64_t> open_until(const Simulation& simulation,
                                                              std::uint32_t connection);
  Step answer(const Simulation& simulation, std::uint32_t connection);
  Step start(const Simulation& simulation);
  // A release that is verified and held, or a quiesce that is held, from now on.
  void hold(Step& start);
  Step scan(BroadcastId id);
  Step hold_step(const Simulation& simulation);
  [[nodiscard]] HoldId some_hold(const Simulation& simulation);
  [[nodiscard]] BroadcastId some_broadcast(const Simulation& simulation);
  [[nodiscard]] BroadcastId some_quiesce(const Simulation& simulation);

  // Several steps; the first is returned, the others are planned.
  Step join(const Simulation& simulation, std::optional<std::uint32_t> process, std::uint32_t key);
  Step bounce(const Simulation& simulation, std::uint32_t connection, bool close_first);
  Step quiesce_twice(const Simulation& simulation, std::uint32_t connection);
  Step take_over(const Simulation& simulation, std::uint32_t connection);
  Step reply(const Simulation& simulation, std::uint32_t connection);
  Step die(const Simulation& simulation, std::uint32_t connection);
  Step half_close(const Simulation& simulation, std::uint32_t connection);
  Step move_on(const Simulation& simulation);
  Step share_unseen(const Simulation& simulation, const Step& move);
  Step broadcast_to_all(const Simulation& simulation, const Sight& sight);
  Step restart(const Simulation& simulation);
  Step run_short(const Simulation& simulation);
  Step hold_for_long(const Simulation& simulation, const Sight& sight);
  Step hold_many(const Simulation& simulation);
  void plan_scans_of_hold(HoldId id);
  void plan_end_of_hold(const Simulation& simulation, HoldId id);
  void plan_join(const Simulation& simulation, std::optional<std::uint32_t> process,
                 std::uint32_t key);
  void plan(StepKind kind, std::int64_t a = 0, std::int64_t b = 0);

  Rng& rng_;
  std::int64_t first_id_;
  bool one_budget_;
  std::int64_t max_hold_ttl_;
  std::int64_t hold_scan_interval_;
  bool idle_;
  std::uint32_t keys_;
  std::uint32_t processes_;
  std::uint32_t company_;  // how many backends there should be
  std::uint32_t next_connection_ = 1;
  std::deque<Step> planned_;
  std::vector<Step> batch_;  // planned by the step that is being picked
};

}  // namespace muster::simulator
