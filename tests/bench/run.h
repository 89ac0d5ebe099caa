// One row of the table: N clients of one mode, all servers taking turns in the same run.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/clients.h"
#include "bench/subject.h"

namespace muster::bench {

struct RowOptions {
  Mode mode = Mode::kOneProcess;
  std::size_t count = 0;
  // Each repetition starts all servers and their clients anew (memory falls differently each time);
  // in each they take turns so many times.
  std::size_t repetitions = 3;
  std::size_t turns = 5;
  double turn_ms = 150;  // how long a turn of the floor is, about
};

// Of one server. Medians over turns or repetitions, but p99_ms and lost_share, which are over all
// rounds. Ratios are to the floor: medians of the ratios within one turn or repetition.
struct Figures {
  std::string subject;
  double median_ms = 0;
  double p99_ms = 0;
  double ratio = 0;
  double cpu_us = 0;  // of the server, for each backend and round
  double cpu_ratio = 0;
  double idle_bytes = 0;     // resident memory, for each idle backend
  double registrations = 0;  // a second; 0 where clients are processes
  double operator_ms = 0;    // a round with its whole result in the operator's hands
  double lost_share = 0;     // of the answers
  std::size_t rounds = 0;
};

struct Row {
  RowOptions options;
  std::string skipped;           // a sentence, if it could not be measured
  std::vector<Figures> figures;  // in the order of the subjects; the first is the floor's
};

// REQUIRES: the first subject is the floor. Throws when a server or a client fails.
[[nodiscard]] Row run_row(const RowOptions& options, const std::vector<SubjectSpec>& subjects);

// How many rounds take about `milliseconds` on the floor, within 5 to 500.
[[nodiscard]] std::size_t rounds_for(std::size_t count, double milliseconds);

// A sentence when `count` backends need more descriptors than a server may have.
[[nodiscard]] std::string why_impossible(Mode mode, std::size_t count,
                                         std::size_t descriptor_limit);

}  // namespace muster::bench
