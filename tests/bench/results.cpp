#include "bench/results.h"

#include <algorithm>

namespace muster::bench {
namespace {

template <typename Items, typename Is>
auto find(const Items& items, Is is) -> decltype(items.data()) {
  const auto found = std::find_if(items.begin(), items.end(), is);
  return found == items.end() ? nullptr : &*found;
}

}  // namespace

const Figures* figures_of(const Row& row, std::string_view subject) {
  return find(row.figures, [&](const Figures& one) { return one.subject == subject; });
}

const Row* row_of(const std::vector<Row>& rows, Mode mode, std::size_t count) {
  return find(rows, [&](const Row& row) {
    return row.options.mode == mode && row.options.count == count && row.skipped.empty();
  });
}

const double* measurement_of(const std::vector<ScenarioResult>& scenarios,
                             std::string_view scenario, std::string_view subject,
                             std::string_view name) {
  const ScenarioResult* result = find(scenarios, [&](const ScenarioResult& one) {
    return one.scenario == scenario && one.subject == subject;
  });
  if (result == nullptr) return nullptr;
  const Measurement* measurement =
      find(result->measurements, [&](const Measurement& one) { return one.name == name; });
  return measurement == nullptr ? nullptr : &measurement->value;
}

std::vector<Growth> growth_of(const std::vector<Row>& rows) {
  const Row* from = row_of(rows, Mode::kOneProcess, kGrowthFrom);
  const Row* to = row_of(rows, Mode::kOneProcess, kGrowthTo);
  std::vector<Growth> all;
  if (from == nullptr || to == nullptr) return all;
  constexpr double kTimes = static_cast<double>(kGrowthTo) / static_cast<double>(kGrowthFrom);
  for (const Figures& large : to->figures) {
    const Figures* small = figures_of(*from, large.subject);
    if (small == nullptr) continue;
    all.push_back(
        {large.subject, large.median_ms / small->median_ms / kTimes, large.cpu_us / small->cpu_us});
  }
  return all;
}

}  // namespace muster::bench
