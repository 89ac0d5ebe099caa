// Values that many messages have, to Protobuf and back: texts, enumerations, durations, keys.
//
// to_proto() fills a fresh message; text is made UTF-8. from_proto() returns an empty string when
// all went well, else the sentence to refuse with; what it wrote by then does not count. None of
// them throws on any message. Pure functions, any thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "muster/broker_view.h"
#include "muster/registration.h"
#include "muster/report.h"
#include "muster/v1/control.pb.h"
#include "muster/v1/lifecycle.pb.h"
#include "muster/v1/report.pb.h"

namespace muster::wire {

// --- texts

// `text` as UTF-8 of at most `max_bytes`: each byte that belongs to no character becomes U+FFFD,
// and what is too long is cut at a character's beginning.
[[nodiscard]] std::string to_utf8(std::string_view text,
                                  std::size_t max_bytes = std::string_view::npos);
// Whether to_utf8() would leave it as it is.
[[nodiscard]] bool is_utf8(std::string_view text,
                           std::size_t max_bytes = std::string_view::npos) noexcept;

// Empty when `text` has at most `max_bytes`; else the sentence. `what`: "a failure's detail".
[[nodiscard]] std::string over_limit(std::string_view what, std::string_view text,
                                     std::size_t max_bytes);

// The sentence about an enum's number that means nothing here. `what`: "a failure's reason".
[[nodiscard]] std::string not_known(std::string_view what, int number);

// --- enumerations: one table each, so that a number on the wire never depends on the order of an
// enum here.

template <typename Value, typename Proto, std::size_t kSize>
using EnumTable = std::array<std::pair<Value, Proto>, kSize>;

// A value that stands in no table is one of a newer version, kept as a number that nobody knows.
template <typename Value, typename Proto, std::size_t kSize>
[[nodiscard]] constexpr Proto proto_of(const EnumTable<Value, Proto, kSize>& table,
                                       Value value) noexcept {
  for (const auto& [known, proto] : table) {
    if (known == value) return proto;
  }
  return static_cast<Proto>(static_cast<int>(value));
}

// Empty when the number stands in the table; else the sentence. `what`: "a failure's reason".
template <typename Value, typename Proto, std::size_t kSize>
[[nodiscard]] std::string value_of(const EnumTable<Value, Proto, kSize>& table,
                                   std::string_view what, Proto proto, Value& out) {
  for (const auto& [value, known] : table) {
    if (known == proto) {
      out = value;
      return {};
    }
  }
  return not_known(what, static_cast<int>(proto));
}

// For what only explains something: a number of a newer version leaves `otherwise`.
template <typename Value, typename Proto, std::size_t kSize>
[[nodiscard]] constexpr Value value_or(const EnumTable<Value, Proto, kSize>& table, Proto proto,
                                       Value otherwise) noexcept {
  for (const auto& [value, known] : table) {
    if (known == proto) return value;
  }
  return otherwise;
}

inline constexpr EnumTable<OutcomeKind, v1::BackendOutcome::Outcome, 5> kOutcomes{{
    {OutcomeKind::kOpen, v1::BackendOutcome::OPEN},
    {OutcomeKind::kAck, v1::BackendOutcome::ACK},
    {OutcomeKind::kTimeout, v1::BackendOutcome::TIMEOUT},
    {OutcomeKind::kFailure, v1::BackendOutcome::FAILURE},
    {OutcomeKind::kSkippedDead, v1::BackendOutcome::SKIPPED_DEAD},
}};

inline constexpr EnumTable<QuiesceReason, v1::Quiesce::Reason, 3> kQuiesceReasons{{
    {QuiesceReason::kIdleTimeout, v1::Quiesce::IDLE_TIMEOUT},
    {QuiesceReason::kBrokerShutdown, v1::Quiesce::BROKER_SHUTDOWN},
    {QuiesceReason::kMaintenance, v1::Quiesce::MAINTENANCE},
}};

inline constexpr EnumTable<SaidBy, v1::Statement::SaidBy, 3> kSaidBy{{
    {SaidBy::kBroker, v1::Statement::BROKER},
    {SaidBy::kBackend, v1::Statement::BACKEND},
    {SaidBy::kKernel, v1::Statement::KERNEL},
}};

inline constexpr EnumTable<Cause, v1::Statement::Cause, 18> kCauses{{
    {Cause::kNone, v1::Statement::NONE},
    {Cause::kAnswer, v1::Statement::ANSWER},
    {Cause::kAckTimeout, v1::Statement::ACK_TIMEOUT},
    {Cause::kDeadline, v1::Statement::DEADLINE},
    {Cause::kCancelled, v1::Statement::CANCELLED},
    {Cause::kProcessExited, v1::Statement::PROCESS_EXITED},
    {Cause::kClosed, v1::Statement::CLOSED},
    {Cause::kSlowReader, v1::Statement::SLOW_READER},
    {Cause::kUserQuota, v1::Statement::USER_QUOTA},
    {Cause::kProtocolError, v1::Statement::PROTOCOL_ERROR},
    {Cause::kDeregistered, v1::Statement::DEREGISTERED},
    {Cause::kBrokerRestarted, v1::Statement::BROKER_RESTARTED},
    {Cause::kForgotten, v1::Statement::FORGOTTEN},
    {Cause::kBrokerError, v1::Statement::BROKER_ERROR},
    {Cause::kInherited, v1::Statement::INHERITED},
    {Cause::kRefusedQuota, v1::Statement::REFUSED_QUOTA},
    {Cause::kRefusedKey, v1::Statement::REFUSED_KEY},
    {Cause::kUnseen, v1::Statement::UNSEEN},
}};

inline constexpr EnumTable<BroadcastState, v1::BroadcastReport::State, 4> kBroadcastStates{{
    {BroadcastState::kRunning, v1::BroadcastReport::RUNNING},
    {BroadcastState::kFinished, v1::BroadcastReport::FINISHED},
    {BroadcastState::kCancelled, v1::BroadcastReport::CANCELLED},
    {BroadcastState::kVerifying, v1::BroadcastReport::VERIFYING},
}};

inline constexpr EnumTable<Event::Kind, v1::ControlEvent::Kind, 23> kEventKinds{{
    {Event::Kind::kBackendRegistered, v1::ControlEvent::BACKEND_REGISTERED},
    {Event::Kind::kBackendReturned, v1::ControlEvent::BACKEND_RETURNED},
    {Event::Kind::kBackendReconnecting, v1::ControlEvent::BACKEND_RECONNECTING},
    {Event::Kind::kBackendDead, v1::ControlEvent::BACKEND_DEAD},
    {Event::Kind::kBackendDeregistered, v1::ControlEvent::BACKEND_DEREGISTERED},
    {Event::Kind::kPeerRefused, v1::ControlEvent::PEER_REFUSED},
    {Event::Kind::kBroadcastStarted, v1::ControlEvent::BROADCAST_STARTED},
    {Event::Kind::kOutcome, v1::ControlEvent::OUTCOME},
    {Event::Kind::kWorking, v1::ControlEvent::WORKING},
    {Event::Kind::kRedelivered, v1::ControlEvent::REDELIVERED},
    {Event::Kind::kLateAnswer, v1::ControlEvent::LATE_ANSWER},
    {Event::Kind::kDuplicateAnswer, v1::ControlEvent::DUPLICATE_ANSWER},
    {Event::Kind::kUnmatchedAnswer, v1::ControlEvent::UNMATCHED_ANSWER},
    {Event::Kind::kBroadcastFinished, v1::ControlEvent::BROADCAST_FINISHED},
    {Event::Kind::kShuttingDown, v1::ControlEvent::SHUTTING_DOWN},
    {Event::Kind::kEventsLost, v1::ControlEvent::EVENTS_LOST},
    {Event::Kind::kBackendLost, v1::ControlEvent::BACKEND_LOST},
    {Event::Kind::kBackendResumed, v1::ControlEvent::BACKEND_RESUMED},
    {Event::Kind::kBackendForgotten, v1::ControlEvent::BACKEND_FORGOTTEN},
    {Event::Kind::kVerifying, v1::ControlEvent::VERIFYING},
    {Event::Kind::kHoldStarted, v1::ControlEvent::HOLD_STARTED},
    {Event::Kind::kHoldEnded, v1::ControlEvent::HOLD_ENDED},
    {Event::Kind::kHoldViolated, v1::ControlEvent::HOLD_VIOLATED},
}};

inline constexpr EnumTable<RefusalCode, v1::Refused::Code, 7> kRefusalCodes{{
    {RefusalCode::kInvalid, v1::Refused::INVALID},
    {RefusalCode::kProtocol, v1::Refused::PROTOCOL},
    {RefusalCode::kDenied, v1::Refused::DENIED},
    {RefusalCode::kReplaced, v1::Refused::REPLACED},
    {RefusalCode::kQuota, v1::Refused::QUOTA},
    {RefusalCode::kShuttingDown, v1::Refused::SHUTTING_DOWN},
    {RefusalCode::kTooSlow, v1::Refused::TOO_SLOW},
}};

inline constexpr EnumTable<HoldEnd, v1::HoldEnded::Why, 5> kHoldEnds{{
    {HoldEnd::kCompleted, v1::HoldEnded::COMPLETED},
    {HoldEnd::kAbandoned, v1::HoldEnded::ABANDONED},
    {HoldEnd::kExpired, v1::HoldEnded::EXPIRED},
    {HoldEnd::kResumed, v1::HoldEnded::RESUMED},
    {HoldEnd::kUnseen, v1::HoldEnded::UNSEEN},
}};

inline constexpr EnumTable<HolderVerdict, v1::HolderScan::Verdict, 3> kVerdicts{{
    {HolderVerdict::kUnknown, v1::HolderScan::UNKNOWN},
    {HolderVerdict::kClear, v1::HolderScan::CLEAR},
    {HolderVerdict::kHeld, v1::HolderScan::HELD},
}};

inline constexpr std::uint32_t kMaxPercent = 100;  // of a Working

// --- durations, keys, reasons, operators

// Cut to what 32 bits hold; negative is 0.
[[nodiscard]] std::uint32_t to_ms(std::chrono::milliseconds duration) noexcept;
// Milliseconds with three decimals; negative is 0.
[[nodiscard]] double to_fractional_ms(std::chrono::microseconds duration) noexcept;
// `what` names the field in the sentence about a number that is no duration.
[[nodiscard]] std::string from_fractional_ms(std::string_view what, double ms,
                                             std::chrono::microseconds& out);

void to_proto(const BackendKey& key, v1::BackendKey& out);
[[nodiscard]] std::string from_proto(const v1::BackendKey& in, BackendKey& key);

[[nodiscard]] v1::Failure::Reason to_proto(BroadcastFailureReason reason) noexcept;
[[nodiscard]] std::string from_proto(v1::Failure::Reason in, BroadcastFailureReason& reason);
// UNSPECIFIED is none.
[[nodiscard]] std::string from_proto(v1::Failure::Reason in,
                                     std::optional<BroadcastFailureReason>& reason);

[[nodiscard]] Operator operator_of(const v1::Operator& in);
void to_proto(const Operator& who, v1::Operator& out);

}  // namespace muster::wire
