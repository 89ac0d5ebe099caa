// Which servers take part.
#pragma once

#include <string>
#include <vector>

#include "bench/musterd_process.h"
#include "bench/options.h"
#include "bench/results.h"
#include "bench/subject.h"

namespace muster::bench {

struct NamedCommand {
  std::string name;
  MusterdCommand command;
};

struct Subjects {
  std::vector<SubjectSpec> specs;      // the floor first
  std::vector<NamedCommand> musterds;  // in the order of their specs
  std::vector<LeftOut> left_out;
};

// Starts every musterd once, to see that it can be and what it calls itself. Throws
// std::runtime_error when one that was asked for cannot be started; what was not asked for by name
// is left out then.
[[nodiscard]] Subjects choose_subjects(const Options& options);

// nng, ZeroMQ and dbus-broker, as far as they were there when this was built and are there now.
void add_peers(Subjects& subjects);

}  // namespace muster::bench
