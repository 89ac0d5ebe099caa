// What a broker remembers of broadcasts and refusals, also of before it restarted. Pure values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "muster/holders.h"
#include "muster/holds.h"
#include "muster/registration.h"
#include "muster/report.h"

namespace muster {

// Which entries an operator wants; the newest come first.
struct HistoryQuery {
  static constexpr std::uint32_t kDefaultLimit = 100;
  static constexpr std::uint32_t kMostLimit = 1000;
  static constexpr std::size_t kMaxUserBytes = 256;

  std::uint64_t since_unix_ms = 0;  // started then or later
  std::uint64_t until_unix_ms = 0;  // started before; 0: until now
  bool failed = false;              // only those that are failed
  std::string service;              // only those with a backend of that service; empty: any
  std::optional<uid_t> uid;         // only those that this user asked for
  std::string user;                 // the same by the name that was recorded; empty: any
  std::uint32_t limit = kDefaultLimit;
  bool own = false;       // with the broker's own quiesces of idle backends
  bool refusals = false;  // refusals, not broadcasts: since, until, uid, user and limit count

  friend bool operator==(const HistoryQuery&, const HistoryQuery&) = default;
};

struct HistoryEntry {
  BroadcastId id = 0;
  std::string operation;             // in words
  std::string path;                  // of a release
  std::optional<Operator> asked_by;  // nothing: the broker itself
  std::string user;                  // its name, where the broker knew it
  std::uint64_t started_unix_ms = 0;
  std::chrono::microseconds duration{};  // until the last outcome
  BroadcastState state = BroadcastState::kRunning;
  bool interrupted = false;   // see BroadcastReport
  std::uint32_t targets = 0;  // backends that were asked
  std::uint32_t acks = 0;
  std::uint32_t timeouts = 0;
  std::uint32_t failures = 0;
  std::uint32_t skipped_dead = 0;
  std::uint32_t late_answers = 0;
  bool backends_unknown = false;         // see BroadcastReport
  bool verify = false;                   // it was asked for
  std::optional<HolderVerdict> verdict;  // of the verification; nothing: there is none
  bool hold = false;                     // it has, or had, one
  std::optional<HoldEnd> hold_ended;     // nothing: it goes on, as far as is known
  std::uint32_t violations = 0;          // of the hold
  std::string operation_key;
  bool failed = false;  // it is over, and no yes

  friend bool operator==(const HistoryEntry&, const HistoryEntry&) = default;
};

// Refusals of one process for one reason.
struct HistoryRefusal {
  std::uint64_t first_unix_ms = 0;
  std::uint64_t last_unix_ms = 0;
  std::uint64_t times = 1;
  uid_t uid = 0;
  std::string user;  // its name, where the broker knew it
  pid_t pid = 0;
  std::string command;  // of the process, printable; empty where it could not be read
  std::string key;      // in words, where it was known
  std::string why;      // the sentence that it was refused with

  friend bool operator==(const HistoryRefusal&, const HistoryRefusal&) = default;
};

struct HistoryPage {
  std::vector<HistoryEntry> broadcasts;
  std::vector<HistoryRefusal> refusals;
  bool more = false;          // there are older ones, above the limit
  std::uint64_t missing = 0;  // that could not be written since the broker started
  std::string problem;        // why not, a sentence

  friend bool operator==(const HistoryPage&, const HistoryPage&) = default;
};

}  // namespace muster
