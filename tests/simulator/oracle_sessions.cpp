// The oracle: who may say what, who is registered, and as what.
#include <algorithm>
#include <map>

#include "simulator/oracle.h"
#include "simulator/universe.h"

namespace muster::simulator {

void Oracle::clear() {
  sent.clear();
  told.clear();
  scans.clear();
  holds_listed.clear();
  holds_ended.clear();
  drained = false;
}

Oracle::Connection* Oracle::known(std::uint32_t connection) {
  const auto found = connections_.find(connection);
  return found == connections_.end() ? nullptr : &found->second;
}

Oracle::Backend* Oracle::by_serial(std::uint64_t serial) {
  for (auto& backend : backends_) {
    if (backend.serial == serial) return &backend;
  }
  return nullptr;
}

Oracle::Backend* Oracle::by_key(std::uint32_t key) {
  for (auto& backend : backends_) {
    if (backend.key == key) return &backend;
  }
  return nullptr;
}

void Oracle::send(std::uint32_t connection, Sent::Kind kind, std::uint64_t a, std::uint64_t b) {
  sent.push_back({connection, kind, a, b});
}

void Oracle::tell(Event::Kind kind, const Backend& who) {
  const bool gone = kind == Event::Kind::kBackendDead || kind == Event::Kind::kBackendLost ||
                    kind == Event::Kind::kBackendReconnecting;
  told.push_back({kind, 0, who.key, who.peer.process.pid, who.peer.uid,
                  gone ? Told::words(to_string(who.cause)) : 0});
}

void Oracle::release(std::uint32_t connection) {
  connections_.erase(connection);
  send(connection, Sent::Kind::kRelease);
}

// The peer is told why. If it had not registered, its connection ends; its process may be watched.
void Oracle::refuse(std::uint32_t connection, std::uint64_t request, RefusalCode code,
                    std::uint64_t watched_for) {
  auto& who = connections_.at(connection);
  ++counters.refusals;
  if (code == RefusalCode::kQuota) ++counters.over_quota;
  send(connection, Sent::Kind::kRefused, request, Sent::refusal(code, !who.registered));
  const auto key = who.registered ? by_serial(who.serial)->key : kKeys;
  told.push_back({Event::Kind::kPeerRefused, 0, key, who.peer.process.pid, who.peer.uid, 0});
  if (watched_for != 0) {
    who.registered = who.lost = true;
    who.serial = watched_for;
    send(connection, Sent::Kind::kHangUp);
  } else if (!who.registered) {
    release(connection);
  }
}

void Oracle::opened(std::uint32_t connection, const core::Peer& peer, Now now) {
  ++counters.connections_accepted;
  Connection added;
  added.peer = peer;
  added.register_by = now.steady + milliseconds(knobs_.register_timeout);
  connections_[connection] = added;
  if (shutting_down_) return refuse(connection, 0, RefusalCode::kShuttingDown);
  if (!may_connect(knobs_.policy, peer.uid)) {
    cases_.saw(Case::kMayNotConnect);
    return refuse(connection, 0, RefusalCode::kDenied);
  }
  const auto share = usage_of(peer.uid).connections;  // this one among them
  if (share.used > share.quota) {
    cases_.saw(Case::kConnectionsUsedUp);
    turn_away_unknown(connection, 0, RefusalCode::kQuota);
  }
}

void Oracle::registration(std::uint32_t connection, std::uint64_t request, const Form& form,
                          Now now) {
  auto* who = known(connection);
  if (who == nullptr || who->lost) return;
  if (who->registered) return garbage(connection, request, now);
  if (form.bad) return turn_away_unknown(connection, request, RefusalCode::kInvalid);

  if (!may_register(knobs_.policy, who->peer.uid, form.key)) {
    cases_.saw(Case::kMayNotRegister);
    // One that policy denies is not in the way, but which of the others are says it alone.
    if (form.refused_before >= 0) key_known(who->peer, form.refused_before);
    return refuse(connection, request, RefusalCode::kDenied);
  }
  key_known(who->peer, form.refused_before);
  // Rule: an idle timeout is at least 1 s.
  Form as_taken = form;
  as_taken.refused_before = -1;  // no part of what it is
  if (form.idle_timeout) as_taken.idle_timeout = std::max(*form.idle_timeout, milliseconds(1000));
  // Rule: the same process registers the same key on a second connection: the new one replaces the
  // old. Rule: a process registers a key that another living process of the same user holds: both
  // stay registered, and the newcomer's replica gets its pid. Rule: the first one is dead: replaced
  // in place. Where nothing tells a process apart from others, it is never "the same process".
  // Rule: who has the key and cannot be seen does not share it: the newcomer takes its place, in
  // its user's quota, too, and is asked what is open. That it was quiesced is not known of that
  // process.
  const auto& peer = who->peer;
  const auto lives = [](const Backend* backend) {
    return backend != nullptr && backend->is_registered();
  };
  const bool is_known = peer.process.pid != 0 || peer.process.unique != 0;
  const auto is_same = [&](const Backend* backend) {
    return is_known && backend->peer.process == peer.process;
  };
  const auto is_unseen = [&](const Backend* backend) {
    return backend != nullptr && backend->is_unseen() && backend->peer.uid == peer.uid;
  };
  std::uint32_t key = form.key;
  auto* holder = by_key(key);
  const bool shares =
      lives(holder) && !is_same(holder) && holder->peer.uid == peer.uid && !is_unseen(holder);
  if (is_known) {
    const auto with_mark = shared_key(form.key, peer.process);
    auto* other = by_key(with_mark);
    const bool came_back = lives(other) && is_same(other);
    if (came_back || shares) {
      cases_.saw(came_back ? Case::kSharedReturned : Case::kShared);
      if (peer.process.pid == 0) cases_.saw(Case::kUnseenShared);
      key = with_mark;
      holder = other;
    }
  } else if (shares) {
    cases_.saw(Case::kUnknownShared);
    auto number = last_incarnation_ + 1;
    const auto is_taken = [&](const Backend* backend) {
      return backend != nullptr && backend->state != BackendState::kDead;
    };
    while (is_taken(by_key(numbered_key(form.key, number)))) ++number;
    key = numbered_key(form.key, number);
    holder = by_key(key);
  }
  const bool same_process = lives(holder) && is_same(holder);
  const bool takes_place = !same_process && is_unseen(holder);
  if (lives(holder) && !same_process && !takes_place) {
    cases_.saw(Case::kOtherUid);
    return turn_away(connection, request, as_taken, RefusalCode::kDenied, Cause::kRefusedKey, now);
  }
  const bool is_added = !same_process && !takes_place;
  const bool was_refused = refused_of(form.key, peer) != nullptr;
  const auto* elsewhere = is_added && !was_refused ? unseen_for(form.key, peer) : nullptr;
  const auto follows =
      is_added && !was_refused ? who_follows(form.key, peer) : std::optional<Listed>();
  const std::uint64_t replaced = elsewhere == nullptr ? 0 : elsewhere->serial;
  if (is_added && replaced == 0 && is_full(usage_of(peer.uid).registrations)) {
    cases_.saw(Case::kRegistrationsUsedUp);
    return turn_away(connection, request, as_taken, RefusalCode::kQuota, Cause::kRefusedQuota, now);
  }
  if (same_process) {
    if (holder->state == BackendState::kLive) {
      cases_.saw(Case::kReplacedBySame);
      send(holder->connection, Sent::Kind::kRefused, 0,
           Sent::refusal(RefusalCode::kReplaced, false));
    }
    if (holder->state == BackendState::kReconnecting) {
      cases_.saw(holder->cause == Cause::kBrokerRestarted ? Case::kExpectedReturned
                                                          : Case::kReturned);
    }
    const auto& before = connections_.at(holder->connection);
    if (before.half_closed) cases_.saw(Case::kHalfClosedReturned);
    if (holder->is_unseen()) cases_.saw(Case::kUnseenReturned);
    if (holder->state == BackendState::kLost) cases_.saw(Case::kLostReturned);
    release(holder->connection);
  }
  if (takes_place) {
    cases_.saw(Case::kUnseenReplaced);
    release(holder->connection);
    holder->holds.clear();
    holder->resumed_away = false;
  }
  // Rule: when a process registers that was refused before, its backend takes the place of what
  // was listed of it.
  if (holder != nullptr && holder->is_refused()) {
    cases_.saw(Case::kRefusedInPlace);
    release(holder->connection);
    holder->state = BackendState::kDead;
  }
  if (const auto* listed = is_known ? refused_of(form.key, peer) : nullptr) {
    cases_.saw(Case::kRefusedRegistered);
    release(listed->connection);
    const auto serial = listed->serial;
    std::erase_if(backends_, [&](const Backend& b) { return b.serial == serial; });
    holder = by_key(key);
  }
  if (holder == nullptr) {
    backends_.emplace_back();
    holder = &backends_.back();
    holder->serial = ++last_serial_;
    holder->key = key;
  }

  who = known(connection);
  who->registered = true;
  who->serial = holder->serial;
  holder->form = as_taken;
  holder->state = BackendState::kLive;
  holder->peer = who->peer;
  holder->connection = connection;
  holder->incarnation = ++last_incarnation_;
  holder->charged_to = 0;
  holder->since_unix_ms = now.unix_ms;
  holder->cause = Cause::kNone;
  holder->last_activity = now.steady;
  holder->idle_at.reset();
  if (form.idle_timeout) holder->idle_at = now.steady + *holder->form.idle_timeout;
  ++counters.registrations;
  list_holds(*holder);
  send(connection, Sent::Kind::kRegistered, request, holder->incarnation);
  tell(is_added ? Event::Kind::kBackendRegistered : Event::Kind::kBackendReturned, *holder);
  note_listed(form.key, holder->peer, follows);

  if (holder->resumed_away) {
    cases_.saw(Case::kResumedWhileAway);
    end_quiesce(*holder);
  }
  // What it still owes is sent again, oldest first; what began while it was away, for the first
  // time.
  for (auto& [id, cast] : casts_) {
    for (auto& asked : cast.asked) {
      if (asked.serial != holder->serial || asked.outcome != OutcomeKind::kOpen) continue;
      asked.incarnation = holder->incarnation;
      asked.peer = holder->peer;
      if (takes_place) cases_.saw(Case::kUnseenReplacedWhileAsked);
      charge_enrolment(cast, *holder);
      send(connection, Sent::Kind::kOperation, id,
           static_cast<std::uint64_t>(asked.budget.count()));
      if (!asked.sent) {
        asked.sent = true;
        ++counters.operations_sent;
        continue;
      }
      ++asked.redeliveries;
      ++counters.redeliveries;
      if (cast.operation.is_preflight()) cases_.saw(Case::kPreflightRedelivered);
      tell(Event::Kind::kRedelivered, cast, asked);
    }
  }
  if (replaced != 0) {
    cases_.saw(Case::kUnseenReplaced);
    drop_unseen(replaced, Cause::kUnseen, now);
  }
}

Oracle::Backend* Oracle::speaker(std::uint32_t connection) {
  const auto* who = known(connection);
  if (who == nullptr || who->lost) return nullptr;
  if (who->registered) return by_serial(who->serial);
  ++counters.protocol_errors;
  turn_away_unknown(connection, 0, RefusalCode::kProtocol);
  return nullptr;
}

void Oracle::activity(std::uint32_t connection, Now now) {
  auto* backend = speaker(connection);
  if (backend == nullptr) return;
  backend->last_activity = now.steady;
  // Whoever was quiesced for being idle is not idle any more.
  if (!backend->holds.empty() &&
      backend->holds.back().state.reason == QuiesceReason::kIdleTimeout) {
    backend->holds.clear();
    backend->resumed_away = false;
  }
  const bool is_live = backend->state == BackendState::kLive;
  if (backend->form.idle_timeout && !backend->idle_at && is_live) {
    backend->idle_at = now.steady + *backend->form.idle_timeout;
  }
}

void Oracle::deregister(std::uint32_t connection, std::uint64_t request, Now now) {
  const auto* backend = speaker(connection);
  if (backend == nullptr) return;
  const auto serial = backend->serial;
  send(connection, Sent::Kind::kDeregistered, request);
  fail_open(serial, Cause::kDeregistered, now);
  tell(Event::Kind::kBackendDeregistered, *backend);
  release(connection);
  std::erase_if(backends_, [&](const Backend& b) { return b.serial == serial; });
}

void Oracle::garbage(std::uint32_t connection, std::uint64_t request, Now now) {
  const auto* who = known(connection);
  if (who == nullptr || who->lost) return;
  ++counters.protocol_errors;
  if (!who->registered) return turn_away_unknown(connection, request, RefusalCode::kProtocol);
  const auto serial = who->serial;
  refuse(connection, request, RefusalCode::kProtocol);
  lose(*by_serial(serial), Cause::kProtocolError, now);
}

}  // namespace muster::simulator
