// The oracle: backends of a broker in another pid namespace, whose processes cannot be seen.
#include <algorithm>

#include "simulator/oracle.h"
#include "simulator/universe.h"

namespace muster::simulator {

// Rule: a backend that cannot be seen may run for ever, unless another process does its work: the
// next process of the same user with the same key of its own takes its place. One process takes
// one place: whoever registered or was refused before since the broker started took its place
// then, or is beside those that are left. And one that comes after another of these has left (it
// exited, deregistered or was forgotten) follows that one: it takes no place. Where nothing tells a
// process apart from others, each may be the one before.
Oracle::Backend* Oracle::unseen_for(std::uint32_t key, const core::Peer& peer) {
  if (listed_.contains({key, peer.uid, peer.process.pid, peer.process.unique})) return nullptr;
  if (left_of_listed(key, peer.uid)) return nullptr;
  for (auto& backend : backends_) {
    const bool is_it = backend.is_unseen() && own_key(backend.key) == key;
    if (is_it && backend.peer.uid == peer.uid) return &backend;
  }
  return nullptr;
}

std::optional<Oracle::Listed> Oracle::left_of_listed(std::uint32_t key, uid_t uid) const {
  for (const Listed& one : listed_) {
    const auto& [its_key, its_uid, pid, unique] = one;
    if (its_key != key || its_uid != uid || (pid == 0 && unique == 0)) continue;
    const bool is_there =
        std::any_of(backends_.begin(), backends_.end(), [&](const Backend& backend) {
          const auto& process = backend.peer.process;
          return backend.state != BackendState::kDead && own_key(backend.key) == its_key &&
                 process.pid == std::get<2>(one) && process.unique == std::get<3>(one);
        });
    if (!is_there) return one;
  }
  return std::nullopt;
}

std::optional<Oracle::Listed> Oracle::who_follows(std::uint32_t key, const core::Peer& peer) const {
  if (listed_.contains({key, peer.uid, peer.process.pid, peer.process.unique})) return std::nullopt;
  return left_of_listed(key, peer.uid);
}

void Oracle::note_listed(std::uint32_t key, const core::Peer& peer,
                         const std::optional<Listed>& follows) {
  if (follows) {
    cases_.saw(Case::kUnseenFollowed);
    listed_.erase(*follows);
  }
  listed_.insert({key, peer.uid, peer.process.pid, peer.process.unique});
}

// Rule: what it was asked it did not answer, and it may run: a failure.
void Oracle::drop_unseen(std::uint64_t serial, Cause why, Now now) {
  const auto& backend = *by_serial(serial);
  release(backend.connection);
  tell(Event::Kind::kBackendForgotten, backend);
  fail_open(serial, why, now);
  std::erase_if(backends_, [&](const Backend& b) { return b.serial == serial; });
}

// Rule: an operator who knows that they are gone says so of all at once, of those that are still
// waited for, too.
bool Oracle::forget_unseen(Now now) {
  std::vector<std::uint64_t> unseen;
  for (const auto& backend : backends_) {
    if (backend.is_unseen()) unseen.push_back(backend.serial);
  }
  for (const auto serial : unseen) drop_unseen(serial, Cause::kForgotten, now);
  cases_.saw(Case::kUnseenForgotten, unseen.size());
  return !unseen.empty();
}

bool Oracle::has_lost_unseen() const {
  return std::any_of(backends_.begin(), backends_.end(), [](const Backend& backend) {
    return backend.is_unseen() && backend.state == BackendState::kLost;
  });
}

}  // namespace muster::simulator
