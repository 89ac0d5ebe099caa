// A history in a folder of its own, and what tests write to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "musterd/history/history_store.h"
#include "support/temp_dir.h"
#include "wire/history.h"
#include "wire/views.h"

namespace muster::daemon {

inline constexpr std::uint64_t kHour = 3'600'000;
inline constexpr std::uint64_t kToday = 1'800'000'000'000;

inline BackendOutcome history_outcome_of(const std::string& service, OutcomeKind kind) {
  BackendOutcome outcome;
  outcome.key = {Instance::shared(), service, "1.0.0", {}};
  outcome.outcome = kind;
  if (kind == OutcomeKind::kFailure) outcome.reason = BroadcastFailureReason::kRejected;
  return outcome;
}

// Finished, all acked, by uid 77001, a second ago.
inline BroadcastReport history_report(BroadcastId id) {
  BroadcastReport report(BroadcastOperation::release_handles("/cache/" + std::to_string(id)));
  report.broadcast_id = id;
  report.state = BroadcastState::kFinished;
  report.backends = {history_outcome_of("zccache", OutcomeKind::kAck)};
  report.started_unix_ms = kToday - 1000;
  report.duration = std::chrono::microseconds(1500);
  report.asked_by = Operator{77001, 4242, "musterctl"};
  return report;
}

inline HistoryRecord history_record(const BroadcastReport& report) {
  HistoryRecord record;
  record.id = report.broadcast_id;
  record.payload = std::make_shared<const std::string>(
      wire::payload_of_report(wire::message_of(report, wire::Texts::kAll)));
  return record;
}

class DaemonHistoryTest : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path file() const { return dir_ / kHistoryFileName; }

  HistoryStore& store() {
    if (!store_) {
      store_ = std::make_unique<HistoryStore>(dir_.path(), settings_, first_id_,
                                              [this] { return now_; });
    }
    return *store_;
  }
  // As a broker that ends, and another that starts.
  void restart(BroadcastId first_id) {
    store_.reset();
    first_id_ = first_id;
  }
  void write(const std::vector<BroadcastReport>& reports) {
    HistoryBatch batch;
    for (const BroadcastReport& report : reports) batch.records.push_back(history_record(report));
    store().write(batch);
  }
  void prune() {
    for (int i = 0; i < 10'000; ++i) {
      if (!store().prune()) return;
    }
    ADD_FAILURE() << "it prunes for ever";
  }
  // The ids, the newest first.
  std::string ids(const HistoryQuery& query = {}) {
    std::string text;
    for (const HistoryEntry& entry : store().find(query).broadcasts) {
      text += (text.empty() ? "" : " ") + std::to_string(entry.id);
    }
    return text;
  }
  std::string notes() {
    std::string text;
    for (const HistoryNote& note : store().take_notes()) text += note.text + '\n';
    return text;
  }

  test::TempDir dir_;
  HistorySettings settings_;
  BroadcastId first_id_ = 1;
  std::uint64_t now_ = kToday;
  std::unique_ptr<HistoryStore> store_;
};

}  // namespace muster::daemon
