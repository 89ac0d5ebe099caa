#include "musterctl/progress.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "muster/control.h"
#include "muster/path.h"

#include "musterctl/report_text.h"
#include "musterctl/text.h"

namespace muster::ctl {

// --- events

namespace {

std::string process(const Event& event) {
  std::string text;
  if (event.pid > 0) text = "pid " + std::to_string(event.pid) + ", ";
  return text + "uid " + std::to_string(event.uid);
}

std::string who(const Event& event) {
  if (!event.key) return "a peer (" + process(event) + ')';
  return shown(*event.key) + " (" + process(event) + ')';
}

std::string with_detail(std::string text, const Event& event) {
  if (!event.detail.empty()) text += ": " + escape_bytes(event.detail);
  return text;
}

std::string counts(const Event& event) {
  std::string text = std::to_string(event.acks) + " of " + std::to_string(event.targets) + " acked";
  if (event.timeouts > 0) text += ", " + std::to_string(event.timeouts) + " timed out";
  if (event.failures > 0) text += ", " + std::to_string(event.failures) + " failed";
  if (event.skipped_dead > 0) text += ", " + std::to_string(event.skipped_dead) + " dead skipped";
  return text;
}

std::string unknown_backends(const Event& event) {
  return event.backends_unknown ? "; " + backends_unknown_clause() : "";
}

std::string outcome(const Event& event) {
  if (!event.backend_outcome) return who(event) + " has an outcome";
  const BackendOutcome& of = *event.backend_outcome;
  std::string text = who(event) + ' ' + std::string(outcome_word(of));
  return text + (of.outcome == OutcomeKind::kAck ? " " : ": ") + outcome_reason(of);
}

std::string working(const Event& event) {
  std::string text = who(event) + " asks for more time";
  if (!event.backend_outcome) return with_detail(std::move(text), event);
  const std::string note = shown_note(event.backend_outcome->percent, event.backend_outcome->note);
  return note.empty() ? text : text + ": " + note;
}

}  // namespace

std::string show_event(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kBackendRegistered:
      return with_detail(who(event) + " registered", event);
    case Event::Kind::kBackendReturned:
      return who(event) + " reconnected";
    case Event::Kind::kBackendReconnecting:
      return with_detail(who(event) + " disconnected and may reconnect", event);
    case Event::Kind::kBackendDead:
      if (event.was_refused) return who(event) + " exited; it was refused before";
      return with_detail(who(event) + " is dead", event);
    case Event::Kind::kBackendDeregistered:
      return who(event) + " left";
    case Event::Kind::kPeerRefused:
      return with_detail(who(event) + " was refused", event);
    case Event::Kind::kBroadcastStarted:
      return escape_controls(event.operation) +
             (event.joined ? ": joined, which asked " : ": asked ") +
             counted(event.targets, "backend") +
             (event.skipped_dead == 0
                  ? ""
                  : ", skipped " + std::to_string(event.skipped_dead) + " dead") +
             unknown_backends(event);
    case Event::Kind::kOutcome:
      return outcome(event);
    case Event::Kind::kWorking:
      return working(event);
    case Event::Kind::kRedelivered:
      return who(event) + " reconnected and was asked again";
    case Event::Kind::kLateAnswer:
      return with_detail(who(event) + " answered after its deadline", event);
    case Event::Kind::kDuplicateAnswer:
      return with_detail(who(event) + " answered a second time (ignored)", event);
    case Event::Kind::kUnmatchedAnswer:
      return with_detail(who(event) + " answered an unknown broadcast", event);
    case Event::Kind::kBroadcastFinished:
      return "finished: " + counts(event) + unknown_backends(event);
    case Event::Kind::kShuttingDown:
      return with_detail("the broker is shutting down", event);
    case Event::Kind::kBackendLost:
      return with_detail(who(event) + " is lost", event);
    case Event::Kind::kBackendResumed:
      return who(event) + " may take work again";
    case Event::Kind::kBackendForgotten:
      return who(event) + " was forgotten";
    case Event::Kind::kVerifying:
      return "every outcome is in; asking the kernel who still has files in use";
    case Event::Kind::kHoldStarted:
      return "the hold began";
    case Event::Kind::kHoldEnded:
      return with_detail("the hold ended", event);
    case Event::Kind::kHoldViolated:
      return with_detail("the hold is violated", event);
    case Event::Kind::kEventsLost:
      return with_detail("events were lost, musterctl read too slowly", event);
  }
  return with_detail("something of a kind that this musterctl does not know", event);
}

std::string show_watched_event(const Event& event, const UserName& user) {
  std::string text = local_time_of_day(event.unix_ms) + "  ";
  if (event.broadcast_id != 0) text += "broadcast " + std::to_string(event.broadcast_id) + ": ";
  text += show_event(event);
  // Of a broadcast: with each outcome it would be the same again.
  const bool names_operator =
      event.kind != Event::Kind::kOutcome && event.kind != Event::Kind::kWorking;
  if (event.asked_by && names_operator)
    text += "; asked by " + shown_operator(*event.asked_by, user);
  return text + '\n';
}

std::string PlainProgress::line(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kBroadcastStarted:
      return "broadcast " + std::to_string(event.broadcast_id) + ": " + show_event(event) + '\n';
    case Event::Kind::kOutcome:
    case Event::Kind::kWorking:
    case Event::Kind::kRedelivered:
    case Event::Kind::kVerifying:
    case Event::Kind::kEventsLost:
      break;
    default:
      return {};  // the summary says it, or it is about something else
  }
  std::string kind(to_string(event.kind));
  if (event.kind == Event::Kind::kOutcome && event.backend_outcome) {
    kind = outcome_word(*event.backend_outcome);
  }
  const std::size_t before = written_[kind]++;
  if (before < most_) return show_event(event) + '\n';
  if (before > most_) return {};
  return "(" + std::to_string(most_) + " lines of kind \"" + kind +
         "\" shown; leaving out the rest)\n";
}

// --- progress

namespace {

std::string time_since(Progress::TimePoint then, Progress::TimePoint now) {
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - then);
  // Tenths of a second: what changes faster than the line is drawn says nothing.
  if (passed < std::chrono::seconds(60)) {
    const auto tenths = std::max<std::int64_t>(0, passed.count() / 100);
    return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + " s";
  }
  return show_measured(passed);
}

}  // namespace

void Progress::apply(const Event& event, TimePoint now) {
  switch (event.kind) {
    case Event::Kind::kBroadcastStarted:
      id_ = event.broadcast_id;
      started_at_ = now;
      break;
    case Event::Kind::kOutcome:
      if (event.key) open_.erase(*event.key);
      break;
    case Event::Kind::kWorking:
      if (event.backend_outcome) heard(*event.backend_outcome, now);
      break;
    case Event::Kind::kRedelivered:
      if (const auto at = event.key ? open_.find(*event.key) : open_.end(); at != open_.end()) {
        at->second.pid = event.pid;
        at->second.heard_at = now;
      }
      break;
    case Event::Kind::kBroadcastFinished:
      break;
    case Event::Kind::kVerifying:
      verifying_ = true;
      break;
    case Event::Kind::kBackendLost:
    case Event::Kind::kBackendResumed:
    case Event::Kind::kBackendForgotten:
    case Event::Kind::kEventsLost:
      knows_who_is_open_ = false;
      return;
    default:
      return;  // not about how far it is; its counts may be of something else
  }
  targets_ = std::max(targets_, event.targets);
  acks_ = std::max(acks_, event.acks);
  timeouts_ = std::max(timeouts_, event.timeouts);
  failures_ = std::max(failures_, event.failures);
}

void Progress::heard(const BackendOutcome& outcome, TimePoint now) {
  Open& open = open_[outcome.key];
  open.pid = outcome.pid;
  open.heard_at = now;
  open.said_something = true;
  open.note = outcome.note;
  open.percent = outcome.percent;
}

void Progress::seed(const BroadcastReport& report, TimePoint now) {
  knows_who_is_open_ = true;
  verifying_ = report.state == BroadcastState::kVerifying;
  started_at_ = now - report.duration;
  const auto count = [](std::uint32_t known, std::size_t reported) {
    return std::max(known, static_cast<std::uint32_t>(reported));
  };
  acks_ = count(acks_, report.result.acks.size());
  timeouts_ = count(timeouts_, report.result.timeouts.size());
  failures_ = count(failures_, report.result.failures.size());
  std::map<BackendKey, Open> open;
  for (std::size_t i = 0; i < report.backends.size(); ++i) {
    const BackendOutcome& outcome = report.backends[i];
    if (outcome.outcome != OutcomeKind::kOpen) continue;
    Open entry;
    if (const auto known = open_.find(outcome.key); known != open_.end()) {
      entry = known->second;
    } else {
      entry.heard_at = started_at_;
      entry.note = outcome.note;
      entry.percent = outcome.percent;
    }
    entry.order = i;
    entry.pid = outcome.pid;
    open.emplace(outcome.key, std::move(entry));
  }
  open_ = std::move(open);
}

std::string Progress::waiting_for(TimePoint now) const {
  const std::uint32_t done = acks_ + timeouts_ + failures_;
  if (done >= targets_) return {};
  const auto longest =
      std::min_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
        return a.second.heard_at != b.second.heard_at ? a.second.heard_at < b.second.heard_at
                                                      : a.second.order < b.second.order;
      });
  if (longest == open_.end()) return {};
  const Open& open = longest->second;
  std::string text = "; waiting for " + shown(longest->first);
  if (open.pid > 0) text += " (pid " + std::to_string(open.pid) + ')';
  text += " for " + time_since(started_at_, now);
  if (targets_ > done + 1) text += ", +" + std::to_string(targets_ - done - 1) + " more";
  const std::string note = shown_note(open.percent, open.note);
  if (!note.empty()) {
    text += "; " + note;
    if (open.said_something) text += ' ' + time_since(open.heard_at, now) + " ago";
  }
  return text;
}

std::string Progress::line(TimePoint now, std::size_t columns) const {
  if (id_ == 0) return cut_to("waiting for the broker", columns);
  const std::uint32_t done = acks_ + timeouts_ + failures_;
  std::string text = std::to_string(acks_) + " of " + std::to_string(targets_) + " acked, ";
  if (timeouts_ > 0) text += std::to_string(timeouts_) + " timed out, ";
  if (failures_ > 0) text += std::to_string(failures_) + " failed, ";
  if (verifying_) {
    return cut_to(text + time_since(started_at_, now) + "; asking the kernel who has files in use",
                  columns);
  }
  text += std::to_string(targets_ > done ? targets_ - done : 0) + " open, ";
  text += time_since(started_at_, now) + waiting_for(now);
  return cut_to(text, columns);
}

// --- display

namespace {

using Clock = std::chrono::steady_clock;

class Nothing : public BroadcastDisplay {
 public:
  void on_event(const Event& /*event*/) override {}
  void tick() override {}
};

class Lines : public BroadcastDisplay {
 public:
  explicit Lines(Console& console) : console_(console) {}

  void on_event(const Event& event) override { console_.progress(lines_.line(event)); }
  void tick() override {}

 private:
  Console& console_;
  PlainProgress lines_;
};

class Live : public BroadcastDisplay {
 public:
  Live(Console& console, std::filesystem::path socket_dir, std::string before)
      : console_(console),
        socket_dir_(std::move(socket_dir)),
        before_(std::move(before)),
        line_(console, Clock::now()) {}

  void on_event(const Event& event) override { progress_.apply(event, Clock::now()); }

  void tick() override {
    const auto now = Clock::now();
    if (!line_.due(now)) return;
    const bool ask = progress_.id() != 0 && !progress_.knows_who_is_open();
    if (ask && now >= ask_again_at_) ask_who_is_open(now);
    // The last column stays free: a terminal would wrap.
    const std::size_t columns = console_.err_columns() - 1;
    line_.draw(cut_to(before_ + progress_.line(now, columns), columns), now);
  }

 private:
  void ask_who_is_open(Clock::time_point now) {
    ask_again_at_ = now + std::chrono::seconds(1);
    const auto report = report_so_far();
    if (report) progress_.seed(*report, Clock::now());
  }

  // Nothing when that fails: the line names nobody, and the broadcast itself will tell what is
  // wrong.
  std::optional<BroadcastReport> report_so_far() const {
    try {
      ControlClient client(socket_dir_, std::chrono::seconds(1));
      return client.report(progress_.id());
    } catch (const ControlFailure&) {
      return std::nullopt;
    }
  }

  Console& console_;
  std::filesystem::path socket_dir_;
  std::string before_;
  LiveLine line_;
  Progress progress_;
  Clock::time_point ask_again_at_{};
};

}  // namespace

std::unique_ptr<BroadcastDisplay> make_display(Console& console, bool silent,
                                               const std::filesystem::path& socket_dir,
                                               const std::string& before) {
  if (silent) return std::make_unique<Nothing>();
  if (console.err_is_live()) return std::make_unique<Live>(console, socket_dir, before);
  return std::make_unique<Lines>(console);
}

}  // namespace muster::ctl
