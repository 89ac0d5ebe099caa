#include "musterd/history/history.h"

#include <algorithm>
#include <exception>
#include <sys/resource.h>
#include <unistd.h>
#include <variant>

#include <fmt/format.h>

#include "muster/text.h"

#include "broker/broker_server.h"
#include "broker/clock.h"
#include "core/quota.h"
#include "musterd/history/sqlite.h"
#include "os/peer.h"
#include "wire/control_lane.h"
#include "wire/history.h"

namespace muster::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What comes together is written together.
constexpr milliseconds kTogether{5};
constexpr milliseconds kFirstLook{100};  // at a broadcast that runs
constexpr milliseconds kNextLook{1000};
constexpr milliseconds kLongestLook{30'000};
constexpr milliseconds kChanged{1000};  // after a late answer, and what happens to a hold
constexpr milliseconds kFirstRetry{1000};
constexpr milliseconds kLongestRetry{30'000};
constexpr seconds kBetweenTellings{60};
constexpr seconds kBetweenPrunings{60};
constexpr int kPruneSteps = 8;  // with one batch
constexpr int kNiceness = 10;   // of the thread
// Encoding what nobody waits for takes at most that part of the loop's time.
constexpr int kLookShare = 10;
// Of what waits, beside its bytes.
constexpr std::size_t kEntryBytes = 1024;
constexpr std::size_t kMostRefusalsWaiting = 1024;
constexpr std::size_t kMostRefusalsOfUser = 256;
constexpr std::size_t kMostHoldsWaiting = 1024;

}  // namespace

History::History(const asio::any_io_executor& loop, HistorySettings settings,
                 const std::filesystem::path& directory, BroadcastId first_id, Log& log)
    : loop_(loop),
      settings_(settings),
      log_(log),
      store_(std::make_shared<HistoryStore>(directory, settings, first_id,
                                            [] { return broker::Clock().now().unix_ms; })),
      flush_timer_(loop),
      look_timer_(loop),
      worker_(loop) {}

History::~History() = default;

void History::serve(broker::BrokerServer& server, Encode encode) {
  server_ = &server;
  encode_ = std::move(encode);
  if (!settings_.enabled) return;
  // Whoever waits for the loop comes first. Where that is not allowed, nothing changes.
  (void)worker_.run(
      [] { (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness); });
  hand_over(false, true);  // opens the file
}

// --- what happens

void History::on_event(const Event& event) {
  if (!settings_.enabled || is_stopped_) return;
  switch (event.kind) {
    case Event::Kind::kBroadcastStarted:
      return started(event);
    case Event::Kind::kPeerRefused:
      return refused(event);
    case Event::Kind::kVerifying:
      return look_at(event.broadcast_id, Clock::now());
    case Event::Kind::kHoldViolated:
    case Event::Kind::kHoldEnded:
      if (!has_report(event.broadcast_id)) return hold_changed(event);
      return look_at(event.broadcast_id, Clock::now() + kChanged);
    case Event::Kind::kLateAnswer:
    case Event::Kind::kHoldStarted:
      return look_at(event.broadcast_id, Clock::now() + kChanged);
    default:
      return;
  }
}

void History::started(const Event& event) {
  const auto found = std::as_const(server_->core()).report(event.broadcast_id, server_->now());
  const auto* rows = std::get_if<core::BroadcastRows>(&found);
  if (rows == nullptr) return;
  const BroadcastId id = event.broadcast_id;
  running_[id] = {event.targets, kNextLook};
  Waiting waiting;
  waiting.record.payload = std::make_shared<const std::string>(
      wire::payload_of_report(wire::report_of_head(rows->head())));
  waiting.record.targets = event.targets;
  waiting.record.skipped_dead = event.skipped_dead;
  if (event.asked_by) waiting.uid = event.asked_by->uid;
  put(id, std::move(waiting));
  look_at(id, Clock::now() + kFirstLook);
}

void History::ended(BroadcastId id, Payload payload) {
  if (!settings_.enabled || is_stopped_) return;
  const auto known = running_.find(id);
  const bool is_large = known == running_.end() || known->second.targets > kFew;
  if (known != running_.end()) running_.erase(known);
  forget_look(id);
  if (payload == nullptr && is_large) return look_at(id, kHasEnded);
  if (payload == nullptr) return encode(id, true);
  Waiting waiting;
  waiting.record.payload = std::move(payload);
  put(id, std::move(waiting));
}

bool History::has_report(BroadcastId id) const {
  const auto found = std::as_const(server_->core()).report(id, server_->now());
  return std::holds_alternative<core::BroadcastRows>(found);
}

void History::hold_changed(const Event& event) {
  if (waiting_.holds.size() >= kMostHoldsWaiting) return count_missing();
  HoldState change;
  if (event.kind == Event::Kind::kHoldEnded) {
    for (const HoldEnd why : {HoldEnd::kCompleted, HoldEnd::kAbandoned, HoldEnd::kExpired,
                              HoldEnd::kResumed, HoldEnd::kWhileAway}) {
      if (to_string(why) == event.detail) change.ended = why;
    }
    change.ended_unix_ms = event.unix_ms;
  } else {
    const auto hold = std::as_const(server_->core()).hold(event.broadcast_id);
    if (!hold || hold->state.violations.empty()) return;
    change.violations = {hold->state.violations.back()};
  }
  waiting_.holds.emplace_back(event.broadcast_id, std::move(change));
  flush_later(kTogether);
}

void History::refused(const Event& event) {
  std::string key = event.key ? event.key->to_string() : std::string();
  RefusalKey same{event.uid, event.pid, key, event.detail};
  if (const auto known = waiting_.refusals.find(same); known != waiting_.refusals.end()) {
    ++known->second.times;
    known->second.last_unix_ms = event.unix_ms;
    return;
  }
  const auto of_user =
      std::count_if(waiting_.refusals.begin(), waiting_.refusals.end(),
                    [&](const auto& refusal) { return std::get<0>(refusal.first) == event.uid; });
  if (waiting_.refusals.size() >= kMostRefusalsWaiting ||
      static_cast<std::size_t>(of_user) >= kMostRefusalsOfUser) {
    return count_missing();
  }
  HistoryRefusal refusal;
  refusal.first_unix_ms = refusal.last_unix_ms = event.unix_ms;
  refusal.uid = event.uid;
  refusal.pid = event.pid;
  if (event.pid > 0) refusal.command = escape_bytes(os::command_of(event.pid));
  refusal.key = std::move(key);
  refusal.why = event.detail;
  waiting_.refusals.emplace(std::move(same), std::move(refusal));
  flush_later(kTogether);
}

// --- what is encoded again

void History::look_at(BroadcastId id, Time at) {
  const auto [known, is_new] = looks_.try_emplace(id, at);
  if (!is_new) {
    if (known->second <= at) return;
    look_order_.erase({known->second, id});
    known->second = at;
  }
  look_order_.emplace(at, id);
  arm_look();
}

void History::forget_look(BroadcastId id) {
  const auto known = looks_.find(id);
  if (known == looks_.end()) return;
  look_order_.erase({known->second, id});
  looks_.erase(known);
}

void History::arm_look() {
  if (is_stopped_ || look_order_.empty()) return;
  const Time first = look_order_.begin()->first;
  // What has ended comes at once: its report may be dropped for others.
  const Time at = first == kHasEnded ? Clock::now() : std::max(first, no_look_before_);
  if (is_look_armed_ && look_timer_.expiry() <= at) return;
  is_look_armed_ = true;
  look_timer_.expires_at(at);
  look_timer_.async_wait([this, alive = std::weak_ptr<int>(alive_)](std::error_code error) {
    if (error || alive.expired() || is_stopped_) return;
    is_look_armed_ = false;
    try {
      look();
    } catch (const std::exception&) {  // no memory: the next one may have some
      count_missing();
    }
    arm_look();
  });
}

// One in a turn of the loop.
void History::look() {
  if (look_order_.empty()) return;
  const auto [due, id] = *look_order_.begin();
  forget_look(id);
  const Time begin = Clock::now();
  if (const auto runs = running_.find(id); runs != running_.end()) {
    look_at(id, begin + runs->second.wait);
    runs->second.wait = std::min(2 * runs->second.wait, kLongestLook);
  }
  encode(id, due == kHasEnded);
  const Time end = Clock::now();
  no_look_before_ = end + kLookShare * (end - begin);
}

void History::encode(BroadcastId id, bool has_ended) {
  Waiting waiting;
  waiting.record.payload = encode_(id);
  if (waiting.record.payload != nullptr) return put(id, std::move(waiting));
  if (has_ended) drop(id);  // the core dropped its report already
}

// --- the queue

std::size_t History::share_of(std::optional<uid_t> uid) const {
  return !uid || core::is_privileged(*uid) ? kMostBytes : kMostBytes / 2;
}

void History::release(const Waiting& waiting) {
  used_ -= waiting.bytes;
  if (!waiting.uid) return;
  const auto used = used_by_.find(*waiting.uid);
  if ((used->second -= waiting.bytes) == 0) used_by_.erase(used);
}

void History::put(BroadcastId id, Waiting waiting) {
  waiting.record.id = id;
  waiting.bytes = kEntryBytes + waiting.record.payload->size();
  if (!waiting.uid && server_ != nullptr) {
    const auto found = std::as_const(server_->core()).report(id, server_->now());
    const auto* rows = std::get_if<core::BroadcastRows>(&found);
    if (rows != nullptr && rows->head().asked_by != nullptr) {
      waiting.uid = rows->head().asked_by->uid;
    }
  }
  if (const auto before = waiting_.records.find(id); before != waiting_.records.end()) {
    release(before->second);
    waiting_.records.erase(before);
  }
  const auto of_user = waiting.uid ? used_by_.find(*waiting.uid) : used_by_.end();
  const std::size_t used_by_user = of_user == used_by_.end() ? 0 : of_user->second;
  if (used_ + waiting.bytes > kMostBytes || used_by_user + waiting.bytes > share_of(waiting.uid)) {
    return drop(id);
  }
  used_ += waiting.bytes;
  if (waiting.uid) used_by_[*waiting.uid] += waiting.bytes;
  waiting_.dropped.erase(id);
  waiting_.records.emplace(id, std::move(waiting));
  flush_later(kTogether);
}

// What stands on disk of it may say that it runs.
void History::drop(BroadcastId id) {
  constexpr std::size_t kMostDropped = 65'536;
  if (waiting_.dropped.size() < kMostDropped) waiting_.dropped.insert(id);
  count_missing();
  flush_later(kTogether);
}

void History::count_missing() {
  ++missing_;
  const Time now = Clock::now();
  if (now < tell_missing_at_) return;
  tell_missing_at_ = now + kBetweenTellings;
  log_.warning("entries are missing in the history: more waits to be written than fits",
               {{"missing", missing_ - std::exchange(told_missing_, missing_)}});
}

void History::flush_later(milliseconds wait) {
  if (is_stopped_ || is_flush_armed_) return;
  if (retry_wait_ != milliseconds::zero()) wait = std::max(wait, retry_wait_);
  is_flush_armed_ = true;
  flush_timer_.expires_after(wait);
  flush_timer_.async_wait([this, alive = std::weak_ptr<int>(alive_)](std::error_code error) {
    if (error || alive.expired() || is_stopped_) return;
    is_flush_armed_ = false;
    hand_over(false);
  });
}

void History::hand_over(bool even_if_writing, bool even_if_empty) {
  if (!settings_.enabled || (writing_ != 0 && !even_if_writing)) return;
  if (waiting_.empty() && !even_if_empty) return;
  const auto batch = std::make_shared<Batch>(std::move(waiting_));
  waiting_ = {};
  const auto result = std::make_shared<Written>();
  auto work = [batch, result, store = store_] {
    HistoryBatch all;
    for (const auto& [id, waiting] : batch->records) all.records.push_back(waiting.record);
    for (const auto& [key, refusal] : batch->refusals) all.refusals.push_back(refusal);
    all.holds = batch->holds;
    all.dropped.assign(batch->dropped.begin(), batch->dropped.end());
    try {
      store->look_after();
      store->write(all);
      result->done = true;
      for (int i = 0; i < kPruneSteps; ++i) {
        result->more_to_prune = store->prune();
        if (!result->more_to_prune) break;
      }
    } catch (const std::exception& error) {
      result->problem = error.what();
    }
    result->notes = store->take_notes();
  };
  auto done = [this, batch, result, alive = std::weak_ptr<int>(alive_)](bool /*finished*/) {
    if (!alive.expired()) written(batch, *result);
  };
  ++writing_;
  if (worker_.run(std::move(work), std::move(done))) return;
  Written refused;
  refused.problem = "its thread cannot be started, or has too much to do";
  written(batch, refused);
}

void History::written(const std::shared_ptr<Batch>& batch, const Written& result) {
  --writing_;
  tell(result.notes);
  for (const auto& [id, waiting] : batch->records) release(waiting);
  if (!result.done) {
    // What is newer counts; what does not fit any more is dropped.
    for (auto& [id, waiting] : batch->records) {
      if (!waiting_.records.contains(id) && !waiting_.dropped.contains(id)) {
        put(id, std::move(waiting));
      }
    }
    for (const BroadcastId id : batch->dropped) {
      if (!waiting_.records.contains(id)) waiting_.dropped.insert(id);
    }
    waiting_.holds.insert(waiting_.holds.begin(), batch->holds.begin(), batch->holds.end());
    for (auto& [key, refusal] : batch->refusals) {
      const auto [known, is_new] = waiting_.refusals.try_emplace(key, refusal);
      if (is_new) continue;
      known->second.times += refusal.times;
      known->second.first_unix_ms = refusal.first_unix_ms;
    }
  }
  if (result.problem.empty()) {
    if (!problem_.empty()) log_.info("the history is written again");
    problem_.clear();
    retry_wait_ = {};
  } else {
    if (problem_ != result.problem) {
      log_.error("the history cannot be written: it is tried again, and broadcasts go on",
                 {{"why", result.problem}});
    }
    problem_ = result.problem;
    retry_wait_ = std::clamp(2 * retry_wait_, kFirstRetry, kLongestRetry);
  }
  if (is_stopped_) return;
  if (result.more_to_prune && result.problem.empty()) return hand_over(false, true);
  if (!waiting_.empty()) flush_later(kTogether);
}

void History::tell(const std::vector<HistoryNote>& notes) {
  for (const HistoryNote& note : notes) {
    if (note.why.empty()) {
      log_.write(note.level, note.text);
    } else {
      log_.write(note.level, note.text, {{"why", note.why}});
    }
  }
}

void History::add_problems(std::vector<std::string>& all) const {
  if (!problem_.empty()) {
    all.push_back(
        fmt::format("the history cannot be written: {}: look at the state directory and "
                    "its file system",
                    problem_));
  }
  if (missing_ != 0) {
    all.push_back(fmt::format(
        "{} entries are missing in the history: they came faster than the disk takes them",
        missing_));
  }
}

void History::check() {
  if (!settings_.enabled || is_stopped_ || writing_ != 0) return;
  const Time now = Clock::now();
  if (now >= prune_at_) {
    prune_at_ = now + kBetweenPrunings;
    return hand_over(false, true);
  }
  if (retry_wait_ != milliseconds::zero()) return;
  // Most seconds that is all.
  const auto notes = std::make_shared<std::vector<HistoryNote>>();
  (void)worker_.run(
      [store = store_, notes] {
        try {
          store->look_after();
        } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the next write says so
        }
        *notes = store->take_notes();
      },
      [this, notes, alive = std::weak_ptr<int>(alive_)](bool) {
        if (!alive.expired()) tell(*notes);
      });
}

// --- questions

bool History::ask(uid_t user, std::function<void(HistoryStore&, Answer&)> what, Done done) {
  const auto known = questions_->of_users.find(user);
  const std::size_t of_user = known == questions_->of_users.end() ? 0 : known->second;
  if (questions_->all >= kMostQuestions || of_user >= kMostQuestionsOfUser) return false;
  hand_over(true);  // so that the answer has what came before the question
  const auto answer = std::make_shared<Answer>();
  const bool is_taken = worker_.run(
      [answer, what = std::move(what), store = store_] {
        try {
          store->look_after();
          what(*store, *answer);
        } catch (const std::exception& error) {
          answer->problem = error.what();
        }
      },
      [answer, questions = questions_, user, done = std::move(done)](bool /*finished*/) {
        --questions->all;
        if (--questions->of_users[user] == 0) questions->of_users.erase(user);
        done(std::move(*answer));
      });
  if (is_taken) {
    ++questions_->all;
    ++questions_->of_users[user];
  }
  return is_taken;
}

bool History::find(uid_t user, HistoryQuery query, Done done) {
  std::string problem;
  if (!problem_.empty()) problem = "it cannot be written: " + problem_;
  auto what = [query = std::move(query), missing = missing_, problem = std::move(problem)](
                  HistoryStore& store, Answer& answer) {
    HistoryPage page = store.find(query);
    page.missing = missing;
    page.problem = problem;
    answer.payload = wire::payload_of(page);
  };
  return ask(user, std::move(what), std::move(done));
}

bool History::report(uid_t user, BroadcastId id, Done done) {
  auto what = [id](HistoryStore& store, Answer& answer) {
    if (const auto report = store.report(id)) answer.payload = wire::payload_of_report(*report);
  };
  return ask(user, std::move(what), std::move(done));
}

// --- the end

void History::stop() {
  if (is_stopped_) return;
  // What is known now: late answers, holds that go on.
  while (settings_.enabled && server_ != nullptr && !look_order_.empty()) {
    const auto [due, id] = *look_order_.begin();
    forget_look(id);
    encode(id, due == kHasEnded);
  }
  hand_over(true);
  is_stopped_ = true;
  flush_timer_.cancel();
  look_timer_.cancel();
  server_ = nullptr;
}

bool History::close(milliseconds patience) { return worker_.close(patience); }

}  // namespace muster::daemon
