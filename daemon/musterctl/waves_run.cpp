#include "musterctl/waves_run.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "muster/control.h"
#include "muster/json.h"

#include "musterctl/broadcast_run.h"
#include "musterctl/holder_look.h"
#include "musterctl/sessions.h"
#include "musterctl/text.h"
#include "musterctl/verification_text.h"
#include "musterctl/waves.h"
#include "musterctl/waves_text.h"

namespace muster::ctl {
namespace {

using WaveClock = std::chrono::steady_clock;

// How often it looks for backends that came meanwhile, while there are some.
constexpr int kMostLooks = 10;
constexpr std::chrono::milliseconds kBetweenScans{500};  // as the broker does
constexpr std::chrono::milliseconds kWaveStep{50};       // how soon a signal is noticed
// How long cancelling a wave may take once nobody waits for it.
constexpr std::chrono::milliseconds kCancelPatience{2'000};

class WaveRun {
 public:
  WaveRun(const Invocation& to, const BroadcastOptions& options, const BroadcastRequest& request,
          const std::vector<std::string>& warnings)
      : to_(to),
        options_(options),
        request_(request),
        warnings_(warnings),
        client_(make_client(to, false)) {
    if (request.deadline) until_ = WaveClock::now() + *request.deadline;
    report_.operation = request.operation;
    report_.verify = request.verify;
    client_.while_waiting([this] { return goes_on() || (is_starting_ && may_wait_for_id()); });
  }

  int run() {
    report_.others_not_asked = sessions_left_out(to_, options_);
    if (!report_.others_not_asked.empty()) {
      to_.console.err(
          "musterctl: warning: waves do not ask the brokers of user sessions: this ends "
          "with status 1 (--no-sessions leaves them out)\n");
    }
    std::vector<WaveTarget> targets;
    try {
      targets = look();
    } catch (const ControlFailure& failure) {
      if (signal_ == 0) throw;
      report_error(to_.console, to_.common.json, "SIGNAL", "no backend was asked");
      return kSignalled + signal_;
    }
    if (options_.batch) most_ = wave_size(*options_.batch, targets.size());
    if (options_.max_failures) allowed_ = failures_allowed(*options_.max_failures, targets.size());
    std::vector<Wave> waves = plan_waves(targets, options_.first, most_);
    if (!options_.first.empty() && !targets.empty() && !waves.front().is_first) {
      report_error(to_.console, to_.common.json, "NOBODY",
                   "--first matches none of the " + counted(targets.size(), "backend") +
                       " that would be asked: no backend was asked");
      return kNobody;
    }
    // Before anybody is asked: whether all can be.
    for (const Wave& wave : waves) {
      static_cast<void>(selections_of_wave(wave, request_.selection));
    }
    for (int looks = 1; ask_all(std::move(waves)); ++looks) {
      std::vector<WaveTarget> missing = newcomers();
      if (missing.empty()) break;
      if (failures_ > allowed_) stop_by_failures();
      if (looks == kMostLooks) stop("new backends keep coming");
      if (!report_.stopped.empty()) {
        report_.not_asked = std::move(missing);
        break;
      }
      waves = plan_waves(missing, {}, most_);
    }
    if (report_.stopped.empty() && request_.verify) verify();
    return end();
  }

 private:
  [[nodiscard]] bool goes_on() {
    if (signal_ == 0) signal_ = to_.interrupted();
    is_unread_ = is_unread_ || (!options_.quiet && to_.console.out_reader_gone());
    return signal_ == 0 && !is_unread_;
  }

  // Nobody waits any more, but what has just been sent can only be cancelled by its id.
  [[nodiscard]] bool may_wait_for_id() {
    if (!no_longer_than_) no_longer_than_ = WaveClock::now() + kCancelPatience;
    return WaveClock::now() < *no_longer_than_;
  }

  void stop(std::string why) {
    if (report_.stopped.empty()) report_.stopped = std::move(why);
  }

  [[nodiscard]] std::vector<WaveTarget> look() {
    const DryRun dry_run = client_.dry_run(request_);
    report_.backends_unknown |= dry_run.backends_unknown;
    if (report_.waves.empty()) report_.dead = dry_run.skipped_dead;
    return wave_targets(dry_run, client_.backends(request_.selection));
  }

  [[nodiscard]] std::vector<WaveTarget> newcomers() {
    try {
      return not_asked_yet(look(), merged_report(report_));
    } catch (const ControlFailure& failure) {
      stop_by(failure);
      if (report_.stopped.empty()) stop("it is not known whether other backends came meanwhile");
      return {};
    }
  }

  // False when it was stopped; those that are left are not asked then.
  bool ask_all(std::vector<Wave> waves) {
    report_.planned = report_.waves.size() + waves.size();
    for (std::size_t i = 0; i < waves.size(); ++i) {
      if (may_begin()) ask(waves[i]);
      if (report_.stopped.empty()) continue;
      const std::size_t rest = i + (was_begun_ ? 1 : 0);
      for (std::size_t at = rest; at < waves.size(); ++at) {
        report_.not_asked.insert(report_.not_asked.end(), waves[at].targets.begin(),
                                 waves[at].targets.end());
      }
      return false;
    }
    return true;
  }

  bool may_begin() {
    was_begun_ = false;
    if (!goes_on()) {
      stop(nobody_waits());
    } else if (until_ && is_too_late(*until_)) {
      stop("the --deadline has passed");
    }
    return report_.stopped.empty();
  }

  void ask(const Wave& wave) {
    const std::vector<Selection> parts = selections_of_wave(wave, request_.selection);
    was_begun_ = true;
    const std::size_t number = report_.waves.size() + 1;
    const bool is_live = to_.console.err_is_live() && !options_.quiet && !to_.common.json;
    std::vector<BroadcastReport> reports;
    std::vector<BroadcastId> open;  // asked, and without a report
    HowFar far;
    try {
      is_starting_ = true;
      for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        open.push_back(client_.start_broadcast(request_of(parts[i])).broadcast_id);
      }
      is_starting_ = false;
      auto last = follow_broadcast(
          to_, client_, request_of(parts.back()), !is_live, far,
          [&] { return goes_on() || (far.id == 0 && may_wait_for_id()); },
          wave_name(number, report_.planned) + ": ");
      if (last) {
        while (!open.empty()) {
          reports.push_back(client_.report(open.front(), true));
          open.erase(open.begin());
        }
        reports.push_back(std::move(*last));
      } else {
        stop(nobody_waits());
      }
    } catch (const ControlFailure& failure) {
      stop_by(failure);
    }
    if (reports.size() < parts.size() && far.id != 0) open.push_back(far.id);
    is_starting_ = false;
    const bool is_refused = failure_ && failure_->kind() == ControlFailure::Kind::kRefused;
    if (is_refused && reports.empty() && open.empty()) {
      was_begun_ = false;  // the broker asked none of them
      return;
    }
    for (const BroadcastId id : open) call_off(id, reports);
    const bool is_incomplete = reports.size() < parts.size();
    report_.waves.push_back(wave_result(wave, std::move(reports), is_incomplete));
    wave_ended(report_.waves.back());
  }

  void wave_ended(const WaveResult& result) {
    failures_ += result.failures;
    if (!options_.quiet && !to_.common.json) {
      to_.console.out(show_wave(report_.waves.size(), report_.planned, result, style()));
    }
    for (const BroadcastReport& one : result.reports) {
      if (one.state == BroadcastState::kCancelled) {
        stop("broadcast " + std::to_string(one.broadcast_id) + " was cancelled");
      }
    }
    const bool is_last = report_.waves.size() == report_.planned;
    if (failures_ > allowed_ && !is_last) stop_by_failures();
  }

  void stop_by_failures() {
    stop(counted(failures_, "failure") + (failures_ == 1 ? " is" : " are") +
         " more than --max-failures " + shown_amount(options_.max_failures.value_or(Amount())));
  }

  [[nodiscard]] BroadcastRequest request_of(const Selection& selection) const {
    BroadcastRequest request = request_;
    request.selection = selection;
    request.verify = false;  // the kernel is asked at the end
    request.verify_wait = {};
    request.mount_namespace = 0;
    if (until_) request.deadline = left_until(*until_);
    return request;
  }

  // Cancels what still runs, and takes what is known of it.
  void call_off(BroadcastId id, std::vector<BroadcastReport>& reports) const {
    try {
      ControlClient client = make_client(to_, false, kCancelPatience);
      static_cast<void>(client.cancel(id));
      reports.push_back(client.report(id));
    } catch (const ControlFailure&) {  // NOLINT(bugprone-empty-catch): its targets have no answer
    }
  }

  [[nodiscard]] std::string nobody_waits() const {
    return signal_ != 0 ? "signal " + std::to_string(signal_) : "the reader of the output has gone";
  }

  void stop_by(const ControlFailure& failure) {
    if (failure.kind() == ControlFailure::Kind::kStopped) return stop(nobody_waits());
    failure_ = failure;
    stop(failure.kind() == ControlFailure::Kind::kRefused ? "the broker refused"
                                                          : "the broker cannot be reached");
  }

  // As the broker does it for a broadcast.
  void verify() {
    const ReleaseHandles* release = request_.operation.as_release_handles();
    if (release == nullptr) return;
    const auto began = WaveClock::now();
    Verification verification;
    const auto took = [&] {
      return std::chrono::duration_cast<std::chrono::microseconds>(WaveClock::now() - began);
    };
    for (;;) {
      try {
        verification.scan = look_by_broker(client_, release->path_prefix);
      } catch (const ControlFailure& failure) {
        if (failure.kind() == ControlFailure::Kind::kStopped) return stop(nobody_waits());
        verification.scan.prefix = release->path_prefix;
        verification.scan.problem = failure.error().message;
        failure_ = failure;
      }
      ++verification.scans;
      verification.took = took();
      const bool is_over = verification.scan.verdict == HolderVerdict::kClear || failure_ ||
                           verification.took >= request_.verify_wait;
      if (is_over) break;
      const auto next = WaveClock::now() + kBetweenScans;
      while (goes_on() && WaveClock::now() < next) std::this_thread::sleep_for(kWaveStep);
      if (!goes_on()) return stop(nobody_waits());
    }
    report_.verification = std::move(verification);
  }

  [[nodiscard]] ReportStyle style() const {
    ReportStyle style;
    style.paint = Paint(to_.console.out_has_colour());
    style.now_unix_ms = unix_ms_now();
    style.name_acks = options_.verbose;
    style.selective = !options_.selection.empty();
    return style;
  }

  [[nodiscard]] int status() const {
    if (signal_ != 0) return kSignalled + signal_;
    if (is_unread_) return kOutputLost;
    if (failure_) {
      return failure_->kind() == ControlFailure::Kind::kRefused ? kRefused : kUnreachable;
    }
    return status_of_waves(report_, options_.allow_empty);
  }

  int end() {
    const int status = this->status();
    if (to_.common.json && !options_.quiet) {
      WavesEnd end{status, {}};
      if (failure_ && failure_->kind() == ControlFailure::Kind::kRefused) {
        end.error = to_json(failure_->error());
      } else if (failure_) {
        end.error =
            JsonObject().text("code", "UNREACHABLE").text("message", failure_->what()).line();
        end.error.pop_back();
      }
      to_.console.out(json_of_waves(report_, end, warnings_));
      return status;
    }
    if (!options_.quiet) to_.console.out(show_waves(report_, style()));
    if (failure_) static_cast<void>(report_failure(to_.console, false, *failure_));
    if (options_.quiet) {
      for (const std::string& one : report_.others_not_asked) {
        to_.console.err("musterctl: not asked: " + one + '\n');
      }
    }
    return status;
  }

  const Invocation& to_;
  const BroadcastOptions& options_;
  const BroadcastRequest& request_;
  const std::vector<std::string>& warnings_;
  ControlClient client_;
  std::optional<WaveClock::time_point> until_;
  std::optional<std::size_t> most_;  // in a wave
  std::size_t allowed_ = 0;
  std::size_t failures_ = 0;
  WavesReport report_;
  bool was_begun_ = false;  // the wave that stopped it
  int signal_ = 0;
  bool is_unread_ = false;
  bool is_starting_ = false;
  std::optional<WaveClock::time_point> no_longer_than_;
  std::optional<ControlFailure> failure_;
};

}  // namespace

int run_waves(const Invocation& to, const BroadcastOptions& options,
              const BroadcastRequest& request, const std::vector<std::string>& warnings) {
  return WaveRun(to, options, request, warnings).run();
}

}  // namespace muster::ctl
