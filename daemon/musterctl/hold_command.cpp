// The command `hold`: for callers that come in pairs, one that begins and one that ends.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "muster/control.h"
#include "muster/json.h"

#include "musterctl/broadcast_run.h"
#include "musterctl/hold_lease.h"
#include "musterctl/hold_text.h"
#include "musterctl/program.h"
#include "musterctl/report_text.h"
#include "musterctl/resolve_path.h"

namespace muster::ctl {
namespace {

HoldStyle style_of(const Invocation& to) {
  HoldStyle style;
  style.paint = Paint(to.console.out_has_colour());
  style.now_unix_ms = unix_ms_now();
  return style;
}

class HoldCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "hold"; }
  [[nodiscard]] std::string summary() const override {
    return "Start, list, show and end holds that last until a time";
  }

  void declare(Options& options) override {
    options.argument(
        "ACTION", "One of start, list, show, end", true, [this](const std::string& text) {
          action_ = text;
          const bool known = text == "start" || text == "list" || text == "show" || text == "end";
          return known ? std::string() : quote(text) + " is none of start, list, show, end";
        });
    options.optional_arguments("WHAT", "Of start the paths, of show and end the ids",
                               [this](const std::string& text) {
                                 what_.push_back(text);
                                 return std::string();
                               });
    options.duration("--ttl", "Of start: how long the hold lasts if nobody ends it", options_.ttl);
    options_.declare_verify(options);
    options.duration(
        "--timeout",
        "Of start: time each backend has to answer. Default: the backend's own timeout, "
        "else the broker's",
        options_.timeout);
    declare_select(options, options_.selection);
    options.flag("--force", "Of start: keep the hold even if not every backend acked", force_);
    options.flag("--allow-empty", "Of start: exit with status 0, not 5, if nobody was there to ask",
                 options_.allow_empty);
    declare_quiet(options, options_.quiet);
    options.epilogue(
        "  hold start PATH.. --ttl T  release all files below PATH, and hold it so. Prints the ids "
        "of\n"
        "                             the holds, one a line. If the exit status is not 0 no hold "
        "is "
        "left\n"
        "  hold list                  the holds that go on\n"
        "  hold show ID               one of them, also one that has ended, while its report is "
        "kept\n"
        "  hold end ID..              ends them; the exit status is 6 if one was violated\n"
        "\n"
        "A hold goes on when musterctl ends, and when the broker restarts. Where the end is that "
        "of "
        "a\n"
        "command, with-released is the better way: it ends the hold whatever happens.\n"
        "\n"
        "Examples:\n"
        "  musterctl hold start /var/lib/db --ttl 10m\n"
        "  musterctl hold end 17\n"
        "  musterctl hold list --json\n");
  }

  int run(const Invocation& invocation) override {
    const bool takes_none = action_ == "list";
    if (takes_none != what_.empty()) {
      throw UsageError(takes_none ? "hold list takes no arguments"
                                  : "hold " + action_ + ": name " +
                                        (action_ == "start" ? "a path" : "a hold's id"));
    }
    if (action_ == "start") return start(invocation);
    ids_ = read_ids();
    if (action_ == "list") return list(invocation);
    return action_ == "show" ? show(invocation) : end(invocation);
  }

 private:
  [[nodiscard]] std::vector<HoldId> read_ids() const {
    std::vector<HoldId> all;
    for (const std::string& text : what_) {
      const std::string problem = read_broadcast_id(text, all.emplace_back());
      if (!problem.empty()) throw UsageError("hold " + action_ + ": " + problem);
    }
    return all;
  }

  // --- start

  int start(const Invocation& to) {
    if (!options_.ttl) {
      throw UsageError("hold start needs --ttl: a hold that nobody ends would last for ever");
    }
    options_.hold = true;
    options_.check();
    std::vector<ResolvedPath> paths;
    for (const std::string& text : what_) {
      std::string problem;
      static_cast<void>(absolute_path(text, problem));
      if (!problem.empty()) throw UsageError("hold start: " + problem);
      paths.push_back(resolve_path(text));
      if (!paths.back().problem.empty()) throw UsageError(paths.back().problem);
      for (const std::string& warning : paths.back().warnings) {
        to.console.err("musterctl: warning: " + warning + '\n');
      }
    }
    ControlClient client = make_client(to, false);
    std::vector<BroadcastReport> reports;
    for (ResolvedPath& path : paths) {
      int status = kAllAcked;
      try {
        status = start_one(to, client, std::move(path), reports);
      } catch (const ControlFailure&) {
        end_all(client, reports);
        throw;
      }
      if (status == kAllAcked || (force_ && status < kInternal)) {
        status_ = std::max(status_, status);
        continue;
      }
      end_all(client, reports);
      return status;
    }
    try {
      for (BroadcastReport& report : reports) leave_to_its_time(client, report);
    } catch (const ControlFailure&) {
      end_all(client, reports);
      throw;
    }
    print_started(to, reports);
    if (to.console.out_failed()) end_all(client, reports);  // nobody knows their ids
    return status_;
  }

  int start_one(const Invocation& to, ControlClient& client, ResolvedPath path,
                std::vector<BroadcastReport>& reports) {
    const BroadcastRequest request = options_.request(
        BroadcastOperation::release_handles(std::move(path.path), std::move(path.alias)));
    HowFar far;
    int signal = 0;
    std::optional<BroadcastReport> report =
        follow_broadcast(to, client, request, options_.quiet || to.common.json, far, [&] {
          signal = to.interrupted();
          return signal == 0;
        });
    if (!report) {
      if (far.id != 0) end_quietly(client, far.id);
      return stopped_waiting(to, far, signal);
    }
    if (!report->hold) {
      report_error(to.console, to.common.json, "REFUSED", kNoHolds);
      return kRefused;
    }
    const int status = status_of_answer(*report, options_.allow_empty, request.verify);
    if (!options_.quiet && !to.common.json) {
      ReportStyle style;
      style.now_unix_ms = unix_ms_now();
      style.selective = !options_.selection.empty();
      style.asked_timeout = request.ack_timeout;
      style.verify = request.verify;
      // As it will be when all paths are released: see leave_to_its_time().
      BroadcastReport shown = *report;
      shown.hold->leased = false;
      to.console.err(show_report(shown, {}, style));
    }
    reports.push_back(std::move(*report));
    return status;
  }

  // It was not what was asked for, and ends by its time at the latest.
  static void end_quietly(ControlClient& client, HoldId id) {
    try {
      static_cast<void>(client.end_hold(id));
    } catch (const ControlFailure&) {  // NOLINT(bugprone-empty-catch): as said above
    }
  }

  static void end_all(ControlClient& client, const std::vector<BroadcastReport>& reports) {
    for (const BroadcastReport& report : reports) end_quietly(client, report.broadcast_id);
  }

  void print_started(const Invocation& to, const std::vector<BroadcastReport>& reports) const {
    if (to.common.json) {
      std::string list;
      for (const BroadcastReport& report : reports) {
        list += (list.empty() ? "" : ",") + to_json(report);
      }
      return to.console.out(JsonObject().raw("reports", '[' + list + ']').line());
    }
    for (const BroadcastReport& report : reports) {
      to.console.out(std::to_string(report.broadcast_id) + '\n');
    }
  }

  // --- the others

  int list(const Invocation& to) {
    const std::vector<HoldInfo> holds = make_client(to, true).holds();
    to.console.out(to.common.json ? to_json(holds) + '\n' : show_holds(holds, style_of(to)));
    return kAllAcked;
  }

  int show(const Invocation& to) {
    ControlClient client = make_client(to, true);
    for (const HoldId id : ids_) {
      const HoldInfo hold = find(client, id);
      to.console.out(to.common.json ? to_json(hold) + '\n' : show_hold(hold, style_of(to)));
    }
    return kAllAcked;
  }

  static HoldInfo find(ControlClient& client, HoldId id) {
    const std::vector<HoldInfo> holds = client.holds();
    const auto at = std::find_if(holds.begin(), holds.end(),
                                 [id](const HoldInfo& one) { return one.id == id; });
    if (at != holds.end()) return *at;
    const BroadcastReport report = client.report(id);
    if (!report.hold) {
      throw ControlFailure(
          ControlFailure::Kind::kRefused,
          {ControlError::Code::kNotFound, "broadcast " + std::to_string(id) + " has no hold"});
    }
    HoldInfo hold;
    hold.id = id;
    hold.operation = report.result.operation;
    hold.asked_by = report.asked_by;
    hold.acked = static_cast<std::uint32_t>(report.result.acks.size() + report.late_acks.size());
    hold.state = *report.hold;
    return hold;
  }

  int end(const Invocation& to) {
    ControlClient client = make_client(to, false);
    client.while_waiting([&to] { return to.interrupted() == 0; });
    int status = kAllAcked;
    for (const HoldId id : ids_) {
      HoldInfo hold;
      try {
        hold = client.end_hold(id);
      } catch (const ControlFailure& failure) {
        const int signal = to.interrupted();
        if (failure.kind() == ControlFailure::Kind::kStopped && signal != 0) {
          return kSignalled + signal;
        }
        if (failure.kind() != ControlFailure::Kind::kRefused || id == ids_.back()) throw;
        to.console.err("musterctl: " + std::string(failure.what()) + '\n');
        status = std::max<int>(status, kRefused);  // the others end all the same
        continue;
      }
      status = std::max(status, status_of_hold(hold.state));
      if (options_.quiet) continue;
      to.console.out(to.common.json ? to_json(hold) + '\n' : show_hold(hold, style_of(to)));
    }
    return status;
  }

  std::string action_;
  std::vector<std::string> what_;
  std::vector<HoldId> ids_;  // what_ as ids; empty for start
  BroadcastOptions options_;
  bool force_ = false;
  int status_ = kAllAcked;  // of what started
};

}  // namespace

std::unique_ptr<Command> hold_command() { return std::make_unique<HoldCommand>(); }

}  // namespace muster::ctl
