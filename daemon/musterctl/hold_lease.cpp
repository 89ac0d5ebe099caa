#include "musterctl/hold_lease.h"

#include <algorithm>
#include <thread>

#include "muster/text.h"

#include "musterctl/exit_status.h"
#include "musterctl/holder_look.h"

namespace muster::ctl {

// --- the book

namespace {

std::string named(const Holder& holder) {
  if (holder.pid == 0) return "the kernel (" + quote_if_needed(holder.object) + ')';
  return quote_if_needed(holder.command) + " (pid " + std::to_string(holder.pid) + ')';
}

std::string named(const LeasedHold& hold) {
  const std::string path = hold.path();
  return "hold " + std::to_string(hold.id) + (path.empty() ? "" : " of " + quote_if_needed(path));
}

}  // namespace

std::string LeasedHold::path() const {
  const ReleaseHandles* release = operation.as_release_handles();
  return release == nullptr ? std::string() : release->path_prefix;
}

void leave_to_its_time(ControlClient& client, BroadcastReport& report) {
  if (!report.hold || report.hold->ended) return;
  HoldInfo left;
  try {
    left = client.detach_hold(report.broadcast_id);
  } catch (const ControlFailure& failure) {
    if (failure.error().code != ControlError::Code::kNotFound) throw;
    report = client.report(report.broadcast_id);  // its time is over already
    if (!report.hold || !report.hold->ended) throw;
    return;
  }
  if (left.state.leased) {
    throw ControlFailure(ControlFailure::Kind::kRefused,
                         {ControlError::Code::kInvalid,
                          "the broker is older than this musterctl and cannot keep a hold when "
                          "musterctl ends: restart it"});
  }
  report.hold = left.state;
}

HoldBook::HoldBook(const std::vector<LeasedHold>& holds) {
  for (const LeasedHold& hold : holds) {
    Entry& entry = entries_.emplace_back();
    entry.hold = hold;
    entry.info.id = hold.id;
    entry.info.operation = hold.operation;
  }
}

HoldBook::Entry* HoldBook::find(HoldId id) {
  const auto at = std::find_if(entries_.begin(), entries_.end(),
                               [id](const Entry& entry) { return entry.hold.id == id; });
  return at == entries_.end() ? nullptr : &*at;
}

std::vector<std::string> HoldBook::take(Entry& entry, const HoldInfo& hold) {
  std::vector<std::string> sentences;
  const HoldState& state = hold.state;
  std::vector<HoldViolation> all = std::move(entry.info.state.violations);
  const std::uint64_t more = std::max(entry.info.state.more_violations, state.more_violations);
  for (const HoldViolation& violation : state.violations) {
    const bool known = std::any_of(all.begin(), all.end(), [&](const HoldViolation& one) {
      return is_same_holder(one.holder, violation.holder);
    });
    if (known) continue;
    sentences.push_back(named(entry.hold) + " is violated: " + named(violation.holder) +
                        " took files in use");
    all.push_back(violation);
  }
  entry.info = hold;
  entry.info.state.violations = std::move(all);
  entry.info.state.more_violations = more;
  return sentences;
}

std::vector<std::string> HoldBook::noted(const HoldInfo& hold) {
  Entry* const entry = find(hold.id);
  if (entry == nullptr || entry->is_lost || entry->is_ended) return {};
  std::vector<std::string> sentences = take(*entry, hold);
  if (hold.state.ended) {
    sentences.push_back(lost(hold.id, "it ended: " + std::string(to_string(*hold.state.ended))));
  }
  return sentences;
}

std::vector<std::string> HoldBook::ended(const HoldInfo& hold) {
  Entry* const entry = find(hold.id);
  if (entry == nullptr || entry->is_lost) return {};
  std::vector<std::string> sentences = take(*entry, hold);
  entry->is_ended = true;
  if (hold.state.ended && *hold.state.ended != HoldEnd::kCompleted) {
    sentences.push_back(lost(hold.id, "it ended: " + std::string(to_string(*hold.state.ended))));
  }
  return sentences;
}

std::string HoldBook::lost(HoldId id, const std::string& why) {
  Entry* const entry = find(id);
  if (entry == nullptr || entry->is_lost) return {};
  entry->is_lost = true;
  const bool release = entry->hold.operation.as_quiesce() == nullptr;
  return named(entry->hold) + " is lost, and nothing keeps " +
         (release ? "the files released" : "backends quiesced") + ": " + why;
}

std::string HoldBook::went_away(const std::string& why) {
  if (is_away_ || going_on().empty()) return {};
  is_away_ = true;
  return "trying to connect again, to keep the hold: " + why;
}

std::string HoldBook::came_back() {
  if (!is_away_) return {};
  is_away_ = false;
  return going_on().empty() ? std::string() : "connected again; the hold goes on";
}

std::vector<HoldId> HoldBook::going_on() const {
  std::vector<HoldId> ids;
  for (const Entry& entry : entries_) {
    if (!entry.is_lost && !entry.is_ended) ids.push_back(entry.hold.id);
  }
  return ids;
}

std::vector<HoldInfo> HoldBook::infos() const {
  std::vector<HoldInfo> all;
  all.reserve(entries_.size());
  for (const Entry& entry : entries_) all.push_back(entry.info);
  return all;
}

int HoldBook::status(int command) const {
  if (command != kAllAcked) return command;
  for (const Entry& entry : entries_) {
    const bool unclear =
        entry.hold.verified && entry.info.state.last_verdict != HolderVerdict::kClear;
    if (entry.is_lost || !entry.is_ended || unclear) return kStillHeld;
    if (status_of_hold(entry.info.state) != kAllAcked) return kStillHeld;
  }
  return kAllAcked;
}

std::string HoldBook::text(const HoldStyle& style) const {
  std::string text;
  for (const Entry& entry : entries_) {
    const std::string path = entry.hold.path();
    const std::string violations = show_violations(entry.hold.id, entry.info.state, path, style);
    text += violations;
    const bool unclear = entry.is_ended && !entry.is_lost && entry.hold.verified &&
                         entry.info.state.last_verdict != HolderVerdict::kClear;
    if (!violations.empty() || !unclear) continue;
    const std::string where = " below " + quote_if_needed(path);
    text += style.paint.warning(entry.info.state.last_verdict == HolderVerdict::kHeld
                                    ? "Held: at the end of the hold files" + where +
                                          " were in use: `musterctl holders` shows who has them."
                                    : "Unknown: at the end of the hold it could not be seen "
                                      "whether files" +
                                          where + " are in use.") +
            '\n';
  }
  return text;
}

// --- the lease

namespace {

constexpr std::chrono::milliseconds kLookEvery{1'000};
constexpr std::chrono::milliseconds kConnectEvery{100};
constexpr std::chrono::milliseconds kConnectPatience{2'000};

// A broker that starts or stops says so; the hold may be there again in a moment.
bool may_come_back(ControlError::Code code) {
  return code == ControlError::Code::kShuttingDown || code == ControlError::Code::kBusy;
}

}  // namespace

HoldLease::HoldLease(const Invocation& to, ControlClient client,
                     const std::vector<LeasedHold>& holds)
    : to_(to), client_(std::move(client)), book_(holds), look_at_(Clock::now() + kLookEvery) {}

void HoldLease::say(const std::string& sentence) const {
  if (!sentence.empty()) to_.console.err("musterctl: " + sentence + '\n');
}

void HoldLease::say(const std::vector<std::string>& sentences) const {
  for (const std::string& sentence : sentences) say(sentence);
}

void HoldLease::went_away(const std::string& why) {
  client_.reset();
  if (!book_.is_away()) away_since_ = Clock::now();
  say(book_.went_away(why));
}

bool HoldLease::connect() {
  if (client_) return true;
  try {
    client_.emplace(to_.common.socket_dir, kConnectPatience);
  } catch (const ControlFailure&) {
    return false;
  }
  return true;
}

bool HoldLease::ask(HoldId id, const Tick& tick,
                    const std::function<void(ControlClient&)>& question) {
  client_->while_waiting(tick);
  try {
    question(*client_);
    return true;
  } catch (const ControlFailure& failure) {
    switch (failure.kind()) {
      case ControlFailure::Kind::kStopped:
        return false;
      case ControlFailure::Kind::kUnreachable:
        went_away(escape_controls(failure.error().message));
        return false;
      case ControlFailure::Kind::kRefused:
        break;
    }
    const std::string why = escape_controls(failure.error().message);
    if (may_come_back(failure.error().code)) {
      went_away(why);
      return false;
    }
    say(book_.lost(id, why));
    return true;
  }
}

void HoldLease::look(const Tick& tick) {
  if (Clock::now() < look_at_ || book_.going_on().empty()) return;
  bool answered = connect();
  for (const HoldId id : book_.going_on()) {
    if (!answered) break;
    answered = ask(id, tick, [&](ControlClient& client) {
      say(book_.noted(client.keep_hold(id, children_after_)));
    });
  }
  if (answered) say(book_.came_back());
  look_at_ = Clock::now() + (client_ ? kLookEvery : kConnectEvery);
}

void HoldLease::end(const Tick& tick) {
  std::string why = "the broker did not come back";
  while (!book_.going_on().empty()) {
    if (!tick()) {
      why = "not waiting for its end any more";
      break;
    }
    if (!connect()) {
      if (Clock::now() >= away_since_ + kGrace) break;
      std::this_thread::sleep_for(kConnectEvery);
      continue;
    }
    for (const HoldId id : book_.going_on()) {
      const bool answered =
          ask(id, tick, [&](ControlClient& client) { say(book_.ended(client.end_hold(id))); });
      if (!answered) break;
    }
  }
  for (const HoldId id : book_.going_on()) say(book_.lost(id, why));
  client_.reset();  // what is left of them ends with it
}

}  // namespace muster::ctl
