#include "musterctl/broadcast_run.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "muster/json.h"

#include "musterctl/ask_first.h"
#include "musterctl/console.h"
#include "musterctl/hold_lease.h"
#include "musterctl/holder_look.h"
#include "musterctl/holders_text.h"
#include "musterctl/program.h"
#include "musterctl/progress.h"
#include "musterctl/report_text.h"
#include "musterctl/sessions.h"
#include "musterctl/text.h"
#include "musterctl/waves_run.h"

namespace muster::ctl {

namespace {

constexpr std::chrono::milliseconds kSignalEvery{50};

// Who reads JSON finds warnings in the answer, everybody else before it. --quiet has no answer, and
// a warning says what the exit status is worth.
std::string with_warnings(const std::string& json, const std::vector<std::string>& warnings) {
  if (warnings.empty()) return json + '\n';
  return JsonObject().members_of(json).texts("warnings", warnings).line();
}

void warn(const Invocation& to, const BroadcastOptions& options,
          const std::vector<std::string>& warnings) {
  if (to.common.json && !options.quiet) return;
  for (const std::string& warning : warnings) {
    to.console.err("musterctl: warning: " + warning + '\n');
  }
}

// The exit status of the real one would be that of this report. Nothing when policy does not let
// this operator look.
std::optional<BroadcastReport> report_to_join(ControlClient& client, const DryRun& dry_run) {
  if (!dry_run.joins) return std::nullopt;
  try {
    return client.report(*dry_run.joins);
  } catch (const ControlFailure& failure) {
    if (failure.kind() != ControlFailure::Kind::kRefused) throw;
    return std::nullopt;
  }
}

// Who has files in use now. One that could not be asked for says why.
HolderScan holders_now(ControlClient& client, const BroadcastRequest& request) {
  const std::string& path = request.operation.as_release_handles()->path_prefix;
  try {
    return look_by_broker(client, path);
  } catch (const ControlFailure& failure) {
    if (failure.kind() != ControlFailure::Kind::kRefused) throw;
    HolderScan scan;
    scan.prefix = path;
    scan.problem = failure.error().message;
    return scan;
  }
}

int status_of_dry_run(const BroadcastOptions& options, const DryRun& dry_run,
                      const std::optional<BroadcastReport>& joined) {
  if (dry_run.backends_unknown || !dry_run.would_fail.empty()) return kNotAllAcked;
  if (dry_run.joins) {
    return joined ? least_exit_status_of(*joined, options.allow_empty) : kNotAllAcked;
  }
  return dry_run.would_ask.empty() && !options.allow_empty ? kNobody : kAllAcked;
}

int run_dry(const Invocation& to, const BroadcastOptions& options, ControlClient& client,
            const BroadcastRequest& request, const std::vector<std::string>& warnings) {
  const DryRun dry_run = client.dry_run(request);
  const auto joined = report_to_join(client, dry_run);
  std::optional<HolderScan> held;
  if (request.verify) held = holders_now(client, request);
  if (!options.quiet && to.common.json) {
    std::string json = to_json(dry_run);
    if (held) {
      json = JsonObject().members_of(json).raw("holders", to_json(*held)).line();
      json.pop_back();
    }
    to.console.out(with_warnings(json, warnings));
  } else if (!options.quiet) {
    const bool selective = !request.selection.empty();
    to.console.out(show_dry_run(request.operation, dry_run, joined, selective));
    HoldersStyle style;
    style.paint = Paint(to.console.out_has_colour());
    if (held) to.console.out(show_holders(*held, style));
  }
  const int status = status_of_dry_run(options, dry_run, joined);
  const bool is_clear = !held || held->verdict == HolderVerdict::kClear;
  return status == kAllAcked && !is_clear ? static_cast<int>(kStillHeld) : status;
}

// Standard output has the id alone, so that a script can read it.
void warn_of_unknown(const Invocation& to, const Accepted& accepted) {
  if (!accepted.backends_unknown || to.common.json) return;
  to.console.err("musterctl: warning: " + backends_unknown_clause() +
                 ": some may be missing in broadcast " + std::to_string(accepted.broadcast_id) +
                 ", which cannot end with exit status 0: `musterctl status` says why, and what to "
                 "do\n");
}

// A broker that is older than what is asked of it takes no notice. Returns what that makes of the
// exit status.
int warn_of_older_broker(const Invocation& to, ControlClient& client,
                         const BroadcastRequest& request, BroadcastId id) {
  if (!request.verify && !request.hold) return kAllAcked;
  std::optional<BroadcastReport> report;
  try {
    report = client.report(id);
  } catch (const ControlFailure& failure) {
    if (failure.kind() != ControlFailure::Kind::kRefused) throw;
    return kAllAcked;  // it may start broadcasts and not look at them
  }
  const auto warn_older = [&](const char* cannot) {
    to.console.err("musterctl: warning: the broker is older than this musterctl and cannot " +
                   std::string(cannot) + ": restart it\n");
  };
  if (request.hold && !report->hold) warn_older("hold");
  if (request.verify && !report->verify) warn_older("verify");
  if (request.hold && !report->hold) return kRefused;
  return request.verify && !report->verify ? kStillHeld : kAllAcked;
}

int run_detached(const Invocation& to, const BroadcastOptions& options, ControlClient& client,
                 const BroadcastRequest& request, const std::vector<std::string>& warnings) {
  const Accepted accepted = client.start_broadcast(request);
  if (to.common.json && !options.quiet) {
    JsonObject object;
    object.big("broadcast_id", accepted.broadcast_id)
        .number("targets", accepted.targets)
        .number("skipped_dead", accepted.skipped_dead)
        .boolean("joined", accepted.joined)
        .boolean("backends_unknown", accepted.backends_unknown);
    if (!warnings.empty()) object.texts("warnings", warnings);
    to.console.out(object.line());
  } else if (!options.quiet) {
    to.console.out(std::to_string(accepted.broadcast_id) + '\n');
  }
  warn_of_unknown(to, accepted);
  const int older = warn_of_older_broker(to, client, request, accepted.broadcast_id);
  if (older != kAllAcked) return older;
  if (accepted.targets > 0) return kAllAcked;
  if (accepted.backends_unknown) return kNotAllAcked;
  return options.allow_empty ? kAllAcked : kNobody;
}

// Since when a backend is dead is worth a question, not an error.
std::vector<BackendInfo> backends_if_told(ControlClient& client, const Selection& selection) {
  try {
    return client.backends(selection);
  } catch (const ControlFailure&) {
    return {};
  }
}

// What an answer leaves behind.
struct AfterAnswer {
  bool clear = false;                   // the kernel said so, where it was to be asked
  std::optional<ControlClient> client;  // which a leased hold belongs to
  std::vector<LeasedHold> holds;
};

int ask_host(const Invocation& to, const BroadcastOptions& options, const BroadcastRequest& request,
             const std::vector<std::string>& warnings, AfterAnswer& after) {
  ControlClient client = make_client(to, !options.quiet);
  if (options.dry_run) return run_dry(to, options, client, request, warnings);
  if (options.detach) return run_detached(to, options, client, request, warnings);

  ReportStyle style;
  style.name_acks = options.verbose;
  style.asked_timeout = request.ack_timeout;
  style.deadline = request.deadline;
  style.verify = request.verify;
  HowFar far;
  int signal = 0;
  auto report = follow_broadcast(to, client, request, options.quiet || to.common.json, far, [&] {
    signal = to.interrupted();
    return signal == 0 && (options.quiet || !to.console.out_reader_gone());
  });
  if (!report) return stopped_waiting(to, far, signal);
  after.clear = is_clear(*report);
  if (options.ttl) leave_to_its_time(client, *report);
  style.joined = far.joined;
  if (!options.quiet) {
    print_report(to, client, *report, std::move(style), options.selection, warnings);
  }
  if (request.hold && !report->hold) {
    report_error(to.console, to.common.json, "REFUSED", kNoHolds);
    return kRefused;
  }
  if (request.hold && !options.ttl) {
    after.holds.push_back({report->broadcast_id, report->result.operation, request.verify});
    after.client.emplace(std::move(client));
  }
  return status_of_answer(*report, options.allow_empty, request.verify);
}

// A signal is how an operator ends it. `status`: of the broadcast.
int hold_until_signal(const Invocation& to, AfterAnswer after, bool quiet, int status) {
  HoldLease lease(to, std::move(*after.client), after.holds);
  if (!quiet && !to.common.json) to.console.progress("holding; Ctrl-C ends it\n");
  const auto waits = [&] { return to.interrupted() == 0; };
  while (waits() && !lease.book().going_on().empty()) {
    lease.look(waits);
    std::this_thread::sleep_for(kSignalEvery);
  }
  lease.end([] { return true; });  // a second signal ends musterctl
  if (to.common.json && !quiet) to.console.out(to_json(lease.book().infos()) + '\n');
  HoldStyle style;
  style.now_unix_ms = unix_ms_now();
  if (!to.common.json) to.console.err(lease.book().text(style));
  return lease.book().status(status);
}

}  // namespace

int run_broadcast_of_one(const Invocation& to, const BroadcastOptions& options,
                         BroadcastOperation operation) {
  options.check();
  AfterAnswer after;
  return ask_host(to, options, options.request(std::move(operation)), {}, after);
}

std::chrono::milliseconds left_until(std::chrono::steady_clock::time_point then) {
  const auto left = then - std::chrono::steady_clock::now();
  return std::max(std::chrono::milliseconds(1),
                  std::chrono::floor<std::chrono::milliseconds>(left));
}

bool is_too_late(std::chrono::steady_clock::time_point then) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(1) > then;
}

void HowFar::apply(const Event& event) {
  if (event.kind == Event::Kind::kBroadcastStarted) {
    id = event.broadcast_id;
    joined = event.joined;
    backends_unknown = event.backends_unknown;
  }
  if (id == 0 || event.broadcast_id != id) return;
  targets = std::max(targets, event.targets);
  in = std::max(in, event.acks + event.timeouts + event.failures);
}

std::optional<BroadcastReport> follow_broadcast(const Invocation& to, ControlClient& client,
                                                const BroadcastRequest& request, bool silent,
                                                HowFar& far,
                                                const std::function<bool()>& keep_waiting,
                                                const std::string& before) {
  const auto display = make_display(to.console, silent, to.common.socket_dir, before);
  return client.broadcast(
      request,
      [&](const Event& event) {
        far.apply(event);
        display->on_event(event);
      },
      [&] {
        display->tick();
        return keep_waiting();
      });
}

int stopped_waiting(const Invocation& to, const HowFar& far, int signal) {
  std::string message = signal != 0 ? "no longer waiting; "
                                    : "the reader of its output has gone: no longer waiting; ";
  if (far.id == 0) {
    message +=
        "it is not known whether the broker accepted the broadcast: `musterctl status` shows what "
        "runs";
  } else {
    const std::string id = std::to_string(far.id);
    message += "broadcast " + id + " goes on (" + std::to_string(far.in) + " of " +
               std::to_string(far.targets) + " outcomes are in" +
               (far.backends_unknown ? "; " + backends_unknown_clause() : "") +
               "): `musterctl result " + id + " --wait` fetches its report, `musterctl cancel " +
               id + "` stops it";
  }
  if (signal == 0) {
    report_error(to.console, false, "OUTPUT", message);
    return kOutputLost;
  }
  report_error(to.console, to.common.json, "SIGNAL", message);
  return kSignalled + signal;
}

int run_broadcast(const Invocation& to, const BroadcastOptions& options,
                  BroadcastOperation operation, const std::vector<std::string>& warnings) {
  options.check();
  if (options.ask_first) {
    // Where a quiesce is held, and in waves, the sessions are left out.
    const bool leaves_out_sessions =
        options.in_waves() || (options.hold && operation.as_quiesce() != nullptr);
    return run_after_asking(to, options, operation,
                            !leaves_out_sessions && asks_sessions(to, options),
                            [&](const Invocation& real, const BroadcastOptions& left) {
                              return run_broadcast(real, left, operation, warnings);
                            });
  }
  warn(to, options, warnings);
  const BroadcastRequest request = options.request(std::move(operation));
  if (options.in_waves()) return run_waves(to, options, request, warnings);
  AfterAnswer after;
  int status = kAllAcked;
  if (asks_sessions(to, options)) {
    status = run_with_sessions(to, options, request, [&](const Invocation& host) {
      return ask_host(host, options, request, warnings, after);
    });
  } else {
    status = ask_host(to, options, request, warnings, after);
  }
  // Where the host's broker had nobody to ask, the outcomes are the sessions' alone.
  const bool unproven = request.verify && !options.detach && !options.dry_run && !after.clear;
  if (status == kAllAcked && unproven) status = kStillHeld;
  if (!after.client) return status;
  return hold_until_signal(to, std::move(after), options.quiet, status);
}

void print_report(const Invocation& to, ControlClient& client, const BroadcastReport& report,
                  ReportStyle style, const Selection& selection,
                  const std::vector<std::string>& warnings) {
  if (to.common.json) return to.console.out(with_warnings(to_json(report), warnings));
  std::vector<BackendInfo> known;
  if (!report.result.skipped_dead.empty()) known = backends_if_told(client, selection);
  style.paint = Paint(to.console.out_has_colour());
  style.now_unix_ms = unix_ms_now();
  style.selective = !selection.empty();
  to.console.out(show_report(report, known, style));
}

}  // namespace muster::ctl
