// The output of the core: everything that it asks for goes through this interface.
//
// Two shells exist: lib/broker (Asio, sockets, timers, pidfds) and the simulator (virtual time).
//
// A shell never calls back into the core from inside one of these functions: what it finds
// meanwhile (a peer that disconnected, a queue that is full) it reports later, as an event of its
// own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <variant>
#include <vector>

#include "muster/broker_view.h"
#include "muster/registration.h"

#include "core/operation_keys.h"
#include "core/types.h"

namespace muster::core {

struct CancelNotice {};
struct DeregisteredNotice {
  BackendKey key;  // whose it was
  uid_t uid = 0;
};
using Notice = std::variant<Registered, HoldEnded, DeregisteredNotice, CancelNotice>;

// A look for who has files at or below a path in use.
struct ScanOrder {
  BroadcastId id = 0;  // of the release
  std::string path;
  std::uint64_t mount_namespace = 0;  // inode of the one that it is meant in; 0: any
  std::optional<Operator> asked_by;   // whose own processes are no holders; nothing: the broker

  friend bool operator==(const ScanOrder&, const ScanOrder&) = default;
};

class Shell {
 public:
  virtual ~Shell() = default;

  // Above every id that was ever given out on this host.
  virtual BroadcastId next_broadcast_id() = 0;
  // Whether the last id is below the mark on disk, so that no later run gives it out again.
  [[nodiscard]] virtual bool last_id_is_durable() const noexcept { return true; }
  // Whether every backend that was registered before this run is in the registry, as far as its
  // process may live. Else an answer of all is not an answer of everybody.
  [[nodiscard]] virtual bool knows_all_backends() const noexcept { return true; }
  // An operation key is in use from now on: to be kept over a restart.
  virtual void key_used(const UsedKey& /*key*/) {}

  // A quiesce of this backend began or ended, or it was refused, or is no refused one any more:
  // Broker::registered() tells what is so now. It may be asked afterwards, not in this call.
  virtual void record_changed(const BackendKey& /*key*/) noexcept {}

  // The supplementary groups of the peer, asked for when a decision needs them: they may be many,
  // and nobody keeps them.
  [[nodiscard]] virtual std::vector<gid_t> groups_of(ConnectionId /*connection*/) { return {}; }

  // Both: in order, never blocking. A connection whose queue would go over its bound is ended by
  // the shell, which then reports connection_lost() with LossCause::kSlowReader.
  // The same operation goes to many: mostly the next call has the same one again.
  virtual void send(ConnectionId connection, const OutgoingOperation& operation) = 0;
  virtual void send(ConnectionId connection, std::uint64_t request_id, const Notice& notice) = 0;
  // Called before the first of so many sends, to as many connections at most: a shell that spreads
  // sends over turns knows then how many to send in this one.
  virtual void begin_sends(std::size_t /*most*/) noexcept {}
  // Called after the last send of a broadcast: a shell that collects sends submits them now.
  virtual void flush() {}
  // A shell that spreads its sends over several turns sends the rest now.
  virtual void send_waiting() noexcept {}
  // A Refused message. `answers_a_request`: to Register, else to a registered backend.
  virtual void refuse(ConnectionId connection, std::uint64_t request_id, const Refusal& refusal,
                      bool answers_a_request) = 0;

  // Closes the socket after one last attempt to write what is queued. Nothing more is read from
  // it, but process_exited() is still reported.
  virtual void hang_up(ConnectionId connection) = 0;
  // hang_up(), and nothing more is reported of this connection; its slot may be used again.
  virtual void release(ConnectionId connection) = 0;

  // deadline_passed(id) is reported at or after `at`, unless cancelled. An id is armed once.
  virtual void arm(DeadlineId id, SteadyTime at) = 0;
  // Safe for a deadline that has passed but was not reported yet: it is not reported any more, or
  // the core ignores it.
  virtual void cancel(DeadlineId id) = 0;

  // Whether single acks are of interest (to a watcher, a progress display, a debug log). If not, no
  // kOutcome events are made for acks.
  [[nodiscard]] virtual bool wants_every_outcome() const noexcept = 0;
  // The core's state is consistent when this is called: const functions of Broker may be used in
  // it. An event is news for logs and watchers; one that there was no memory for is missing.
  virtual void report(const Event& event) = 0;

  // The broadcast has its last outcome and its report: answer the operators that wait for it.
  // Called once for each broadcast, after its last event, which may be missing. Const functions of
  // Broker may be used in it.
  virtual void ended(BroadcastId broadcast) noexcept = 0;

  // Broker::scanned() is called later, once, and also when it could not be made.
  virtual void scan(const ScanOrder& order) = 0;
  // Broker::holds_to_keep() has changed: it may be asked afterwards, not in this call.
  virtual void holds_changed() noexcept {}
  // After its last scan, if it has one: answer whoever ended it. Const functions of Broker may be
  // used in it.
  virtual void hold_ended(HoldId /*hold*/) noexcept {}

  // After Broker::shut_down(): every broadcast has ended. Called once.
  virtual void drained() = 0;
};

}  // namespace muster::core
