// The oracle: processes that were refused and may be in the way.
#include <algorithm>

#include "simulator/oracle.h"
#include "simulator/universe.h"

namespace muster::simulator {

Oracle::Backend* Oracle::refused_of(std::uint32_t key, const core::Peer& peer) {
  const bool is_known = peer.process.pid != 0 || peer.process.unique != 0;
  for (auto& backend : backends_) {
    if (!backend.is_refused() || own_key(backend.key) != key) continue;
    // Where nothing tells processes apart, one entry stands for all of the user.
    if (backend.peer.process != peer.process) continue;
    if (is_known || backend.peer.uid == peer.uid) return &backend;
  }
  return nullptr;
}

// Rule: whenever the broker knows of a process that was not asked, the status is not 0. One that
// was refused before it said who it is, and that may register something, has no name: until it
// exits or a backend of it is known, no report is complete. That is so for each reason: its user
// has too many connections, it was too slow, its Register is not valid, it broke the protocol. One
// that policy refuses, one that the broker refuses because it goes down, and one that ends its
// connection by itself do not count.
void Oracle::turn_away_unknown(std::uint32_t connection, std::uint64_t request, RefusalCode code) {
  const auto peer = connections_.at(connection).peer;
  const bool is_known = peer.process.pid != 0 || peer.process.unique != 0;
  std::int64_t of_user = 0;
  const auto count = [&](Connection& watch) {
    const bool is_limit = code == RefusalCode::kQuota || code == RefusalCode::kTooSlow;
    ++(is_limit ? watch.by_limit : watch.by_message);
  };
  for (auto& [number, other] : connections_) {
    if (!other.turned_away) continue;
    if (other.peer.uid == peer.uid) ++of_user;
    if (!is_known || other.peer.process != peer.process) continue;
    cases_.saw(Case::kTurnedAwayAgain);
    count(other);
    return refuse(connection, request, code);
  }
  if (!may_register_something(knobs_.policy, peer.uid)) return refuse(connection, request, code);
  if (!is_known || of_user >= knobs_.max_refused) {
    missed_.insert(peer.uid);
    return refuse(connection, request, code);
  }
  cases_.saw(Case::kTurnedAway);
  constexpr std::uint64_t kNobody = ~std::uint64_t{0};
  refuse(connection, request, code, kNobody);
  connections_.at(connection).turned_away = true;
  count(connections_.at(connection));
}

// Rule: a backend that is known takes away the refusals that are its own, and no others, as its
// process may have other backends. It says how many there were: those by a limit go first. One that
// does not say had each refusal by a limit, and none for what was said: what spoke wrongly may be
// another backend. While refusals are left, no report is complete.
void Oracle::key_known(const core::Peer& peer, std::int64_t refused_before) {
  if (peer.process.pid == 0 && peer.process.unique == 0) return;
  for (auto& [number, other] : connections_) {
    if (!other.turned_away || !(other.peer.process == peer.process)) continue;
    if (refused_before < 0) {
      other.by_limit = 0;
    } else {
      const auto left = std::max<std::int64_t>(refused_before - other.by_limit, 0);
      other.by_limit = std::max<std::int64_t>(other.by_limit - refused_before, 0);
      other.by_message = std::max<std::int64_t>(other.by_message - left, 0);
    }
    if (other.by_limit + other.by_message > 0) return cases_.saw(Case::kTurnedAwayStill);
    cases_.saw(Case::kTurnedAwayRegistered);
    return release(number);
  }
}

// Rule: whenever the broker knows of a process that was not asked, the status is not 0 and the
// report names it. So a process that policy lets register and that is refused is listed, beside the
// backend that has its key and never in its place: lost, until it exits, registers or is forgotten.
// Trying again changes nothing; wanting to be listed otherwise does. A user has a bounded number
// of them; that there were more is remembered until an operator says otherwise.
void Oracle::turn_away(std::uint32_t connection, std::uint64_t request, const Form& form,
                       RefusalCode code, Cause cause, Now now) {
  const auto peer = connections_.at(connection).peer;
  auto* listed = refused_of(form.key, peer);
  std::uint64_t replaced = 0;
  if (listed != nullptr && listed->form == form && listed->cause == cause) {
    cases_.saw(Case::kRefusedAgain);
    return refuse(connection, request, code);
  }
  if (listed == nullptr) {
    const auto count = std::count_if(backends_.begin(), backends_.end(), [&](const Backend& b) {
      return b.is_refused() && b.peer.uid == peer.uid;
    });
    if (count >= knobs_.max_refused) {
      cases_.saw(Case::kRefusedMissed);
      missed_.insert(peer.uid);
      return refuse(connection, request, code);
    }
    cases_.saw(Case::kRefusedListed);
    // Rule: one that is refused is listed itself, so it takes the place of one that cannot be seen.
    const auto* elsewhere = unseen_for(form.key, peer);
    replaced = elsewhere == nullptr ? 0 : elsewhere->serial;
    note_listed(form.key, peer, who_follows(form.key, peer));
    const bool is_known = peer.process.pid != 0 || peer.process.unique != 0;
    if (!is_known) cases_.saw(Case::kRefusedUnknown);
    auto key = is_known ? shared_key(form.key, peer.process) : user_key(form.key, peer.uid);
    const auto is_taken = [&](std::uint32_t one) {
      const auto* has = by_key(one);
      return has != nullptr && has->state != BackendState::kDead;
    };
    // A child still has the connection of an earlier process of that pid.
    if (is_taken(key)) {
      auto number = last_incarnation_ + 1;
      while (is_taken(numbered_key(form.key, number))) ++number;
      key = numbered_key(form.key, number);
    }
    listed = by_key(key);
    if (listed == nullptr) {
      backends_.emplace_back();
      listed = &backends_.back();
      listed->serial = ++last_serial_;
      listed->key = key;
    }
  } else {
    cases_.saw(Case::kRefusedAnew);
    release(listed->connection);
  }
  listed->form = form;
  listed->peer = peer;
  listed->state = BackendState::kLost;
  listed->cause = cause;
  listed->connection = connection;
  listed->incarnation = ++last_incarnation_;
  listed->charged_to = 0;
  listed->since_unix_ms = now.unix_ms;
  refuse(connection, request, code, listed->serial);
  tell(Event::Kind::kBackendLost, *listed);
  if (replaced == 0) return;
  cases_.saw(Case::kUnseenReplacedByRefused);
  drop_unseen(replaced, Cause::kUnseen, now);
}

}  // namespace muster::simulator
