// The messages between a backend and the broker, without their encoding. Pure values.
//
// The limits are the broker's: it refuses what is over them. The SDK keeps to them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "muster/backend_key.h"
#include "muster/holds.h"
#include "muster/operation.h"
#include "muster/result.h"
#include "muster/selector.h"

namespace muster {

// A broadcast's name: unique for the life of the host, never reused. 0 is no broadcast.
using BroadcastId = std::uint64_t;
// One connection's worth of one backend; counts up for the life of a broker. 0 is none.
using Incarnation = std::uint64_t;
using HoldId = std::uint64_t;

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kMaxDetailBytes = 1024;  // a failure's detail
inline constexpr std::size_t kMaxNoteBytes = 1024;    // a Working note
inline constexpr std::size_t kMaxLabels = 16;
inline constexpr std::size_t kMaxLabelBytes = 64;  // each name and each value
inline constexpr std::size_t kMaxSdkNameBytes = 64;
inline constexpr std::size_t kMaxOperationKeyBytes = 256;
inline constexpr std::size_t kMaxTraceBytes = 512;  // traceparent, tracestate

// --- backend to broker

struct Registration {
  BackendKey key;
  std::optional<std::chrono::milliseconds> ack_timeout;   // else the broker's default
  std::optional<std::chrono::milliseconds> idle_timeout;  // else never quiesced as idle
  Labels labels;
  std::string sdk_name;
  std::string sdk_version;
  std::uint32_t min_protocol = kProtocolVersion;
  std::uint32_t max_protocol = kProtocolVersion;
  bool can_resume = true;  // false: once quiesced it has to be restarted

  // One sentence when a field breaks its rule; nothing when all is well.
  [[nodiscard]] std::optional<std::string> problem() const;

  friend bool operator==(const Registration&, const Registration&) = default;
};

struct Ack {
  std::optional<std::uint64_t> released;  // how many handles it released, where it says

  friend bool operator==(const Ack&, const Ack&) = default;
};

struct Failure {
  BroadcastFailureReason reason = BroadcastFailureReason::kBackendError;
  std::string detail;

  friend bool operator==(const Failure&, const Failure&) = default;
};

// Asks for more time: the deadline moves to now + extend.
struct Working {
  std::chrono::milliseconds extend{};
  std::optional<std::uint32_t> percent;  // 0 to 100
  std::string note;

  friend bool operator==(const Working&, const Working&) = default;
};

// The backend did something for its users: moves its idle deadline.
struct Activity {
  friend bool operator==(const Activity&, const Activity&) = default;
};

struct Deregister {
  friend bool operator==(const Deregister&, const Deregister&) = default;
};

// --- broker to backend

struct ActiveHold {
  HoldId id = 0;
  std::string path_prefix;            // of a release; empty: backends are quiesced
  std::uint64_t expires_unix_ms = 0;  // 0: it is not known when
  std::string alias = {};             // as ReleaseHandles::alias

  friend bool operator==(const ActiveHold&, const ActiveHold&) = default;
};

struct Limits {
  std::uint32_t max_body_bytes = 0;
  std::uint32_t max_detail_bytes = kMaxDetailBytes;
  std::uint32_t max_note_bytes = kMaxNoteBytes;
  std::chrono::milliseconds max_ack_timeout{};

  friend bool operator==(const Limits&, const Limits&) = default;
};

struct Registered {
  Incarnation incarnation = 0;
  std::string broker_version;
  std::uint32_t protocol = kProtocolVersion;
  Limits limits;
  std::vector<ActiveHold> active_holds;
  // One run of the broker: what a backend remembers of it is good for one epoch. 16 bytes; empty
  // from a broker that is older than this field.
  std::string epoch;
  // As the broker lists it: the replica of a process that shares a key with another one that lives
  // ends with "~PID". Without a service name from an older broker.
  BackendKey key;

  friend bool operator==(const Registered&, const Registered&) = default;
};

enum class RefusalCode {
  kInvalid,       // a field breaks its rule; the same again will be refused again
  kProtocol,      // not the protocol: a malformed, unexpected or oversized message
  kDenied,        // policy, or the key is live for another uid
  kReplaced,      // another connection registered the same key
  kQuota,         // over a quota: try later
  kShuttingDown,  // the broker goes down: try later
  kTooSlow,       // did not register in time
};

struct Refusal {
  RefusalCode code = RefusalCode::kProtocol;
  std::string reason;                       // a sentence
  std::chrono::milliseconds retry_after{};  // 0: not said

  friend bool operator==(const Refusal&, const Refusal&) = default;
};

struct OutgoingOperation {
  BroadcastId broadcast_id = 0;
  BroadcastOperation operation = BroadcastOperation::unknown();
  std::chrono::milliseconds ack_timeout{};  // the budget of those that get this frame
  std::uint64_t deadline_unix_ms = 0;
  std::optional<HoldId> hold_id;           // stay released, or quiesced, until HoldEnded
  std::uint64_t hold_expires_unix_ms = 0;  // 0: it is not known when
  std::string traceparent;                 // W3C trace context, passed through
  std::string tracestate;

  friend bool operator==(const OutgoingOperation&, const OutgoingOperation&) = default;
};

struct HoldEnded {
  HoldId hold_id = 0;
  HoldEnd why = HoldEnd::kCompleted;

  friend bool operator==(const HoldEnded&, const HoldEnded&) = default;
};

[[nodiscard]] std::string_view to_string(RefusalCode code) noexcept;

}  // namespace muster
