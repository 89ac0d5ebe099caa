// Everything that one run of the bench measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/run.h"

namespace muster::bench {

// Where it was measured.
struct Host {
  std::string date;  // UTC, when the run began
  std::string kernel;
  std::string machine;
  std::string cpu;
  std::size_t cores = 0;  // that this process may use
  double load = 0;        // the average of the minute before the run: what else was going on
  std::size_t descriptor_limit = 0;
};
// Raises the limit of descriptors to what this process may have.
[[nodiscard]] Host look_at_host();

struct SubjectFacts {
  SubjectSpec::Kind kind = SubjectSpec::Kind::kFloor;
  std::string name;
  std::string version;
  std::string transport;
};

struct LeftOut {
  std::string what;
  std::string why;
};

// One figure of a scenario. Its unit is the end of its name: worst_lateness_ms.
struct Measurement {
  std::string name;
  double value = 0;
};
struct ScenarioResult {
  std::string scenario;
  std::string subject;
  std::vector<Measurement> measurements;
};

// How the cost for each backend grows.
struct Growth {
  std::string subject;
  double median = 0;  // at kGrowthTo, for each backend, over that at kGrowthFrom
  double cpu = 0;
};
inline constexpr std::size_t kGrowthFrom = 1'000;
inline constexpr std::size_t kGrowthTo = 10'000;
// Of all subjects that have both rows, clients in one process.
[[nodiscard]] std::vector<Growth> growth_of(const std::vector<Row>& rows);

struct Results {
  Host host;
  std::vector<SubjectFacts> subjects;
  std::vector<LeftOut> left_out;
  std::vector<Row> rows;
  std::vector<ScenarioResult> scenarios;
};

// The row's figures of that subject, or nothing.
[[nodiscard]] const Figures* figures_of(const Row& row, std::string_view subject);
[[nodiscard]] const Row* row_of(const std::vector<Row>& rows, Mode mode, std::size_t count);
// Nothing when it was not measured.
[[nodiscard]] const double* measurement_of(const std::vector<ScenarioResult>& scenarios,
                                           std::string_view scenario, std::string_view subject,
                                           std::string_view name);

}  // namespace muster::bench
