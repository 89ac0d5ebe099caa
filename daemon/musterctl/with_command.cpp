// The commands `with-released` and `with-quiesced`: another program runs while files stay released,
// or backends quiesced.
//
// Holds, waits for every outcome and the kernel's word, runs the command, ends the holds whatever
// becomes of it. Everything that is said goes to standard error: standard output is the command's.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "muster/text.h"

#include "musterctl/ask_first.h"
#include "musterctl/broadcast_run.h"
#include "musterctl/foreground_child.h"
#include "musterctl/hold_lease.h"
#include "musterctl/program.h"
#include "musterctl/report_text.h"
#include "musterctl/resolve_path.h"
#include "musterctl/sessions.h"
#include "musterctl/verification_text.h"

namespace muster::ctl {
namespace {

using WithClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// The broker ends the asking at the deadline. The scan that runs then may take so long.
constexpr milliseconds kLastScan{2'000};
constexpr milliseconds kUsualWait{5'000};
constexpr milliseconds kLookAgain{200};
constexpr milliseconds kStartTick{10};  // of the start time of a process

// Standard output belongs to the command.
class ErrorConsole : public ConsoleInFront {
 public:
  using ConsoleInFront::ConsoleInFront;

  void out(std::string_view text) override { err(text); }
  [[nodiscard]] bool out_failed() const override { return err_failed(); }
  [[nodiscard]] bool out_is_closed() const override { return false; }
  [[nodiscard]] bool out_reader_gone() const override { return false; }
  [[nodiscard]] bool out_has_colour() const override { return false; }
};

class WithCommand : public Command {
 public:
  [[nodiscard]] bool takes_command() const override { return true; }
  void set_command(const std::vector<std::string>& command) override { command_ = command; }

  int run(const Invocation& invocation) override {
    if (invocation.common.json) {
      throw UsageError(name() + " takes no --json: standard output is the command's");
    }
    if (command_.empty()) {
      throw UsageError(name() + ": name the command behind --, like: musterctl " + example());
    }
    if (options_.ask_first && force_) {
      throw UsageError("--ask-first excludes --force: give one of them");
    }
    ErrorConsole console(invocation.console);
    const Invocation to{invocation.common, console, invocation.interrupted};
    std::vector<BroadcastOperation> operations = find_operations(to);
    if (timeout_) until_ = WithClock::now() + *timeout_;
    if (const int status = ask_all_first(to, operations); status != kAllAcked) {
      return not_run(to, status);
    }
    client_.emplace(make_client(to, false));
    for (BroadcastOperation& operation : operations) {
      const int status = ask(to, std::move(operation));
      if (status == kAllAcked) continue;
      const bool may_run = force_ && holds_has_all_;
      if (!may_run) return not_run(to, status);
      if (!options_.quiet) to.console.err("musterctl: running it all the same (--force)\n");
    }
    if (const int status = look_again(to); status != kAllAcked) return not_run(to, status);
    return run_held(to);
  }

 protected:
  // What is to be asked for, one after another.
  virtual std::vector<BroadcastOperation> find_operations(const Invocation& to) = 0;
  [[nodiscard]] virtual std::string example() const = 0;
  [[nodiscard]] virtual bool verifies() const = 0;
  [[nodiscard]] virtual bool asks_sessions_too(const Invocation& to) const = 0;

  void declare_common_part(Options& options) {
    options.duration(
        "--timeout",
        "Time for the whole wait before the command runs: for the backends' answers and "
        "the kernel's. Default: each backend's own",
        timeout_);
    options.flag("--force", "Run the command also if not everything was released", force_);
    options_.declare_ask_first(options);
    options.duration("--ttl",
                     "End the hold then, even if the command still runs. Default: when it ends",
                     options_.ttl);
    declare_select(options, options_.selection);
    declare_quiet(options, options_.quiet);
    options.flag("-v,--verbose", "List the backends that acked, too, with their times",
                 options_.verbose);
  }

  BroadcastOptions options_;
  std::optional<milliseconds> wait_;

 private:
  BroadcastRequest request_for(BroadcastOperation operation) const {
    BroadcastRequest request = options_.request(std::move(operation));
    const std::optional<milliseconds> left = time_left();
    request.ack_timeout = left;
    request.deadline = left;
    if (request.verify) {
      request.verify_wait = wait_.value_or(left.value_or(kUsualWait));
      if (left) request.verify_wait = std::min(request.verify_wait, *left);
    }
    request.hold = HoldRequest{true, options_.ttl};
    return request;
  }

  // Of --timeout.
  [[nodiscard]] std::optional<milliseconds> time_left() const {
    return until_ ? std::optional(left_until(*until_)) : std::nullopt;
  }

  int ask_all_first(const Invocation& to, const std::vector<BroadcastOperation>& operations) const {
    if (!options_.ask_first) return kAllAcked;
    BroadcastOptions first = options_;
    first.timeout = time_left();
    first.deadline = first.timeout;
    // Where the kernel is asked, nobody who registered is as good as everybody who would.
    first.allow_empty = verifies();
    const int status = ask_first(to, first, operations, asks_sessions_too(to)).status;
    const bool is_late = until_ && is_too_late(*until_);
    return status == kAllAcked && is_late ? time_is_over(to) : status;
  }

  // Asks for one operation. 0: everything is as it should be.
  int ask(const Invocation& to, BroadcastOperation operation) {
    options_.verify = verifies();
    const BroadcastRequest request = request_for(std::move(operation));
    mount_namespace_ = request.mount_namespace;
    holds_has_all_ = false;
    clear_ = false;
    if (!asks_sessions_too(to)) return ask_host(to, request);
    const int status = run_with_sessions(
        to, options_, request, [&](const Invocation& host) { return ask_host(host, request); });
    return status == kAllAcked && request.verify && !clear_ ? static_cast<int>(kStillHeld) : status;
  }

  int ask_host(const Invocation& to, const BroadcastRequest& request) {
    HowFar far;
    int signal = 0;
    std::optional<BroadcastReport> report =
        follow_broadcast(to, *client_, request, options_.quiet, far, [&] {
          signal = to.interrupted();
          return signal == 0 && (!until_ || WithClock::now() < *until_ + kLastScan);
        });
    if (signal != 0) return stopped_waiting(to, far, signal);
    if (!report) report = cut_short(to, far);
    if (!report) return kNotAllAcked;
    if (!report->hold) {
      report_error(to.console, false, "REFUSED", kNoHolds);
      return kRefused;
    }
    if (const auto why = report->hold->ended) {
      const int status = exit_status_of(*report, request.verify, request.verify);
      const BroadcastId id = report->broadcast_id;
      if (status != kAllAcked) show(to, *std::move(report), request, status);
      to.console.err("musterctl: hold " + std::to_string(id) + " ended (" +
                     std::string(to_string(*why)) + ") before the command could run\n");
      return status == kAllAcked ? static_cast<int>(kStillHeld) : status;
    }
    holds_.push_back({report->broadcast_id, report->result.operation, request.verify});
    holds_has_all_ = true;
    clear_ = is_clear(*report);
    // Where the kernel is asked, nobody who registered is as good as everybody who acked.
    const int status = exit_status_of(*report, request.verify, request.verify);
    show(to, *report, request, status);
    return status;
  }

  // Several are asked for one after another: what the first answers said may not be so any more.
  int look_again(const Invocation& to) {
    if (holds_.size() < 2) return kAllAcked;
    for (const LeasedHold& hold : holds_) {
      try {
        static_cast<void>(client_->keep_hold(hold.id));
        const auto* release = hold.operation.as_release_handles();
        if (release == nullptr || !verifies() || force_ || hold.id == holds_.back().id) continue;
        const HolderScan scan = client_->holders(release->path_prefix, mount_namespace_);
        if (scan.verdict == HolderVerdict::kClear) continue;
        to.console.err("musterctl: by now it is not certain that nobody has files below " +
                       escape_bytes(release->path_prefix) +
                       " in use: `musterctl holders` says more\n");
        return kStillHeld;
      } catch (const ControlFailure& failure) {
        to.console.err("musterctl: " + std::string(failure.what()) + '\n');
        holds_has_all_ = false;
        return kStillHeld;
      }
    }
    return kAllAcked;
  }

  // The time of --timeout is over: what is known, when what runs was cancelled.
  std::optional<BroadcastReport> cut_short(const Invocation& to, const HowFar& far) {
    to.console.err("musterctl: --timeout is over\n");
    if (far.id == 0) return std::nullopt;
    static_cast<void>(client_->cancel(far.id));
    return client_->report(far.id);
  }

  void show(const Invocation& to, BroadcastReport report, const BroadcastRequest& request,
            int status) const {
    if (options_.quiet) return;
    if (status == kAllAcked && request.verify && !options_.verbose) {
      return to.console.progress(answer_of_release(report, Paint()));
    }
    report.hold.reset();  // it ends with the command
    ReportStyle style;
    style.now_unix_ms = unix_ms_now();
    style.name_acks = options_.verbose;
    style.selective = !options_.selection.empty();
    style.asked_timeout = request.ack_timeout;
    style.deadline = request.deadline;
    style.verify = request.verify;
    const std::string text = show_report(report, {}, style);
    status == kAllAcked ? to.console.progress(text) : to.console.err(text);
  }

  int not_run(const Invocation& to, int status) const {
    if (!options_.quiet) {
      to.console.err("musterctl: " + quote(command_[0]) + " was not run" +
                     (holds_has_all_ && status < kSignalled ? " (--force runs it)\n" : "\n"));
    }
    return status;
  }

  int run_held(const Invocation& to) {
    HoldLease lease(to, std::move(*client_), holds_);
    ForegroundSignals signals;
    if (const int signal = to.interrupted(); signal != 0) {
      lease.end([] { return true; });
      return not_run(to, kSignalled + signal);
    }
    std::string ids;
    for (const LeasedHold& hold : holds_) ids += (ids.empty() ? "" : ",") + std::to_string(hold.id);
    // The broker counts only children that started after the request as the command's. Their start
    // times are in ticks: the command starts a tick later.
    if (verifies()) std::this_thread::sleep_for(kStartTick);
    ForegroundChild child(signals, command_, {{"MUSTER_HOLD_ID", ids}});
    if (!child.problem().empty()) to.console.err("musterctl: " + child.problem() + '\n');
    std::optional<int> ended = child.wait(milliseconds(0));
    while (!ended) {
      lease.look([&] {
        if (!ended) ended = child.wait(milliseconds(0));
        return !ended;
      });
      if (!ended) ended = child.wait(kLookAgain);
    }
    lease.end([&] {
      const auto arrived = signals.next(milliseconds(0));
      return !arrived || arrived->signal == SIGCHLD;
    });
    HoldStyle style;
    style.now_unix_ms = unix_ms_now();
    to.console.err(lease.book().text(style));
    const int status = lease.book().status(*ended);
    if (status != *ended && !options_.quiet) {
      to.console.err("musterctl: " + quote(command_[0]) +
                     " ended with status 0, but it is not certain that the hold held\n");
    }
    return status;
  }

  std::vector<std::string> command_;
  std::optional<milliseconds> timeout_;
  std::optional<WithClock::time_point> until_;  // of timeout_
  bool force_ = false;
  std::optional<ControlClient> client_;  // which the holds belong to
  std::vector<LeasedHold> holds_;
  std::uint64_t mount_namespace_ = 0;
  bool holds_has_all_ = false;  // the last answer came with a hold
  bool clear_ = false;          // so the kernel said last
};

class WithReleasedCommand : public WithCommand {
 public:
  [[nodiscard]] std::string name() const override { return "with-released"; }
  [[nodiscard]] std::string summary() const override {
    return "Run a command while all files below a path stay released";
  }

  void declare(Options& options) override {
    declare_paths(options, paths_);
    declare_common_part(options);
    options.duration("--wait",
                     "Look again until nobody has files in use, at most so long. Default: what is "
                     "left of the timeout, else 5s",
                     wait_);
    options.flag("--no-verify", "Do not ask the kernel: the backends' acks alone will do",
                 no_verify_);
    options.flag("--as-written",
                 "Do not resolve PATH: ask the backends for it as it is written. Default: resolve "
                 "it, and ask no backend if that fails",
                 as_written_);
    options_.declare_sessions(options);
    options.epilogue(
        "The command stands behind \"--\". It runs when every backend acked and the kernel says "
        "that\n"
        "nobody has a file at PATH or below it in use; backends keep away from PATH until it "
        "ends.\n"
        "It has the terminal, gets the signals that musterctl gets, and finds the ids of the holds "
        "in\n"
        "MUSTER_HOLD_ID. musterctl writes to standard error alone.\n"
        "\n"
        "The exit status is the command's (128+N if signal N ended it; 126 or 127 if it cannot be\n"
        "run). If that is 0: 6 where somebody took files in use meanwhile, or the hold was lost. "
        "If "
        "it\n"
        "was not run: 1, 5 or 6 as of release-handles, or another one of the table in musterctl "
        "-h.\n"
        "\n"
        "Examples:\n"
        "  musterctl with-released /var/cache/x -- rm -r /var/cache/x\n"
        "  musterctl with-released --timeout 30s /mnt/a /mnt/b -- ./upgrade.sh\n");
  }

 protected:
  std::vector<BroadcastOperation> find_operations(const Invocation& to) override {
    if (no_verify_ && wait_) throw UsageError("--wait and --no-verify: give one of them");
    std::vector<BroadcastOperation> operations;
    for (const std::string& path : paths_) {
      ResolvedPath one = as_written_ ? path_as_written(path) : resolve_path(path);
      if (!one.problem.empty()) throw UsageError(one.problem);
      for (const std::string& warning : one.warnings) {
        to.console.err("musterctl: warning: " + warning + '\n');
      }
      operations.push_back(
          BroadcastOperation::release_handles(std::move(one.path), std::move(one.alias)));
    }
    return operations;
  }
  [[nodiscard]] std::string example() const override {
    return "with-released /var/cache/x -- rm -r /var/cache/x";
  }
  [[nodiscard]] bool verifies() const override { return !no_verify_; }
  [[nodiscard]] bool asks_sessions_too(const Invocation& to) const override {
    return asks_sessions(to, options_);
  }

 private:
  std::vector<std::string> paths_;
  bool no_verify_ = false;
  bool as_written_ = false;
};

class WithQuiescedCommand : public WithCommand {
 public:
  [[nodiscard]] std::string name() const override { return "with-quiesced"; }
  [[nodiscard]] std::string summary() const override {
    return "Run a command while backends stay quiesced";
  }

  void declare(Options& options) override {
    declare_common_part(options);
    options.epilogue(
        "The command stands behind \"--\". It runs when every backend that is selected acked, and "
        "they\n"
        "take work again when it has ended. Its terminal, signals, environment and exit status are "
        "as\n"
        "of with-released. Brokers of user sessions are not asked.\n"
        "\n"
        "Examples:\n"
        "  musterctl with-quiesced -- ./snapshot.sh\n"
        "  musterctl with-quiesced --select service=db --timeout 1m -- lvcreate -s vg/db -n s\n");
  }

 protected:
  std::vector<BroadcastOperation> find_operations(const Invocation& /*to*/) override {
    return {BroadcastOperation::quiesce(QuiesceReason::kMaintenance)};
  }
  [[nodiscard]] std::string example() const override { return "with-quiesced -- ./snapshot.sh"; }
  [[nodiscard]] bool verifies() const override { return false; }
  [[nodiscard]] bool asks_sessions_too(const Invocation& /*to*/) const override { return false; }
};

}  // namespace

std::unique_ptr<Command> with_released_command() { return std::make_unique<WithReleasedCommand>(); }
std::unique_ptr<Command> with_quiesced_command() { return std::make_unique<WithQuiescedCommand>(); }

}  // namespace muster::ctl
