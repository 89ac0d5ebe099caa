// Backends that registered with a broker in another pid or time namespace, as before the container
// of both was started anew. Their processes may run, and nothing leads to them: no pid, no pidfd.
//
// Such a backend is expected like any other, and lost when nobody comes. A container that starts
// again would keep it for ever, so the next process of the same user that registers the same key
// takes its place. Processes that shared a key had marks, which mean nothing here: each newcomer
// takes the place of one of them, once, as those that are left may run beside it. One that comes
// after another that has left follows that one, and takes no place. Where nothing tells a newcomer
// apart from others it may be the one before.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/broker_state.h"

namespace muster::core {

std::string unseen_problem(std::size_t count) {
  return std::to_string(count) +
         " backends of an earlier run cannot be seen: the broker runs in another pid namespace: "
         "they may run and are not asked; start them again, or, when you know that they are gone: "
         "musterctl forget KEY (--lost-roster: all of them)";
}

bool Broker::State::is_unseen_of(EntryId id, uid_t uid) const {
  if (id == Registry::kNone) return false;
  const Entry& entry = registry.at(id);
  return entry.enrolment != nullptr && entry.is_registered() && entry.cause == Cause::kUnseen &&
         entry.enrolment->peer.uid == uid;
}

EntryId Broker::State::find_unseen(const BackendKey& own, uid_t uid) {
  const auto known = unseen.find(own);
  if (known == unseen.end()) return Registry::kNone;
  std::vector<EntryId>& ids = known->second.entries;
  std::erase_if(ids, [&](EntryId id) {
    const Entry& entry = registry.at(id);
    return entry.enrolment == nullptr || !is_unseen_of(id, entry.enrolment->peer.uid) ||
           own_key(entry.enrolment->key()) != own;
  });
  const auto found =
      std::find_if(ids.begin(), ids.end(), [&](EntryId id) { return is_unseen_of(id, uid); });
  const EntryId id = found == ids.end() ? EntryId{Registry::kNone} : *found;
  if (ids.empty()) unseen.erase(known);
  return id;
}

EntryId Broker::State::place_of_unseen(const BackendKey& own, const Peer& peer) {
  if (unseen.empty()) return Registry::kNone;
  const EntryId id = find_unseen(own, peer.uid);
  if (id == Registry::kNone) return Registry::kNone;
  const auto& listed = unseen.at(own).listed;
  const UnseenOfKey::Listed newcomer{peer.uid, peer.process};
  const bool was_listed = std::find(listed.begin(), listed.end(), newcomer) != listed.end();
  return was_listed ? EntryId{Registry::kNone} : id;
}

std::optional<ProcessId> Broker::State::left_of_listed(const BackendKey& own, uid_t uid) const {
  std::optional<ProcessId> first;
  for (const UnseenOfKey::Listed& one : unseen.at(own).listed) {
    Peer peer;
    peer.uid = one.uid;
    peer.process = one.process;
    if (one.uid != uid || !peer.is_identified() || is_there(own, peer)) continue;
    if (!first ||
        std::pair(one.process.pid, one.process.unique) < std::pair(first->pid, first->unique)) {
      first = one.process;
    }
  }
  return first;
}

bool Broker::State::is_there(const BackendKey& own, const Peer& peer) const {
  const auto has = [&](const BackendKey& key) {
    const EntryId id = registry.find(key);
    return id != Registry::kNone && registry.at(id).state != BackendState::kDead &&
           registry.at(id).enrolment->peer.process == peer.process;
  };
  BackendKey marked = own;
  marked.replica += mark_of(peer.process);
  return has(own) || has(marked) || refused_entry(own, peer) != Registry::kNone;
}

void Broker::State::note_listed(const BackendKey& own, const Peer& peer,
                                const std::optional<ProcessId>& follows) {
  auto& listed = unseen.at(own).listed;
  if (follows) {
    std::erase(listed, UnseenOfKey::Listed{peer.uid, *follows});
  }
  listed.push_back({peer.uid, peer.process});
}

void Broker::State::drop_unseen(EntryId id, Cause cause, Now now) {
  Entry& entry = registry.at(id);
  const EnrolmentPtr who = entry.enrolment;
  fail_open(entry, cause, now);
  disarm(entry.grace);
  release(entry.connection);
  accounts.give_back(Resource::kRegistration, who->peer.uid);
  registry.remove(id);
  shell.record_changed(who->key());
  tell(Event::Kind::kBackendForgotten, *who, now,
       cause == Cause::kForgotten ? std::string_view() : "a process registered its key");
}

bool Broker::forget_unseen(Now now) {
  std::vector<EntryId> ids;
  state_->registry.for_each([&](EntryId id, const Entry& entry) {
    if (state_->is_unseen_of(id, entry.enrolment->peer.uid)) ids.push_back(id);
  });
  for (const EntryId id : ids) state_->drop_unseen(id, Cause::kForgotten, now);
  return !ids.empty();
}

}  // namespace muster::core
