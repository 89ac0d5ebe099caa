// Holds: what was released stays released, and who is quiesced stays so, until the hold ends. And
// what the kernel says of a release. Pure values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "muster/holders.h"

namespace muster {

enum class HoldEnd {
  kCompleted,  // its operator is done
  kAbandoned,  // its operator's connection ended
  kExpired,    // its time passed
  kResumed,    // of a quiesce: an operator had it resumed
  kUnseen,     // while the backend was not connected or no broker ran: when and why is not known
};
[[nodiscard]] std::string_view to_string(HoldEnd why) noexcept;

// What an operator asks for. One of the two, or both: it ends with the first.
struct HoldRequest {
  bool leased = false;                           // it ends with the operator's connection
  std::optional<std::chrono::milliseconds> ttl;  // from the last outcome; else until it is ended

  friend bool operator==(const HoldRequest&, const HoldRequest&) = default;
};

// Somebody who had no file below the path in use when the hold began, and has one now.
struct HoldViolation {
  Holder holder;
  std::uint64_t at_unix_ms = 0;  // of the scan that found it

  friend bool operator==(const HoldViolation&, const HoldViolation&) = default;
};

// How a hold stands, or how it ended.
struct HoldState {
  bool leased = false;
  bool owner_away = false;            // leased, and its operator has to come back within the grace
  std::uint64_t since_unix_ms = 0;    // the last outcome; 0: backends are being asked
  std::uint64_t expires_unix_ms = 0;  // 0: never by itself
  std::optional<HoldEnd> ended;
  std::uint64_t ended_unix_ms = 0;
  // Of a release that was verified, found by scanning again; each holder once.
  std::vector<HoldViolation> violations;
  std::uint64_t more_violations = 0;                     // above kMostViolations
  std::uint32_t scans = 0;                               // made since it began
  HolderVerdict last_verdict = HolderVerdict::kUnknown;  // of the last of them

  static constexpr std::size_t kMostViolations = 64;

  friend bool operator==(const HoldState&, const HoldState&) = default;
};

// Of a release that was verified: what the kernel said after the last outcome.
struct Verification {
  HolderScan scan;                   // the last one
  std::uint32_t scans = 0;           // how many were made
  std::chrono::microseconds took{};  // from the last outcome to the end of the last scan

  friend bool operator==(const Verification&, const Verification&) = default;
};

}  // namespace muster
