// muster-bench: musterd against the least that could do the same.
#include <algorithm>
#include <csignal>
#include <exception>
#include <fstream>
#include <iostream>

#include "bench/options.h"
#include "bench/report_json.h"
#include "bench/run.h"
#include "bench/scenarios.h"
#include "bench/subjects.h"
#include "bench/table.h"

namespace muster::bench {
namespace {

constexpr int kAimMissed = 3;

void measure_rows(const Options& options, const Subjects& subjects, Results& results) {
  print_head(std::cout);
  const auto measure = [&](Mode mode, std::size_t count) {
    Row row;
    row.options.mode = mode;
    row.options.count = count;
    row.options.repetitions = options.repetitions;
    row.options.turns = options.turns;
    row.options.turn_ms = options.turn_ms;
    row.skipped = why_impossible(mode, count, results.host.descriptor_limit);
    if (row.skipped.empty()) row = run_row(row.options, subjects.specs);
    print_row(std::cout, row);
    results.rows.push_back(std::move(row));
  };
  for (const std::size_t count : options.counts) measure(Mode::kOneProcess, count);
  for (const std::size_t count : options.process_counts) measure(Mode::kProcessEach, count);
  print_growth(std::cout, growth_of(results.rows));
}

void measure_scenarios(const Options& options, const Subjects& subjects, Results& results) {
  std::cout << "\nScenarios" << std::endl;
  for (const NamedCommand& musterd : subjects.musterds) {
    ScenarioOptions scenario;
    scenario.subject = musterd.name;
    scenario.command = musterd.command;
    scenario.repetitions = options.repetitions;
    scenario.idle_seconds = options.idle_seconds;
    for (const auto measure : all_scenarios()) {
      results.scenarios.push_back(measure(scenario));
      print_scenario(std::cout, results.scenarios.back());
    }
  }
}

int run(const Options& options) {
  Results results;
  results.host = look_at_host();
  const Subjects subjects = choose_subjects(options);
  results.left_out = subjects.left_out;
  for (const SubjectSpec& spec : subjects.specs) {
    results.subjects.push_back({spec.kind, spec.name, spec.version, spec.transport});
  }
  print_host(std::cout, results);
  if (options.with_rows) measure_rows(options, subjects, results);
  if (options.with_scenarios) measure_scenarios(options, subjects, results);

  const std::vector<Aim> aims = judge(results);
  if (options.check) print_aims(std::cout, aims);
  if (!options.json.empty()) {
    std::ofstream file(options.json);
    file << to_json(results, aims) << std::flush;
    if (!file) {
      std::cerr << "muster-bench: cannot write " << options.json.native() << '\n';
      return 1;
    }
  }
  const bool missed = std::any_of(aims.begin(), aims.end(),
                                  [](const Aim& aim) { return aim.verdict() == Verdict::kMissed; });
  return options.check && missed ? kAimMissed : 0;
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const muster::bench::ParsedOptions parsed = muster::bench::parse_options(argc, argv);
    if (parsed.exit) return parsed.status;
    return muster::bench::run(parsed.options);
  } catch (const std::exception& error) {
    std::cerr << "muster-bench: " << error.what() << '\n';
    return 1;
  }
}
