#include "simulator/run.h"

#include <algorithm>
#include <exception>
#include <ostream>
#include <string>
#include <vector>

#include "simulator/chooser.h"
#include "simulator/crash_seed.h"

namespace muster::simulator {
namespace {

constexpr std::uint32_t kFewSteps = 45;
constexpr std::uint32_t kManySteps = 250;

// What `steps` does to a simulation until it ends or fails.
template <class Steps>
Outcome run(const Knobs& knobs, const Fault& fault, Steps&& steps) {
  Simulation simulation(knobs, fault);
  Outcome outcome;
  try {
    steps(simulation);
    simulation.wind_down();
  } catch (const std::exception& failure) {  // a Violation, or whatever the core throws
    outcome.problem = failure.what();
  }
  outcome.steps = simulation.steps();
  outcome.cases = simulation.cases();
  outcome.counters = simulation.oracle().counters;
  return outcome;
}

}  // namespace

Outcome run_seed(std::uint64_t seed, Script* script, const Fault& fault) {
  remember_seed(seed);
  Rng rng(seed);
  const auto knobs = random_knobs(rng);
  if (script != nullptr) *script = {knobs, {}};
  return run(knobs, fault, [&](Simulation& simulation) {
    Chooser chooser(rng, knobs);
    const auto count = 5 + rng.below(rng.chance(5) ? kManySteps : kFewSteps);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto step = chooser.next(simulation);
      if (script != nullptr) script->steps.push_back(step);
      simulation.apply(step);
    }
  });
}

Outcome run_script(const Script& script, const Fault& fault) {
  return run(script.knobs, fault, [&](Simulation& simulation) {
    for (const auto& step : script.steps) simulation.apply(step);
  });
}

Outcome replay(const Script& script, std::ostream& out) {
  Fault none;
  return run(script.knobs, none, [&](Simulation& simulation) {
    std::string did;
    simulation.observe([&](const std::vector<Sent>& sent, const std::vector<Told>& told) {
      if (!sent.empty()) did += "\n  sends" + to_string(sent);
      if (!told.empty()) did += "\n  reports" + to_string(told);
    });
    for (const auto& step : script.steps) {
      did.clear();
      if (simulation.apply(step)) out << to_string(step) << did << '\n';
    }
    did.clear();
    simulation.observe({});
  });
}

// Leaves out runs of steps, long ones first, as long as what is left still fails; then makes the
// knobs plain.
Script shrink(Script script, const std::function<bool(const Script&)>& fails) {
  for (auto length = std::max<std::size_t>(script.steps.size() / 2, 1); length > 0; length /= 2) {
    for (bool shorter = true; shorter;) {
      shorter = false;
      for (std::size_t at = 0; at < script.steps.size();) {
        auto candidate = script;
        const auto end = std::min(at + length, candidate.steps.size());
        candidate.steps.erase(candidate.steps.begin() + static_cast<std::ptrdiff_t>(at),
                              candidate.steps.begin() + static_cast<std::ptrdiff_t>(end));
        if (fails(candidate)) {
          script = std::move(candidate);
          shorter = true;
        } else {
          at += length;
        }
      }
    }
  }
  for (bool plainer = true; plainer;) {
    plainer = false;
    for (const auto& knobs : simpler(script.knobs)) {
      if (!fails({knobs, script.steps})) continue;
      script.knobs = knobs;
      plainer = true;
      break;
    }
  }
  return script;
}

std::string explain(const Script& script, const Fault& fault) {
  const auto small =
      shrink(script, [&](const Script& candidate) { return !run_script(candidate, fault).good(); });
  return run_script(small, fault).problem + "\n\nThe script (" +
         std::to_string(script.steps.size()) + " steps, " + std::to_string(small.steps.size()) +
         " when made short):\n\n" + to_string(small);
}

std::string explain(std::uint64_t seed, const Fault& fault) {
  Script script;
  const auto outcome = run_seed(seed, &script, fault);
  const auto name = "seed " + std::to_string(seed) + ": ";
  if (outcome.good()) return name + "good";
  return name + outcome.problem + "\n\nMade short: " + explain(script, fault);
}

}  // namespace muster::simulator
