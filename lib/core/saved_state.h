// Everything that a Broker knows, as values: nothing points to the Broker that it came from. What
// is shared (what stays true of a backend) never changes.
//
// A Broker that is made of it goes on as if nothing had happened: ids of connections and deadlines
// mean the same. Times are those of the steady clock, which goes on over an exec.
#pragma once

#include <cstdint>
#include <map>
#include <sys/types.h>
#include <vector>

#include "muster/broker_view.h"

#include "core/broadcast_log.h"
#include "core/deadlines.h"
#include "core/holds.h"
#include "core/operation_keys.h"
#include "core/refused.h"
#include "core/registry.h"
#include "core/types.h"

namespace muster::core {

struct Session {
  enum class Phase : std::uint8_t {
    kFree,
    kNew,         // must register
    kRegistered,  // live
    kLost,        // nothing comes of the socket, the process is still watched for its entry
    kTurnedAway,  // the same, without an entry: it was refused before its key was known
  };
  Phase phase = Phase::kFree;
  bool counted = false;  // in its user's account: its socket is open
  // Of one that is lost: the peer sends nothing more, but some process still has its end.
  bool is_half_closed = false;
  std::uint32_t generation = 0;
  EntryId entry = Registry::kNone;
  DeadlineId register_deadline;
  UnknownRefusals refusals;  // kTurnedAway: of its process
  Peer peer;

  // Its socket is open, and something may come from it.
  [[nodiscard]] bool is_open() const noexcept {
    return phase == Phase::kNew || phase == Phase::kRegistered;
  }

  friend bool operator==(const Session&, const Session&) = default;
};

// The backends of one key, as their processes gave it, that cannot be seen: see broker_unseen.cpp.
struct UnseenOfKey {
  struct Listed {
    uid_t uid = 0;
    ProcessId process;

    friend bool operator==(const Listed&, const Listed&) = default;
  };
  std::vector<EntryId> entries;  // some are not unseen any more
  std::vector<Listed> listed;    // who registered or was refused since: no newcomers any more

  friend bool operator==(const UnseenOfKey&, const UnseenOfKey&) = default;
};

struct SavedState {
  Registry::Saved registry;
  Deadlines::Saved deadlines;
  BroadcastLog::Saved log;
  OperationKeys keys;
  Holds holds;
  RefusedProcesses::Saved refused;
  std::map<BackendKey, UnseenOfKey> unseen;
  Counters counters;
  std::vector<Session> sessions;  // by ConnectionId::slot
  Incarnation last_incarnation = 0;
  DeadlineId expire_dead_deadline;
  DeadlineId expire_reports_deadline;
  bool keys_are_shared = false;
  bool shutting_down = false;
  bool drained = false;

  friend bool operator==(const SavedState&, const SavedState&) = default;
};

}  // namespace muster::core
