#include "musterd/history/history.h"

#include <algorithm>
#include <exception>
#include <sys/resource.h>
#include <unistd.h>
#include <variant>

#include "muster/text.h"

#include "broker/broker_server.h"
#include "broker/clock.h"
#include "os/peer.h"
#include "wire/history.h"

namespace muster::daemon {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstLook{100};  // at a broadcast that runs
constexpr milliseconds kNextLook{1000};
constexpr milliseconds kLongestLook{30'000};
constexpr milliseconds kChanged{1000};  // after a late answer, and what happens to a hold
constexpr int kNiceness = 10;           // of the thread
// Encoding what nobody waits for takes at most that part of the loop's time.
constexpr int kLookShare = 10;
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
}

void History::begin(std::set<BroadcastId> holds) {
  if (!settings_.enabled) return;
  (void)worker_.run([store = store_, holds = std::move(holds)] {
    // Whoever waits for the loop comes first. Where that is not allowed, nothing changes.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
    store->holds_go_on(holds);
  });
  hand_over(false, true);
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
                              HoldEnd::kResumed, HoldEnd::kUnseen}) {
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
