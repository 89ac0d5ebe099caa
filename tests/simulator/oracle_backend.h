// A backend as the oracle lists it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/broker.h"

namespace muster::simulator {

using core::SteadyTime;
using std::chrono::milliseconds;

// What a backend registers with.
struct Form {
  std::uint32_t key = 0;
  std::optional<milliseconds> ack_timeout;
  std::optional<milliseconds> idle_timeout;
  bool hot = false;
  bool bad = false;
  // How many of its connections were refused before, as it says; -1: it does not say.
  std::int64_t refused_before = -1;

  friend bool operator==(const Form&, const Form&) = default;
};

// In whatever state, from its first registration until it is forgotten.
struct OracleBackend {
  Form form;
  std::uint32_t key = 0;     // as the broker lists it: another than form.key where that is shared
  std::uint64_t serial = 0;  // one for each time that a key is new
  BackendState state = BackendState::kLive;
  core::Peer peer;
  std::uint32_t connection = 0;
  Incarnation incarnation = 0;
  std::uint64_t since_unix_ms = 0;
  Cause cause = Cause::kNone;
  // The quiesces that it acked and that have not ended, the last one last.
  struct Quiesce {
    QuiescedState state;
    bool for_more = false;  // there was no room for one before it: no id ends it
  };
  std::vector<Quiesce> holds;
  bool resumed_away = false;          // all ended while it was not connected
  SteadyTime grace_at;                // reconnecting
  SteadyTime died;                    // dead
  std::uint64_t death = 0;            // counts up
  SteadyTime last_activity;           // live
  std::optional<SteadyTime> idle_at;  // when it is looked at next
  BroadcastId charged_to = 0;         // the last that was charged for what it registered with
  // What the roster says of it, when that is of another pid namespace.
  struct Record {
    core::Peer peer;
    Cause refused = Cause::kNone;
    std::int64_t place = 0;
  };
  Record record;

  [[nodiscard]] bool is_unseen() const {
    return state != BackendState::kDead && cause == Cause::kUnseen;
  }
  [[nodiscard]] bool is_refused() const {
    return state == BackendState::kLost && is_refusal(cause);
  }
  [[nodiscard]] bool is_registered() const { return state != BackendState::kDead && !is_refused(); }
};

}  // namespace muster::simulator
