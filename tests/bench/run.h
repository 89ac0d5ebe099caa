// One line of the table: N peers of one mode, floor and musterd taking turns in the same run.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/peers.h"
#include "bench/subject.h"

namespace muster::bench {

struct CaseOptions {
  Mode mode = Mode::kOneProcess;
  std::size_t count = 0;
  // Each repetition starts both servers and their peers anew (memory falls differently each time);
  // in each the two take turns so many times, with so many rounds at a time.
  std::size_t repetitions = 3;
  std::size_t turns = 5;
  std::size_t rounds = 0;
};

// Of one server. Medians over turns or repetitions, but p99_ms, which is over all rounds.
struct Measured {
  double median_ms = 0;
  double p99_ms = 0;
  double cpu_us = 0;              // of the server, for each backend and round
  double idle_bytes = 0;          // resident memory, for each idle backend
  double registrations = 0;       // a second; 0 where peers are processes
  double operator_ms = 0;         // a round with its whole result in the operator's hands
  std::vector<double> rounds_ms;  // all
};

struct Case {
  CaseOptions options;
  std::string skipped;  // a sentence, if it could not be measured
  Measured floor;
  Measured musterd;  // nothing with the floor alone
  double ratio = 0;  // musterd to floor: median over turns of the ratio within one turn
  double cpu_ratio = 0;
};

// Makes a server in a directory of its own. Nothing: the floor alone is measured.
using StartMusterd = std::function<std::unique_ptr<Subject>(const std::filesystem::path&)>;

// Throws when a server or a peer fails.
[[nodiscard]] Case run_case(const CaseOptions& options, const StartMusterd& start_musterd);

// How many rounds take about `milliseconds` on the floor, within 5 to 500.
[[nodiscard]] std::size_t rounds_for(std::size_t count, double milliseconds);

// A sentence when `count` backends need more descriptors than this process may have.
[[nodiscard]] std::string why_impossible(std::size_t count, std::size_t descriptor_limit);

}  // namespace muster::bench
