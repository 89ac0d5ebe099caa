// One broadcast: its operation, its targets and their outcomes. No clock, no shell.
//
// Invariants: a target gets one outcome, and the first wins; once complete() it stays so. The
// targets and the skipped are in registration order.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "muster/broker_view.h"
#include "muster/report.h"

#include "core/boxed.h"
#include "core/registry.h"
#include "core/shell.h"
#include "core/types.h"

namespace muster::core {

// A row of the report, and what the core needs beside it; first what fits behind the row.
struct Target : OutcomeRow {
  bool answered = false;  // by the backend itself, in time or late
  bool sent = false;      // to some incarnation
  EntryId entry = 0;
  std::uint32_t text = kNoText;  // index in Broadcast::texts
  EnrolmentPtr who;              // the incarnation that was asked last
  DeadlineId deadline;           // armed while it is open
  SteadyTime deadline_at;

  static constexpr std::uint32_t kNoText = ~std::uint32_t{0};

  friend bool operator==(const Target&, const Target&) = default;
};

// Texts that only few targets have.
struct TargetText {
  std::string detail;
  std::string note;
  std::optional<std::uint32_t> percent;

  friend bool operator==(const TargetText&, const TargetText&) = default;
};

struct SkippedTarget {
  EnrolmentPtr who;
  Cause cause = Cause::kNone;
  EntryId entry = 0;  // while the broadcast is launched

  friend bool operator==(const SkippedTarget&, const SkippedTarget&) = default;
};

struct LateRecord {
  std::uint32_t target = 0;
  std::chrono::microseconds lateness{};
  std::optional<BroadcastFailureReason> reason;
  std::string detail;

  friend bool operator==(const LateRecord&, const LateRecord&) = default;
};

// Of a release that is verified.
struct Proof {
  Verification verification;  // none yet while its `scans` is 0
  bool is_scanning = false;   // Broker::scanned() comes
  DeadlineId again;           // armed while the next scan waits

  friend bool operator==(const Proof&, const Proof&) = default;
};

struct Broadcast {
  // What backends say is kept whole while there is little of it. Of all texts of a report that much
  // is kept; then only the beginning of each, so that no backend can crowd out what others say.
  static constexpr std::size_t kTextPool = 64 * 1024;
  static constexpr std::size_t kTextBeginning = 128;

  BroadcastId id = 0;
  BroadcastRequest request;
  SteadyTime started;
  std::uint64_t started_unix_ms = 0;
  SteadyTime ended;  // when complete
  BroadcastState state = BroadcastState::kRunning;
  bool cancelling = false;
  std::optional<Operator> asked_by;  // nothing: the broker itself
  // Of a quiesce, the same for its targets to share; null: the broker itself.
  std::shared_ptr<const Operator> quiesced_by;
  std::optional<uid_t> charged;  // in whose account it and its report count
  bool own = false;              // an idle quiesce: its report displaces no operator's
  bool id_not_durable = false;
  bool backends_unknown = false;
  bool is_held = false;  // its hold goes on: its report is kept

  std::vector<Target> targets;
  std::vector<SkippedTarget> skipped;
  std::vector<TargetText> texts;
  std::vector<LateRecord> late;
  std::size_t pool_used = 0;  // of the texts, what is over kTextBeginning
  Boxed<Proof> proof;         // where request.verify is set
  Boxed<HoldState> hold;      // of its hold, once that has ended

  // What it is charged for of what backends registered with: see BroadcastLog::charge_enrolments().
  std::size_t enrolment_bytes = 0;
  std::size_t bytes = 0;  // in all; of a report: else 0

  std::uint32_t acks = 0;
  std::uint32_t timeouts = 0;
  std::uint32_t failures = 0;

  [[nodiscard]] std::uint32_t open_count() const noexcept {
    return static_cast<std::uint32_t>(targets.size()) - acks - timeouts - failures;
  }
  // Every outcome is in. It may still be verified: see is_over(state).
  [[nodiscard]] bool complete() const noexcept { return open_count() == 0; }
  // REQUIRES: complete().
  void completed(SteadyTime when) noexcept;

  // False if the target has an outcome already. `reason` only of a failure.
  bool settle(std::uint32_t target, OutcomeKind outcome, Cause cause, SteadyTime when,
              BroadcastFailureReason reason = BroadcastFailureReason::kBackendError) noexcept;
  // When the whole ends, whatever extensions are given.
  [[nodiscard]] SteadyTime latest_end(std::chrono::milliseconds max_ack_timeout) const noexcept;
  [[nodiscard]] TargetText& text_of(std::uint32_t target);
  // Replaces `kept`, a text of this broadcast, by what there is room for of `text`. Strong.
  void keep(std::string& kept, std::string_view text);
  // The index of the target of this entry, by its place in registration order; nothing when it was
  // not asked.
  [[nodiscard]] std::optional<std::uint32_t> find(std::uint64_t order) const;
  // What is sent to a target with that budget.
  [[nodiscard]] OutgoingOperation outgoing(std::chrono::milliseconds budget) const;
  void set_budget(OutgoingOperation& outgoing, std::chrono::milliseconds budget) const;

  Broadcast* next_kept = nullptr;  // BroadcastLog's: the report that ended next

  friend bool operator==(const Broadcast&, const Broadcast&) = default;

  // Gives back what was made ready for many more: a report is kept for long, and what bounds
  // reports counts what is in them.
  void give_back_room();
};

}  // namespace muster::core
