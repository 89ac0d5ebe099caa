#include "musterctl/ask_first.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "muster/control.h"
#include "muster/json.h"

#include "musterctl/broadcast_run.h"
#include "musterctl/console.h"
#include "musterctl/exit_status.h"
#include "musterctl/sessions.h"
#include "musterctl/text.h"

namespace muster::ctl {
namespace {

using AskClock = std::chrono::steady_clock;
using Limit = std::optional<std::chrono::milliseconds>;

// Of waiting for the id of what was just sent, which alone can be cancelled.
constexpr std::chrono::seconds kIdPatience{2};

Limit left_of(const Limit& limit, AskClock::time_point began) {
  return limit ? Limit(left_until(began + *limit)) : std::nullopt;
}

// Keeps it: whether it is shown depends on the answer.
class KeptConsole : public ConsoleInFront {
 public:
  using ConsoleInFront::ConsoleInFront;
  void out(std::string_view text) override { kept += text; }

  std::string kept;
};

// Adds the report of the asking to the first object.
class ReportedConsole : public ConsoleInFront {
 public:
  ReportedConsole(Console& console, std::string preflight)
      : ConsoleInFront(console), preflight_(std::move(preflight)) {}

  void out(std::string_view text) override {
    if (preflight_.empty() || text.empty() || text.front() != '{') return console_.out(text);
    const std::size_t end = std::min(text.find('\n'), text.size());
    console_.out(JsonObject()
                     .members_of(text.substr(0, end))
                     .raw("preflight", std::exchange(preflight_, {}))
                     .line());
    if (end + 1 < text.size()) console_.out(text.substr(end + 1));
  }

 private:
  std::string preflight_;
};

class Asking {
 public:
  Asking(const Invocation& to, const BroadcastOptions& options)
      : to_(to), options_(options), began_(AskClock::now()) {
    // These belong to the operation, not to its preflight.
    options_.verify = false;
    options_.wait.reset();
    options_.hold = false;
    options_.ttl.reset();
    options_.key.clear();
  }

  FirstAnswer ask(const std::vector<BroadcastOperation>& operations, bool with_sessions) {
    std::string said;
    std::string json;
    std::vector<int> statuses;
    for (const BroadcastOperation& operation : operations) {
      KeptConsole console(to_.console);
      const Invocation kept{to_.common, console, to_.interrupted};
      const int status = ask(kept, operation, with_sessions);
      if (status >= kOutputLost) return {status, {}};
      json = console.kept.substr(0, console.kept.find('\n'));
      if (status != kAllAcked) said += console.kept;
      statuses.push_back(status);
    }
    if (const int signal = to_.interrupted(); signal != 0) return {stopped(0, signal), {}};
    const int status = worst_status(statuses);
    if (status != kAllAcked) {
      say(said, json, operations, status);
    } else if (!options_.quiet && !to_.common.json) {
      to_.console.progress("asked first: " + counted(asked_.size(), "backend") + " would\n");
    }
    return {status, std::move(json)};
  }

 private:
  int ask(const Invocation& to, const BroadcastOperation& operation, bool with_sessions) {
    BroadcastRequest request = options_.request(BroadcastOperation::preflight_of(operation));
    request.ack_timeout = left_of(options_.timeout, began_);
    request.deadline = left_of(options_.deadline, began_);
    const auto host = [&](const Invocation& of_host) { return ask_host(of_host, request); };
    return with_sessions ? run_with_sessions(to, options_, request, host) : host(to);
  }

  int ask_host(const Invocation& to, const BroadcastRequest& request) {
    ControlClient client = make_client(to, !options_.quiet);
    HowFar far;
    int signal = 0;
    std::optional<BroadcastReport> report;
    try {
      // Lines that stay would say "acked", which is more than was said.
      const bool silent = options_.quiet || to.common.json || !to.console.err_is_live();
      std::optional<AskClock::time_point> give_up_at;
      const auto keep_waiting = [&] {
        if (signal == 0) signal = to.interrupted();
        if (signal == 0 && (options_.quiet || !to.console.out_reader_gone())) return true;
        if (!give_up_at) give_up_at = AskClock::now() + kIdPatience;
        return far.id == 0 && AskClock::now() < *give_up_at;
      };
      report = follow_broadcast(to, client, request, silent, far, keep_waiting, "asking first: ");
      if (!report && far.id != 0) static_cast<void>(client.cancel(far.id));
    } catch (const ControlFailure& failure) {
      throw explained(failure);
    }
    if (!report) return stopped(far.id, signal);
    count(*report);
    ReportStyle style;
    style.name_acks = options_.verbose;
    style.asked_timeout = request.ack_timeout;
    style.deadline = request.deadline;
    style.explain_preflight = false;
    print_report(to, client, *report, std::move(style), options_.selection);
    return status_of_preflight(*report, options_.allow_empty);
  }

  // One that is older takes the request for one without an operation.
  static ControlFailure explained(const ControlFailure& failure) {
    const bool is_older =
        failure.kind() == ControlFailure::Kind::kRefused &&
        failure.error().code == ControlError::Code::kInvalid &&
        failure.error().message.starts_with("the operation is missing or not known");
    if (!is_older) return failure;
    return {ControlFailure::Kind::kRefused,
            {ControlError::Code::kInvalid,
             "the broker is older than this musterctl and has no preflights, so no backend was "
             "asked: restart it, or leave out --ask-first"}};
  }

  void count(const BroadcastReport& report) {
    unknown_ |= report.backends_unknown;
    for (const BackendOutcome& backend : report.backends) {
      if (backend.outcome == OutcomeKind::kSkippedDead) continue;
      asked_.insert(backend.key);
      if (backend.outcome == OutcomeKind::kAck) continue;
      objecting_.insert(backend.key);
      unsupported_ |= backend.reason == BroadcastFailureReason::kUnsupportedOperation;
    }
  }

  // `id`: of the broadcast that was cancelled; 0: it had not begun, or had ended.
  int stopped(BroadcastId id, int signal) const {
    const std::string message =
        std::string(signal != 0 ? "no longer waiting"
                                : "the reader of its output has gone: no longer waiting") +
        (id == 0 ? "" : "; preflight " + std::to_string(id) + " is cancelled") +
        ". Backends were only asked whether they would: nothing was released";
    report_error(to_.console, signal != 0 && to_.common.json, signal != 0 ? "SIGNAL" : "OUTPUT",
                 message);
    return signal != 0 ? kSignalled + signal : static_cast<int>(kOutputLost);
  }

  void say(const std::string& said, const std::string& json,
           const std::vector<BroadcastOperation>& operations, int status) const {
    if (options_.quiet) return;
    if (to_.common.json) return to_.console.out(JsonObject().raw("preflight", json).line());
    std::string text = said;
    if (unsupported_) {
      text +=
          "A backend that is \"unsupported\" has no handler for the operation, or an SDK without "
          "preflights: update it, exclude it with --select, or leave out --ask-first\n";
    }
    text += operations.front().as_quiesce() != nullptr ? "No backend was quiesced: "
                                                       : "Nothing was released: ";
    if (!objecting_.empty()) {
      text += std::to_string(objecting_.size()) + " of " + std::to_string(asked_.size()) +
              (objecting_.size() == 1 ? " objects.\n" : " object.\n");
    } else if (status == kNobody) {
      text += "there was nobody to ask.\n";
    } else if (unknown_) {
      text += backends_unknown_clause() + ".\n";
    } else {
      text += "a broker of a user session did not agree, see above.\n";
    }
    to_.console.out(text);
  }

  const Invocation& to_;
  BroadcastOptions options_;
  const AskClock::time_point began_;
  std::set<BackendKey> asked_;  // of the host's broker
  std::set<BackendKey> objecting_;
  bool unsupported_ = false;
  bool unknown_ = false;
};

}  // namespace

FirstAnswer ask_first(const Invocation& to, const BroadcastOptions& options,
                      const std::vector<BroadcastOperation>& operations, bool with_sessions) {
  return Asking(to, options).ask(operations, with_sessions);
}

namespace {

bool is_over(const Limit& limit, AskClock::time_point began) {
  return limit && is_too_late(began + *limit);
}

}  // namespace

int time_is_over(const Invocation& to) {
  report_error(to.console, to.common.json, "TIME",
               "all backends would, but the time is over: nothing was released");
  return kNotAllAcked;
}

int run_after_asking(const Invocation& to, const BroadcastOptions& options,
                     const BroadcastOperation& operation, bool with_sessions,
                     const std::function<int(const Invocation&, const BroadcastOptions&)>& real) {
  const auto began = AskClock::now();
  FirstAnswer answer = ask_first(to, options, {operation}, with_sessions);
  if (answer.status != kAllAcked) return answer.status;
  // With a moment left some would release, and others be late.
  if (is_over(options.timeout, began) || is_over(options.deadline, began)) return time_is_over(to);
  BroadcastOptions left = options;
  left.ask_first = false;
  left.timeout = left_of(options.timeout, began);
  left.deadline = left_of(options.deadline, began);
  if (!to.common.json) return real(to, left);
  ReportedConsole console(to.console, std::move(answer.json));
  return real(Invocation{to.common, console, to.interrupted}, left);
}

}  // namespace muster::ctl
