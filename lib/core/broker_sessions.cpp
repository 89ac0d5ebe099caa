// Connections of the backend lane: who may say what when.
#include <algorithm>
#include <utility>

#include "muster/path.h"

#include "core/broker_state.h"

namespace muster::core {
namespace {

// A backend that is refused tries again: nothing tells it when the reason is gone.
constexpr std::chrono::seconds kTakenKeyRetry{5};
constexpr std::chrono::milliseconds kShortestIdleTimeout = std::chrono::seconds(1);

}  // namespace

std::string mark_of(const ProcessId& process) {
  if (process.pid != 0) return '~' + std::to_string(process.pid);
  return "~i" + std::to_string(process.unique);
}

using Phase = Session::Phase;

Session* Broker::State::find(ConnectionId connection) noexcept {
  if (connection.slot >= sessions.size()) return nullptr;
  auto& session = sessions[connection.slot];
  const bool known = session.phase != Phase::kFree && session.generation == connection.generation;
  return known ? &session : nullptr;
}

void Broker::State::release(ConnectionId connection) {
  Session released;
  if (auto* session = find(connection)) {
    disarm(session->register_deadline);
    released = std::exchange(*session, Session{});
  }
  shell.release(connection);
  uncount(released);
}

void Broker::State::refuse(ConnectionId connection, std::uint64_t request_id,
                           const Refusal& refusal, Now now, std::string_view why,
                           std::optional<EntryId> watched_for) {
  auto& session = *find(connection);
  const bool answers_a_request = session.phase == Phase::kNew;
  ++counters.refusals;
  if (refusal.code == RefusalCode::kQuota) ++counters.over_quota;
  // Without memory it ends without last words.
  unless_out_of_memory([&] { shell.refuse(connection, request_id, refusal, answers_a_request); });
  const Session refused_one = session;
  if (answers_a_request && watched_for) {
    disarm(session.register_deadline);
    session.phase = *watched_for == Registry::kNone ? Phase::kTurnedAway : Phase::kLost;
    session.entry = *watched_for;
    shell.hang_up(connection);
    uncount(session);
  } else if (answers_a_request) {
    release(connection);
  }
  tell_refused(refused_one, refusal.reason, why, now);
}

bool Broker::connection_opened(ConnectionId connection, const Peer& peer, Now now) {
  auto& state = *state_;
  ++state.counters.connections_accepted;
  if (connection.slot >= state.sessions.size()) state.sessions.resize(connection.slot + 1);
  auto& session = state.sessions[connection.slot];
  session = Session{};
  session.phase = Phase::kNew;
  session.generation = connection.generation;
  session.peer = peer;
  try {
    if (state.shutting_down) {
      state.refuse(
          connection, 0,
          {RefusalCode::kShuttingDown, "the broker is shutting down", std::chrono::seconds(1)},
          now);
      return false;
    }
    if (!state.admits(connection, now)) return false;
    if (!state.has_room(connection, now)) return false;
    Deadline deadline;
    deadline.kind = Deadline::Kind::kRegister;
    deadline.connection = connection;
    session.register_deadline = state.arm(deadline, now.steady + state.config.register_timeout);
    return true;
  } catch (...) {
    state.uncount(session);
    session = Session{};
    throw;
  }
}

void Broker::registration(ConnectionId connection, std::uint64_t request_id,
                          Registration registration, Now now, ProcessFactsPtr facts,
                          std::optional<std::uint32_t> refused_before) {
  auto& state = *state_;
  auto* session = state.find(connection);
  if (session == nullptr || !session->is_open()) return;
  if (session->phase == Phase::kRegistered) {
    protocol_error(connection, request_id,
                   "a second Register came on this connection; one connection is one backend", now);
    return;
  }
  if (state.shutting_down) {
    state.refuse(
        connection, request_id,
        {RefusalCode::kShuttingDown, "the broker is shutting down", std::chrono::seconds(1)}, now);
    return;
  }
  if (auto problem = registration.problem()) {
    return state.turn_away_unknown(connection, request_id,
                                   {RefusalCode::kInvalid, std::move(*problem), {}}, now);
  }
  // Also of one that policy denies: it is not one of those that may be in the way.
  const bool has_unknown = !state.refused.unknown.empty();
  if (has_unknown && refused_before) state.known_now(session->peer, refused_before);
  if (!state.admits(connection, request_id, registration.key, now)) return;
  if (has_unknown && !refused_before) state.known_now(session->peer, std::nullopt);

  // A quiesce each millisecond would only cost the broker work.
  if (registration.idle_timeout) {
    registration.idle_timeout = std::max(*registration.idle_timeout, kShortestIdleTimeout);
  }

  bool returned = false;
  bool adds = true;
  bool is_other = true;  // than the process that had the entry, as far as is known
  const BackendKey own = registration.key;
  const std::size_t asked_replica = registration.key.replica.size();
  const auto known = state.place_for(registration.key, session->peer);
  if (known != Registry::kNone && state.registry.at(known).is_registered()) {
    const auto& holder = *state.registry.at(known).enrolment;
    is_other = !holder.peer.same_process(session->peer);
    if (is_other && !state.is_unseen_of(known, session->peer.uid)) {
      const Refusal refusal{RefusalCode::kDenied,
                            registration.key.to_string() + " is registered by uid " +
                                std::to_string(holder.peer.uid) + " (pid " +
                                std::to_string(holder.peer.process.pid) +
                                "); another user can register it when that one is gone",
                            kTakenKeyRetry};
      return state.turn_away(connection, request_id, std::move(registration), std::move(facts),
                             Cause::kRefusedKey, refusal, now);
    }
    returned = true;
    adds = holder.peer.uid != session->peer.uid;  // the process has changed its user
  }
  // A process that was refused before has taken its place then.
  const EntryId unseen = state.place_of_unseen(own, session->peer);
  const bool counts_anew = unseen != Registry::kNone && !returned &&
                           state.refused_entry(own, session->peer) == Registry::kNone;
  const auto follows =
      counts_anew ? state.left_of_listed(own, session->peer.uid) : std::optional<ProcessId>();
  const EntryId replaced = counts_anew && !follows ? unseen : EntryId{Registry::kNone};
  if (adds && replaced == Registry::kNone) {
    if (const auto over = state.over_registrations(session->peer.uid)) {
      // One that is there has an entry, whatever user it has become.
      if (returned) return state.refuse(connection, request_id, *over, now);
      return state.turn_away(connection, request_id, std::move(registration), std::move(facts),
                             Cause::kRefusedQuota, *over, now);
    }
  }
  std::string shared_with;
  if (registration.key.replica.size() != asked_replica) {
    state.keys_are_shared = true;
    shared_with = "another process of this user has the same key: this one is replica " +
                  registration.key.replica;
  }
  if (unseen != Registry::kNone) state.note_listed(own, session->peer, follows);
  state.disarm(session->register_deadline);
  Enrolment enrolment;
  enrolment.registration = std::move(registration);
  enrolment.peer = session->peer;
  enrolment.peer.facts = std::move(facts);
  enrolment.incarnation = ++state.last_incarnation;
  BackendState before = BackendState::kDead;
  uid_t uid_before = 0;
  if (returned) {
    before = state.registry.at(known).state;
    uid_before = state.registry.at(known).enrolment->peer.uid;
  }
  const auto in_its_place = state.refused_at(known);
  const auto id = state.registry.put(std::move(enrolment));
  if (in_its_place.who) state.replace_refused(in_its_place, id);
  // What throws from here on ends its connection, and it is seen as one that reconnects.
  if (returned) state.displace(state.registry.at(id), before);
  if (returned && adds) state.accounts.give_back(Resource::kRegistration, uid_before);
  if (adds) state.accounts.take(Resource::kRegistration, session->peer.uid);
  session->phase = Phase::kRegistered;
  session->entry = id;
  auto& entry = state.registry.at(id);
  entry.connection = connection;
  entry.since_unix_ms = now.unix_ms;
  entry.last_activity = now.steady;
  ++state.counters.registrations;

  Registered registered;
  registered.incarnation = entry.enrolment->incarnation;
  registered.broker_version = state.config.broker_version;
  registered.protocol = kProtocolVersion;
  registered.epoch = state.config.epoch;
  registered.key = entry.enrolment->key();
  registered.limits.max_body_bytes = state.config.max_body_bytes;
  registered.limits.max_ack_timeout = state.config.max_ack_timeout;
  if (is_other) entry.quiesced.clear();
  if (!state.holds.empty()) state.add_active_holds(id, registered);
  state.shell.send(connection, request_id, registered);
  if (const auto idle = entry.enrolment->registration.idle_timeout) {
    state.arm_idle(id, now.steady + *idle);
  }
  state.tell(returned ? Event::Kind::kBackendReturned : Event::Kind::kBackendRegistered,
             *entry.enrolment, now, shared_with);
  if (!state.refused.listed.empty()) state.drop_refused_of(*entry.enrolment);
  if (replaced != Registry::kNone) state.drop_unseen(replaced, Cause::kUnseen, now);
  if (entry.quiesced.ended()) state.end_quiesce(id, HoldEnd::kResumed, now);
  state.redeliver(entry, now);
}

EntryId Broker::State::place_for(BackendKey& key, const Peer& peer) const {
  const auto lives_as = [&](EntryId id) {
    return id != Registry::kNone && registry.at(id).is_registered();
  };
  const auto is_free_for_peer = [&](EntryId id) {
    if (!lives_as(id)) return true;
    const Peer& holder = registry.at(id).enrolment->peer;
    if (is_unseen_of(id, peer.uid)) return true;
    return holder.same_process(peer) || holder.uid != peer.uid;  // of another user: refused
  };
  const EntryId plain = registry.find(key);
  if (!keys_are_shared && is_free_for_peer(plain)) return plain;
  BackendKey own = key;
  if (peer.is_identified()) {
    own.replica += mark_of(peer.process);
    const EntryId shared = registry.find(own);
    const bool came_back =
        lives_as(shared) && registry.at(shared).enrolment->peer.same_process(peer);
    if (!came_back && is_free_for_peer(plain)) return plain;
    key = std::move(own);
    return shared;
  }
  if (is_free_for_peer(plain)) return plain;
  // Nothing tells whether it is one of those that are there: it is a backend of its own.
  EntryId shared = plain;
  own = free_key(key);
  shared = registry.find(own);
  key = std::move(own);
  return shared;
}

void Broker::expect(ConnectionId watch, ExpectedBackend backend, Now now) {
  auto& state = *state_;
  const auto known = state.registry.find(backend.registration.key);
  if (known != Registry::kNone) return state.shell.release(watch);  // one entry for a key
  if (watch.slot >= state.sessions.size()) state.sessions.resize(watch.slot + 1);
  const bool is_refused = is_refusal(backend.refused);
  if (is_refused && !backend.is_unseen) return state.expect_refused(watch, std::move(backend), now);
  Enrolment enrolment;
  enrolment.registration = std::move(backend.registration);
  enrolment.peer = std::move(backend.peer);
  enrolment.incarnation = ++state.last_incarnation;
  if (enrolment.key().replica.find('~') != std::string::npos) state.keys_are_shared = true;
  const uid_t uid = enrolment.peer.uid;
  const auto id = state.registry.put(std::move(enrolment));
  auto& entry = state.registry.at(id);
  entry.quiesced = std::move(backend.quiesced);
  Deadline deadline;
  deadline.kind = Deadline::Kind::kGrace;
  deadline.index = id;
  try {
    if (backend.is_unseen) {
      state.unseen[own_key(entry.enrolment->key())].entries.push_back(id);
    }
    entry.grace = state.arm(deadline, now.steady + state.config.restart_grace);
    state.accounts.take(Resource::kRegistration, uid);
  } catch (...) {
    state.disarm(entry.grace);
    state.registry.remove(id);
    throw;
  }
  auto& session = state.sessions[watch.slot];
  session = Session{};
  session.phase = Phase::kLost;
  session.generation = watch.generation;
  session.entry = id;
  session.peer = entry.enrolment->peer;
  entry.connection = watch;
  entry.state = BackendState::kReconnecting;
  entry.cause = backend.is_unseen ? Cause::kUnseen : Cause::kBrokerRestarted;
  entry.since_unix_ms = now.unix_ms;
  state.tell(Event::Kind::kBackendReconnecting, *entry.enrolment, now, to_string(entry.cause));
}

std::optional<ExpectedBackend> Broker::registered(const BackendKey& key) const {
  const auto id = state_->registry.find(key);
  if (id == Registry::kNone) return std::nullopt;
  const Entry& entry = state_->registry.at(id);
  return ExpectedBackend{entry.enrolment->registration,
                         entry.enrolment->peer,
                         entry.quiesced,
                         entry.is_refused() ? entry.cause : Cause::kNone,
                         entry.cause == Cause::kInherited,
                         entry.cause == Cause::kUnseen};
}

void Broker::activity(ConnectionId connection, Now now) {
  auto& state = *state_;
  auto* entry = state.answering(connection, "Activity", now);
  if (entry == nullptr) return;
  // The armed deadline stays: when it passes it looks at last_activity. That is one timer for each
  // idle time instead of one for each Activity.
  entry->last_activity = now.steady;
  // A backend that was quiesced as idle is not idle any more.
  if (!entry->quiesced.empty() && entry->quiesced.newest().reason == QuiesceReason::kIdleTimeout) {
    entry->quiesced.clear();
    state.shell.record_changed(entry->enrolment->key());
  }
  const auto idle = entry->enrolment->registration.idle_timeout;
  if (idle && !entry->idle.armed() && entry->state == BackendState::kLive) {
    state.arm_idle(state.find(connection)->entry, now.steady + *idle);
  }
}

void Broker::deregister(ConnectionId connection, std::uint64_t request_id, Now now) {
  auto& state = *state_;
  auto* entry = state.answering(connection, "Deregister", now);
  if (entry == nullptr) return;
  const auto id = state.find(connection)->entry;
  const auto who = entry->enrolment;
  state.disarm(entry->idle);
  // Before the last outcome of a broker that goes down.
  state.shell.send(connection, request_id, DeregisteredNotice{who->key(), who->peer.uid});
  state.fail_open(*entry, Cause::kDeregistered, now);
  state.registry.remove(id);
  state.accounts.give_back(Resource::kRegistration, who->peer.uid);
  state.release(connection);
  state.tell(Event::Kind::kBackendDeregistered, *who, now);
}

void Broker::protocol_error(ConnectionId connection, std::uint64_t request_id, std::string problem,
                            Now now) {
  auto& state = *state_;
  auto* session = state.find(connection);
  if (session == nullptr || !session->is_open()) return;
  ++state.counters.protocol_errors;
  const Refusal refusal{RefusalCode::kProtocol, std::move(problem), {}};
  if (session->phase == Phase::kNew) {
    return state.turn_away_unknown(connection, request_id, refusal, now);
  }
  const auto id = session->entry;
  state.refuse(connection, request_id, refusal, now);
  state.lose(id, Cause::kProtocolError, now);
}

Entry* Broker::State::answering(ConnectionId connection, std::string_view what, Now now) {
  auto* session = find(connection);
  if (session == nullptr || !session->is_open()) return nullptr;
  if (session->phase == Phase::kRegistered) return &registry.at(session->entry);
  ++counters.protocol_errors;
  turn_away_unknown(
      connection, 0,
      {RefusalCode::kProtocol, std::string(what) + " came before Register; register first", {}},
      now);
  return nullptr;
}

void Broker::connection_lost(ConnectionId connection, LossCause cause, Now now) {
  auto& state = *state_;
  auto* session = state.find(connection);
  if (session == nullptr) return;
  if (session->is_half_closed) return state.half_closed_ended(*session, connection, cause, now);
  if (!session->is_open()) return;
  auto why = Cause::kClosed;
  if (cause == LossCause::kSlowReader) why = Cause::kSlowReader;
  if (cause == LossCause::kUserQuota) why = Cause::kUserQuota;
  if (why != Cause::kClosed) ++state.counters.slow_readers;
  if (why == Cause::kUserQuota) ++state.counters.over_quota;
  if (session->phase == Phase::kNew) {
    state.release(connection);
    return;
  }
  const auto id = session->entry;
  // The other process let go of it, too: nobody is left who could hold anything for this backend.
  const bool is_inherited = state.registry.at(id).cause == Cause::kInherited;
  if (is_inherited && cause == LossCause::kClosed) {
    return state.die(id, Cause::kProcessExited, now);
  }
  state.lose(id, why, now, cause == LossCause::kHalfClosed);
}

}  // namespace muster::core
