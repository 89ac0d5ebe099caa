// Runs of the simulator: from a seed, or of a script; and making a failing script short.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

#include "muster/broker_view.h"

#include "simulator/cases.h"
#include "simulator/script.h"
#include "simulator/simulation.h"

namespace muster::simulator {

struct Outcome {
  std::uint64_t steps = 0;
  Counters counters;    // of the last broker
  Cases cases;          // of all
  std::string problem;  // empty: the core and the oracle agreed, and nothing was left

  [[nodiscard]] bool good() const noexcept { return problem.empty(); }
};

// The same seed gives the same script and the same outcome, everywhere. `script`, when given, is
// the script as far as it came.
[[nodiscard]] Outcome run_seed(std::uint64_t seed, Script* script = nullptr,
                               const Fault& fault = {});
[[nodiscard]] Outcome run_script(const Script& script, const Fault& fault = {});

// Writes each step of the script that does something, and what the broker did.
Outcome replay(const Script& script, std::ostream& out);

// A script that fails as well, from which no single step can be left out. REQUIRES: fails(script).
[[nodiscard]] Script shrink(Script script, const std::function<bool(const Script&)>& fails);

// For a failing seed: the seed, what is wrong, and a short script that shows it.
[[nodiscard]] std::string explain(std::uint64_t seed, const Fault& fault = {});
// The same for a script that fails.
[[nodiscard]] std::string explain(const Script& script, const Fault& fault = {});

}  // namespace muster::simulator
