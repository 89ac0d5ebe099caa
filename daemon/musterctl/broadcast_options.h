// What every command that broadcasts takes.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "muster/broker_view.h"

#include "musterctl/options.h"
#include "musterctl/sessions.h"

namespace muster::ctl {

struct BroadcastOptions {
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<std::chrono::milliseconds> deadline;
  Selection selection;
  std::string key;
  bool detach = false;
  bool dry_run = false;
  bool allow_empty = false;
  bool verbose = false;
  bool quiet = false;
  std::filesystem::path sessions_dir = kSessionsDir;
  bool no_sessions = false;

  void declare(Options& options);
  // With the trace context of the environment (TRACEPARENT, TRACESTATE), if there is one.
  [[nodiscard]] BroadcastRequest request(BroadcastOperation operation) const;
};

// --select, for commands that take nothing else of it.
void declare_select(Options& options, Selection& selection);
// --quiet.
void declare_quiet(Options& options, bool& quiet);

}  // namespace muster::ctl
