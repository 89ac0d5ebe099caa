// The oracle: who may say what, who is live, lost or dead.
#include <algorithm>
#include <map>

#include "simulator/shadow.h"
#include "simulator/universe.h"
#include "simulator/violation.h"

namespace muster::simulator {

void Shadow::clear() {
  sent.clear();
  told.clear();
  drained = false;
}

Shadow::Connection* Shadow::known(std::uint32_t connection) {
  const auto found = connections_.find(connection);
  return found == connections_.end() ? nullptr : &found->second;
}

Shadow::Backend* Shadow::by_serial(std::uint64_t serial) {
  for (auto& backend : backends_) {
    if (backend.serial == serial) return &backend;
  }
  return nullptr;
}

Shadow::Backend* Shadow::by_key(std::uint32_t key) {
  for (auto& backend : backends_) {
    if (backend.form.key == key) return &backend;
  }
  return nullptr;
}

void Shadow::send(std::uint32_t connection, Sent::Kind kind, std::uint64_t a, std::uint64_t b) {
  sent.push_back({connection, kind, a, b});
}

void Shadow::tell(Event::Kind kind, const Backend& who) {
  const bool gone = kind == Event::Kind::kBackendDead || kind == Event::Kind::kBackendReconnecting;
  told.push_back({kind, 0, who.form.key, who.peer.process.pid, who.peer.uid,
                  gone ? Told::words(who.gone) : 0});
}

void Shadow::release(std::uint32_t connection) {
  connections_.erase(connection);
  send(connection, Sent::Kind::kRelease);
}

// The peer is told why. One that did not register yet is then gone.
void Shadow::refuse(std::uint32_t connection, std::uint64_t request, RefusalCode code) {
  const auto& who = connections_.at(connection);
  ++counters.refusals;
  if (code == RefusalCode::kQuota) ++counters.over_quota;
  send(connection, Sent::Kind::kRefused, request, Sent::refusal(code, !who.registered));
  const auto key = who.registered ? by_serial(who.serial)->form.key : kKeys;
  told.push_back({Event::Kind::kPeerRefused, 0, key, who.peer.process.pid, who.peer.uid, 0});
  if (!who.registered) release(connection);
}

void Shadow::opened(std::uint32_t connection, const core::Peer& peer, Now now) {
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
    refuse(connection, 0, RefusalCode::kQuota);
  }
}

void Shadow::registration(std::uint32_t connection, std::uint64_t request, const Form& form,
                          Now now) {
  auto* who = known(connection);
  if (who == nullptr || who->lost) return;
  if (who->registered) return garbage(connection, request, now);
  if (form.bad) return refuse(connection, request, RefusalCode::kInvalid);

  if (!may_register(knobs_.policy, who->peer.uid, form.key)) {
    cases_.saw(Case::kMayNotRegister);
    return refuse(connection, request, RefusalCode::kDenied);
  }
  auto* holder = by_key(form.key);
  const bool is_new = holder == nullptr || holder->state == BackendState::kDead;
  if (is_new && is_full(usage_of(who->peer.uid).registrations)) {
    cases_.saw(Case::kRegistrationsUsedUp);
    return refuse(connection, request, RefusalCode::kQuota);
  }
  bool same_process = false;
  if (holder != nullptr) {
    same_process = holder->peer.uid == who->peer.uid && holder->peer.process == who->peer.process;
    const bool dead = holder->state == BackendState::kDead;
    if (!dead && holder->peer.uid != who->peer.uid) {
      cases_.saw(Case::kOtherUid);
      return refuse(connection, request, RefusalCode::kDenied);
    }
    if (holder->state == BackendState::kLive) {
      cases_.saw(same_process ? Case::kReplacedBySame : Case::kReplacedByOther);
      send(holder->connection, Sent::Kind::kRefused, 0,
           Sent::refusal(RefusalCode::kReplaced, false));
    }
    if (holder->state == BackendState::kReconnecting && same_process) {
      cases_.saw(Case::kReturned);
    }
    if (!dead) release(holder->connection);
    if (!dead && !same_process) {
      fail_open(holder->serial, "connection lost (another process registered the key)", now);
    }
  } else {
    backends_.emplace_back();
    holder = &backends_.back();
    holder->serial = ++last_serial_;
  }

  who = known(connection);
  who->registered = true;
  who->serial = holder->serial;
  holder->form = form;
  holder->state = BackendState::kLive;
  holder->peer = who->peer;
  holder->connection = connection;
  holder->incarnation = ++last_incarnation_;
  holder->since_unix_ms = now.unix_ms;
  holder->gone.clear();
  holder->last_activity = now.steady;
  holder->idle_at.reset();
  if (form.idle_timeout) holder->idle_at = now.steady + *form.idle_timeout;
  ++counters.registrations;
  send(connection, Sent::Kind::kRegistered, request, holder->incarnation);
  tell(same_process ? Event::Kind::kBackendReturned : Event::Kind::kBackendRegistered, *holder);

  // What it still owes is sent again, oldest first.
  for (auto& [id, cast] : casts_) {
    for (auto& asked : cast.asked) {
      if (asked.serial != holder->serial || asked.outcome != OutcomeKind::kOpen) continue;
      ++asked.redeliveries;
      asked.incarnation = holder->incarnation;
      ++counters.redeliveries;
      send(connection, Sent::Kind::kOperation, id,
           static_cast<std::uint64_t>(asked.budget.count()));
      tell(Event::Kind::kRedelivered, cast, asked);
    }
  }
}

Shadow::Backend* Shadow::speaker(std::uint32_t connection) {
  const auto* who = known(connection);
  if (who == nullptr || who->lost) return nullptr;
  if (who->registered) return by_serial(who->serial);
  ++counters.protocol_errors;
  refuse(connection, 0, RefusalCode::kProtocol);
  return nullptr;
}

void Shadow::activity(std::uint32_t connection, Now now) {
  auto* backend = speaker(connection);
  if (backend == nullptr) return;
  backend->last_activity = now.steady;
  if (backend->form.idle_timeout && !backend->idle_at) {
    backend->idle_at = now.steady + *backend->form.idle_timeout;
  }
}

void Shadow::deregister(std::uint32_t connection, std::uint64_t request, Now now) {
  const auto* backend = speaker(connection);
  if (backend == nullptr) return;
  const auto serial = backend->serial;
  send(connection, Sent::Kind::kDeregistered, request);
  fail_open(serial, "deregistered", now);
  tell(Event::Kind::kBackendDeregistered, *backend);
  release(connection);
  std::erase_if(backends_, [&](const Backend& b) { return b.serial == serial; });
}

void Shadow::garbage(std::uint32_t connection, std::uint64_t request, Now now) {
  const auto* who = known(connection);
  if (who == nullptr || who->lost) return;
  ++counters.protocol_errors;
  const auto serial = who->registered ? std::optional(who->serial) : std::nullopt;
  refuse(connection, request, RefusalCode::kProtocol);
  if (serial) lose(*by_serial(*serial), "connection lost (protocol error)", now);
}

void Shadow::lost(std::uint32_t connection, core::LossCause cause, Now now) {
  const auto* who = known(connection);
  if (who == nullptr || who->lost) return;
  const bool over_quota = cause == core::LossCause::kUserQuota;
  if (cause != core::LossCause::kClosed) ++counters.slow_readers;
  if (over_quota) ++counters.over_quota;
  if (over_quota) cases_.saw(Case::kQueueUsedUp);
  if (!who->registered) return release(connection);
  std::string why = "connection lost";
  if (cause == core::LossCause::kSlowReader) why += " (slow reader)";
  if (over_quota) why += " (slow reader, over its user's quota of queued bytes)";
  lose(*by_serial(who->serial), why, now);
}

void Shadow::exited(std::uint32_t connection, Now now) {
  const auto* who = known(connection);
  if (who == nullptr) return;
  if (!who->registered) return release(connection);
  die(*by_serial(who->serial), "process exited", now);
}

// Its process may come back within the grace.
void Shadow::lose(Backend& backend, const std::string& why, Now now) {
  backend.state = BackendState::kReconnecting;
  backend.gone = why;
  backend.since_unix_ms = now.unix_ms;
  backend.grace_at = now.steady + milliseconds(knobs_.grace);
  backend.idle_at.reset();
  connections_.at(backend.connection).lost = true;
  send(backend.connection, Sent::Kind::kHangUp);
  tell(Event::Kind::kBackendReconnecting, backend);
}

void Shadow::die(Backend& backend, const std::string& why, Now now) {
  backend.state = BackendState::kDead;
  backend.gone = why;
  backend.since_unix_ms = now.unix_ms;
  backend.died = now.steady;
  backend.death = ++last_death_;
  backend.idle_at.reset();
  release(backend.connection);
  tell(Event::Kind::kBackendDead, backend);
  fail_open(backend.serial, why, now);
  trim_dead(now);
}

// Over the number, the longest dead of a user who has the most goes; then all that are too old.
void Shadow::trim_dead(Now now) {
  for (;;) {
    std::map<uid_t, std::size_t> dead;
    std::size_t sum = 0;
    std::size_t most = 0;
    for (const auto& backend : backends_) {
      if (backend.state != BackendState::kDead) continue;
      ++sum;
      most = std::max(most, ++dead[backend.peer.uid]);
    }
    if (sum <= static_cast<std::size_t>(knobs_.max_dead)) break;
    const Backend* victim = nullptr;
    for (const auto& backend : backends_) {
      if (backend.state != BackendState::kDead || dead[backend.peer.uid] != most) continue;
      if (victim == nullptr || backend.death < victim->death) victim = &backend;
    }
    const auto serial = victim->serial;
    std::erase_if(backends_, [&](const Backend& b) { return b.serial == serial; });
  }
  std::erase_if(backends_, [&](const Backend& backend) {
    return backend.state == BackendState::kDead &&
           backend.died + milliseconds(knobs_.dead_age) <= now.steady;
  });
}

void Shadow::expire_dead(Now now) { trim_dead(now); }

void Shadow::register_due(std::uint32_t connection, SteadyTime at) {
  const auto* who = known(connection);
  if (who == nullptr || who->registered || who->register_by != at) {
    throw Violation("a time to register is armed that nobody has");
  }
  refuse(connection, 0, RefusalCode::kTooSlow);
}

void Shadow::grace_due(std::uint32_t key, SteadyTime at, Now now) {
  auto* backend = by_key(key);
  if (backend == nullptr || backend->state != BackendState::kReconnecting ||
      backend->grace_at != at) {
    throw Violation("a time to come back is armed that nobody has");
  }
  const auto why = backend->gone;
  die(*backend, why, now);
}

}  // namespace muster::simulator
