#include "bench/scenarios.h"

namespace muster::bench {

const std::vector<ScenarioResult (*)(const ScenarioOptions&)>& all_scenarios() {
  static const std::vector<ScenarioResult (*)(const ScenarioOptions&)> all{
      one_silent_backend, many_deadlines, many_in_flight, turns,       history,
      hold_end,           idle,           registrations,  holder_scan, start};
  return all;
}

}  // namespace muster::bench
