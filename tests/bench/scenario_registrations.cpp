// Accept, the first message in, its answer out: many at a time, beside the floor.
#include <chrono>
#include <memory>

#include "bench/clients.h"
#include "bench/forked_subject.h"
#include "bench/measure.h"
#include "bench/musterd_subject.h"
#include "bench/scenarios.h"

namespace muster::bench {
namespace {

constexpr std::size_t kRegistered = 5'000;

double registrations_per_second(const Subject& subject) {
  const Clients clients(subject.socket(), subject.protocol(), Mode::kOneProcess, kRegistered);
  return static_cast<double>(kRegistered) /
         std::chrono::duration<double>(clients.registration_time()).count();
}

}  // namespace

ScenarioResult registrations(const ScenarioOptions& options) {
  std::vector<double> floor;
  std::vector<double> musterd;
  std::vector<double> ratios;
  for (std::size_t i = 0; i <= 2 * options.repetitions; ++i) {
    const TemporaryDirectory floor_directory;
    const TemporaryDirectory musterd_directory;
    floor.push_back(registrations_per_second(*start_floor(floor_directory.path())));
    musterd.push_back(
        registrations_per_second(*start_musterd(options.command, musterd_directory.path())));
    ratios.push_back(musterd.back() / floor.back());
  }
  return {kRegistrations,
          options.subject,
          {{"floor_per_s", median(floor)},
           {"musterd_per_s", median(musterd)},
           {kRateRatio, median(ratios)}}};
}

}  // namespace muster::bench
