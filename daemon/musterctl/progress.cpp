#include "musterctl/progress.h"

#include <algorithm>

#include "musterctl/duration.h"
#include "musterctl/outcome_text.h"
#include "musterctl/text.h"

namespace muster::ctl {
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
  text += std::to_string(targets_ > done ? targets_ - done : 0) + " open, ";
  text += time_since(started_at_, now) + waiting_for(now);
  return cut_to(text, columns);
}

}  // namespace muster::ctl
