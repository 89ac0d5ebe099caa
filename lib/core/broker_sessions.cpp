// Connections of the backend lane: who may say what when.
#include <utility>

#include "muster/path.h"

#include "core/broker_state.h"

namespace muster::core {

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
                           const Refusal& refusal, Now now, std::string_view why) {
  auto& session = *find(connection);
  const bool answers_a_request = session.phase == Phase::kNew;
  ++counters.refusals;
  if (refusal.code == RefusalCode::kQuota) ++counters.over_quota;
  Event event;
  event.kind = Event::Kind::kPeerRefused;
  event.unix_ms = now.unix_ms;
  event.pid = session.peer.process.pid;
  event.uid = session.peer.uid;
  event.detail = refusal.reason;
  if (!why.empty()) event.detail.append(" (").append(why).append(")");
  if (session.entry != Registry::kNone) event.key = registry.at(session.entry).enrolment->key();
  shell.refuse(connection, request_id, refusal, answers_a_request);
  if (session.phase == Phase::kNew) release(connection);
  shell.report(event);
}

QueueAccount* Broker::connection_opened(ConnectionId connection, const Peer& peer, Now now) {
  auto& state = *state_;
  ++state.counters.connections_accepted;
  if (connection.slot >= state.sessions.size()) state.sessions.resize(connection.slot + 1);
  auto& session = state.sessions[connection.slot];
  state.uncount(session);  // of one that an exception left behind
  session = Session{};
  session.phase = Phase::kNew;
  session.generation = connection.generation;
  session.peer = peer;
  if (state.shutting_down) {
    state.refuse(
        connection, 0,
        {RefusalCode::kShuttingDown, "the broker is shutting down", std::chrono::seconds(1)}, now);
    return nullptr;
  }
  if (!state.admits(connection, now)) return nullptr;
  if (!state.has_room(connection, now)) return nullptr;
  Deadline deadline;
  deadline.kind = Deadline::Kind::kRegister;
  deadline.connection = connection;
  session.register_deadline = state.arm(deadline, now.steady + state.config.register_timeout);
  return &state.accounts.queue_of(peer.uid);
}

void Broker::registration(ConnectionId connection, std::uint64_t request_id,
                          Registration registration, Now now) {
  auto& state = *state_;
  auto* session = state.find(connection);
  if (session == nullptr || session->phase == Phase::kLost) return;
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
    state.refuse(connection, request_id, {RefusalCode::kInvalid, std::move(*problem), {}}, now);
    return;
  }
  if (!state.admits(connection, request_id, registration.key, now)) return;

  bool returned = false;
  std::string displaced;
  const auto known = state.registry.find(registration.key);
  const bool dead =
      known != Registry::kNone && state.registry.at(known).state == BackendState::kDead;
  const bool adds = known == Registry::kNone || dead;
  if (adds && !state.has_room(connection, request_id, now)) return;
  if (known != Registry::kNone) {
    const auto& holder = *state.registry.at(known).enrolment;
    if (!dead && holder.peer.uid != session->peer.uid) {
      state.refuse(connection, request_id,
                   {RefusalCode::kDenied,
                    registration.key.to_string() + " is registered by uid " +
                        std::to_string(holder.peer.uid) + " (pid " +
                        std::to_string(holder.peer.process.pid) +
                        "); another user can register it when that one is gone",
                    {}},
                   now);
      return;
    }
    returned = holder.peer.same_process(session->peer);
    if (!dead && !returned) {
      displaced = "takes the place of pid " + std::to_string(holder.peer.process.pid) +
                  ", which is asked no more";
    }
    if (!dead) state.displace(known, session->peer, now);
  }

  state.disarm(session->register_deadline);
  Enrolment enrolment;
  enrolment.registration = std::move(registration);
  enrolment.peer = session->peer;
  enrolment.incarnation = ++state.last_incarnation;
  enrolment.key_on_wire = state.shell.key_on_wire(enrolment.key());
  const auto id = state.registry.put(std::move(enrolment));
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
  registered.limits.max_body_bytes = state.config.max_body_bytes;
  registered.limits.max_ack_timeout = state.config.max_ack_timeout;
  state.shell.send(connection, request_id, registered);
  if (const auto idle = entry.enrolment->registration.idle_timeout) {
    state.arm_idle(id, now.steady + *idle);
  }
  state.tell(returned ? Event::Kind::kBackendReturned : Event::Kind::kBackendRegistered,
             *entry.enrolment, now, displaced);
  state.redeliver(entry, now);
}

void Broker::activity(ConnectionId connection, Now now) {
  auto& state = *state_;
  auto* entry = state.answering(connection, "Activity", now);
  if (entry == nullptr) return;
  // The armed deadline stays: when it passes it looks at last_activity. That is one timer for each
  // idle time instead of one for each Activity.
  entry->last_activity = now.steady;
  const auto idle = entry->enrolment->registration.idle_timeout;
  if (idle && !entry->idle.armed()) {
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
  state.shell.send(connection, request_id, DeregisteredNotice{});
  state.fail_open(*entry, to_string(GoneReason::kDeregistered), now);
  state.registry.remove(id);
  state.accounts.give_back(Resource::kRegistration, who->peer.uid);
  state.release(connection);
  state.tell(Event::Kind::kBackendDeregistered, *who, now);
}

void Broker::protocol_error(ConnectionId connection, std::uint64_t request_id, std::string problem,
                            Now now) {
  auto& state = *state_;
  auto* session = state.find(connection);
  if (session == nullptr || session->phase == Phase::kLost) return;
  ++state.counters.protocol_errors;
  const auto id = session->entry;
  const bool registered = session->phase == Phase::kRegistered;
  state.refuse(connection, request_id, {RefusalCode::kProtocol, std::move(problem), {}}, now);
  if (registered) state.lose(id, GoneReason::kProtocolError, now);
}

Entry* Broker::State::answering(ConnectionId connection, std::string_view what, Now now) {
  auto* session = find(connection);
  if (session == nullptr || session->phase == Phase::kLost) return nullptr;
  if (session->phase == Phase::kRegistered) return &registry.at(session->entry);
  ++counters.protocol_errors;
  refuse(connection, 0,
         {RefusalCode::kProtocol, std::string(what) + " came before Register; register first", {}},
         now);
  return nullptr;
}

void Broker::connection_lost(ConnectionId connection, LossCause cause, Now now) {
  auto& state = *state_;
  const auto* session = state.find(connection);
  if (session == nullptr || session->phase == Phase::kLost) return;
  auto reason = GoneReason::kConnectionLost;
  if (cause == LossCause::kSlowReader) reason = GoneReason::kSlowReader;
  if (cause == LossCause::kUserQuota) reason = GoneReason::kUserQuota;
  if (reason != GoneReason::kConnectionLost) ++state.counters.slow_readers;
  if (reason == GoneReason::kUserQuota) ++state.counters.over_quota;
  if (session->phase == Phase::kNew) {
    state.release(connection);
    return;
  }
  state.lose(session->entry, reason, now);
}

void Broker::process_exited(ConnectionId connection, Now now) {
  auto& state = *state_;
  const auto* session = state.find(connection);
  if (session == nullptr) return;
  if (session->phase == Phase::kNew) {
    state.release(connection);
    return;
  }
  state.die(session->entry, GoneReason::kProcessExited, now);
}

}  // namespace muster::core
