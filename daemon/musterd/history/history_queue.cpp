// The queue of a History: what waits to be written, how much of it each user may have, and what
// becomes of it when the thread has tried to write it.
#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "broker/broker_server.h"
#include "core/quota.h"
#include "musterd/history/history.h"

namespace muster::daemon {
namespace {

constexpr std::chrono::milliseconds kFirstRetry{1000};
constexpr std::chrono::milliseconds kLongestRetry{30'000};
constexpr std::chrono::seconds kBetweenTellings{60};
constexpr std::chrono::seconds kBetweenPrunings{60};
constexpr int kPruneSteps = 8;  // with one batch
// Of what waits, beside its bytes.
constexpr std::size_t kEntryBytes = 1024;

}  // namespace

std::size_t History::share_of(std::optional<uid_t> uid) const {
  return !uid || core::is_privileged(*uid) ? kMostBytes : kMostBytes / 2;
}

void History::release(const Waiting& waiting) {
  used_ -= waiting.bytes;
  if (!waiting.uid) return;
  const auto used = used_by_.find(*waiting.uid);
  used->second -= waiting.bytes;
  if (used->second == 0) used_by_.erase(used);
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

void History::flush_later(std::chrono::milliseconds wait) {
  if (is_stopped_ || is_flush_armed_) return;
  if (retry_wait_ != std::chrono::milliseconds::zero()) wait = std::max(wait, retry_wait_);
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
  // Where nothing waits no write tells whether it can be written again.
  const bool has_to_try = retry_wait_ != std::chrono::milliseconds::zero() && waiting_.empty();
  if (now >= prune_at_ || has_to_try) {
    prune_at_ = now + kBetweenPrunings;
    return hand_over(false, true);
  }
  if (retry_wait_ != std::chrono::milliseconds::zero()) return;
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

}  // namespace muster::daemon
