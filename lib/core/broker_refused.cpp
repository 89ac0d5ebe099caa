// Processes that were refused and may be in the way: see refused.h.
#include <new>
#include <utility>

#include "core/broker_state.h"

namespace muster::core {

BackendKey own_key(BackendKey key) {
  const auto mark = key.replica.find('~');
  if (mark != std::string::npos) key.replica.resize(mark);
  return key;
}

BackendKey Broker::State::free_key(const BackendKey& key) const {
  BackendKey marked = key;
  const auto is_taken = [&](EntryId id) {
    return id != Registry::kNone && registry.at(id).state != BackendState::kDead;
  };
  for (Incarnation number = last_incarnation + 1;; ++number) {
    marked.replica = key.replica + "~n" + std::to_string(number);
    if (!is_taken(registry.find(marked))) return marked;
  }
}

void Broker::State::turn_away(ConnectionId connection, std::uint64_t request_id,
                              Registration registration, ProcessFactsPtr facts, Cause cause,
                              const Refusal& refusal, Now now) {
  Peer peer = find(connection)->peer;
  peer.facts = std::move(facts);
  EntryId listed = Registry::kNone;
  const BackendKey own = own_key(registration.key);
  const bool is_new = refused_entry(own, peer) == Registry::kNone;
  const EntryId unseen_one = is_new ? place_of_unseen(own, peer) : EntryId{Registry::kNone};
  try {
    listed = list_refused(peer, std::move(registration), cause, now);
  } catch (const std::bad_alloc&) {
    refused.miss(peer.uid);
  }
  if (listed == Registry::kNone) return refuse(connection, request_id, refusal, now);
  refuse(connection, request_id, refusal, now, {}, listed);
  Entry& entry = registry.at(listed);
  entry.connection = connection;
  const EnrolmentPtr who = entry.enrolment;
  shell.record_changed(who->key());
  tell(Event::Kind::kBackendLost, *who, now, to_string(cause));
  if (unseen_one == Registry::kNone) return;
  unless_out_of_memory([&] {
    const auto follows = left_of_listed(own, peer.uid);
    note_listed(own, peer, follows);
    if (!follows) drop_unseen(unseen_one, Cause::kUnseen, now);
  });
}

void Broker::State::turn_away_unknown(ConnectionId connection, std::uint64_t request_id,
                                      const Refusal& refusal, Now now) {
  const Peer peer = find(connection)->peer;
  bool is_watched = false;
  try {
    if (const auto known = watch_of_unknown(peer)) {
      sessions[known->slot].refusals.add(refusal.code);
    } else if (may_register_something(connection)) {
      // What nothing tells apart from others would be there a second time with each try.
      const bool has_room = refused.unknown.of_user(peer.uid) < config.max_refused;
      if (has_room && peer.is_identified()) {
        refused.unknown.add(peer, connection);
        find(connection)->refusals.add(refusal.code);
        is_watched = true;
      } else {
        refused.miss(peer.uid);
      }
    }
  } catch (const std::bad_alloc&) {
    refused.miss(peer.uid);
  }
  if (!is_watched) return refuse(connection, request_id, refusal, now);
  refuse(connection, request_id, refusal, now, {}, Registry::kNone);
}

std::optional<ConnectionId> Broker::State::watch_of_unknown(const Peer& peer) const {
  return refused.unknown.find(peer.process, [&](ConnectionId watch) {
    return sessions[watch.slot].peer.same_process(peer);
  });
}

void Broker::State::known_now(const Peer& peer, std::optional<std::uint32_t> own) {
  const auto watch = watch_of_unknown(peer);
  if (!watch) return;
  UnknownRefusals& refusals = sessions[watch->slot].refusals;
  refusals.take_off(own);
  if (refusals.empty()) drop_unknown(*watch);
}

void Broker::State::drop_unknown(ConnectionId watch) {
  refused.unknown.remove(find(watch)->peer, watch);
  release(watch);
}

bool Broker::State::misses_some_of(const Selection& selection) const {
  if (refused.knows_all()) return false;
  if (selection.empty() || !config.policy) return true;
  return refused.may_be_of(
      [&](uid_t uid) { return config.policy->might_register(uid, selection); });
}

EntryId Broker::State::list_refused(const Peer& peer, Registration registration, Cause cause,
                                    Now now) {
  const BackendKey own = own_key(registration.key);
  registration.key = own;
  const EntryId known = refused_entry(own, peer);
  if (known == Registry::kNone) {
    if (refused.listed.of_user(peer.uid) >= config.max_refused) {
      refused.miss(peer.uid);
      return Registry::kNone;
    }
    // Nothing tells processes apart that cannot be identified: one entry stands for all of a user.
    registration.key.replica +=
        peer.is_identified() ? mark_of(peer.process) : "~u" + std::to_string(peer.uid);
    const EntryId taken = registry.find(registration.key);
    const bool is_free =
        taken == Registry::kNone || registry.at(taken).state == BackendState::kDead;
    if (!is_free) registration.key = free_key(own);
  } else {
    const Entry& entry = registry.at(known);
    registration.key = entry.enrolment->key();
    // The same refusal again: its entry stays as it is.
    if (entry.cause == cause && entry.enrolment->registration == registration) {
      return Registry::kNone;
    }
  }
  const RefusedEntry before = refused_at(known);
  Enrolment enrolment;
  enrolment.registration = std::move(registration);
  enrolment.peer = peer;
  enrolment.incarnation = ++last_incarnation;
  const EntryId id = registry.put(std::move(enrolment));
  Entry& entry = registry.at(id);
  if (before.who) replace_refused(before, id);
  try {
    refused.listed.add(peer, id);
  } catch (...) {
    registry.remove(id);
    throw;
  }
  entry.state = BackendState::kLost;
  entry.cause = cause;
  entry.since_unix_ms = now.unix_ms;
  entry.quiesced.clear();
  return id;
}

EntryId Broker::State::refused_entry(const BackendKey& own, const Peer& peer) const {
  // One stands for all of a user that cannot be identified.
  const auto is_meant = [&](EntryId id) {
    const Enrolment& who = *registry.at(id).enrolment;
    const bool is_same = peer.is_identified()
                             ? who.peer.same_process(peer)
                             : !who.peer.is_identified() && who.peer.uid == peer.uid;
    return is_same && own_key(who.key()) == own;
  };
  return refused.listed.find(peer.process, is_meant).value_or(Registry::kNone);
}

Broker::State::RefusedEntry Broker::State::refused_at(EntryId id) const {
  if (id == Registry::kNone || !registry.at(id).is_refused()) return {};
  return {registry.at(id).enrolment, registry.at(id).connection};
}

void Broker::State::replace_refused(const RefusedEntry& before, EntryId id) {
  refused.listed.remove(before.who->peer, id);
  release(before.watch);
}

void Broker::State::drop_refused(EntryId id) {
  const RefusedEntry entry = refused_at(id);
  registry.remove(id);
  replace_refused(entry, id);
}

void Broker::State::drop_refused_of(const Enrolment& registered) {
  unless_out_of_memory([&] {
    const EntryId id = refused_entry(own_key(registered.key()), registered.peer);
    if (id == Registry::kNone || !registered.peer.is_identified()) return;
    const EnrolmentPtr who = registry.at(id).enrolment;
    drop_refused(id);
    shell.record_changed(who->key());
  });
}

void Broker::State::expect_refused(ConnectionId watch, ExpectedBackend backend, Now now) {
  const uid_t uid = backend.peer.uid;
  if (refused.listed.of_user(uid) >= config.max_refused) {
    refused.miss(uid);
    return shell.release(watch);
  }
  Enrolment enrolment;
  enrolment.registration = std::move(backend.registration);
  enrolment.peer = std::move(backend.peer);
  enrolment.incarnation = ++last_incarnation;
  const EntryId id = registry.put(std::move(enrolment));
  Entry& entry = registry.at(id);
  try {
    refused.listed.add(entry.enrolment->peer, id);
  } catch (...) {
    registry.remove(id);
    throw;
  }
  entry.state = BackendState::kLost;
  entry.cause = backend.refused;
  entry.since_unix_ms = now.unix_ms;
  entry.connection = watch;
  Session& session = sessions[watch.slot];
  session = Session{};
  session.phase = Session::Phase::kLost;
  session.generation = watch.generation;
  session.entry = id;
  session.peer = entry.enrolment->peer;
  tell(Event::Kind::kBackendLost, *entry.enrolment, now, to_string(entry.cause));
}

bool Broker::has_unlisted_refused() const noexcept { return !state_->refused.knows_all(); }

bool Broker::forget_refused() {
  bool had = state_->refused.forget_missed();
  for (const ConnectionId watch : state_->refused.unknown.all()) {
    state_->drop_unknown(watch);
    had = true;
  }
  return had;
}

}  // namespace muster::core
