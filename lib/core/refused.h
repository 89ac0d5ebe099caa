// Processes that were refused and may be in the way: they run, and no broadcast asks them.
//
// One whose key is known has an entry in the registry: lost, with the cause of the refusal, and
// with the mark of its process in the key, so that it is beside the backend that has the key. This
// is the index of those entries, by process and by user. A user has a bounded number of them;
// that there were more makes every answer incomplete until an operator says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <new>
#include <set>
#include <string>
#include <sys/types.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/types.h"

namespace muster::core {

class RefusedProcesses {
 public:
  using EntryNumber = std::uint32_t;  // an EntryId of the registry

  // Strong.
  void add(const Peer& peer, EntryNumber entry) {
    std::size_t& of_user = listed_[peer.uid];
    try {
      by_process_.emplace(hash(peer.process), entry);
    } catch (...) {
      if (of_user == 0) listed_.erase(peer.uid);
      throw;
    }
    ++of_user;
  }
  // REQUIRES: it was added with that peer.
  void remove(const Peer& peer, EntryNumber entry) noexcept {
    const auto [begin, end] = by_process_.equal_range(hash(peer.process));
    for (auto at = begin; at != end; ++at) {
      if (at->second != entry) continue;
      by_process_.erase(at);
      break;
    }
    const auto user = listed_.find(peer.uid);
    if (--user->second == 0) listed_.erase(user);
  }

  [[nodiscard]] bool empty() const noexcept { return by_process_.empty(); }
  [[nodiscard]] std::size_t listed(uid_t uid) const noexcept {
    const auto user = listed_.find(uid);
    return user == listed_.end() ? 0 : user->second;
  }
  // The first entry of that process, or of one with the same hash, for which `is_meant` holds.
  template <class Predicate>
  [[nodiscard]] EntryNumber find(const ProcessId& process, EntryNumber none,
                                 Predicate is_meant) const {
    const auto [begin, end] = by_process_.equal_range(hash(process));
    for (auto at = begin; at != end; ++at) {
      if (is_meant(at->second)) return at->second;
    }
    return none;
  }

  // A process of the user was refused and has no entry: there was no room for it.
  void miss(uid_t uid) noexcept {
    try {
      missed_.insert(uid);
    } catch (const std::bad_alloc&) {
      missed_somebody_ = true;
    }
  }
  [[nodiscard]] bool has_missed() const noexcept { return missed_somebody_ || !missed_.empty(); }
  // An operator knows that none of them is in the way. False: there was none.
  bool forget_missed() noexcept {
    const bool had = has_missed();
    missed_.clear();
    missed_somebody_ = false;
    return had;
  }
  // A sentence, and what to do. Empty when nobody was missed.
  [[nodiscard]] std::string problem(std::size_t most) const {
    if (!has_missed()) return {};
    std::string users;
    std::size_t named = 0;
    for (const uid_t uid : missed_) {
      if (named++ == kNamedUsers) break;
      users += (users.empty() ? "uid " : ", uid ") + std::to_string(uid);
    }
    if (missed_.size() > kNamedUsers) {
      users += " and " + std::to_string(missed_.size() - kNamedUsers) + " more users";
    }
    if (users.empty()) users = "an unknown user";
    return users + " had more refused backends than the broker lists (" + std::to_string(most) +
           " of a user): they may run and are not asked; look who uses files, then: musterctl "
           "forget --lost-roster";
  }

  struct Saved {
    std::set<uid_t> missed;
    bool missed_somebody = false;

    friend bool operator==(const Saved&, const Saved&) = default;
  };
  // Without the entries: the registry has them.
  [[nodiscard]] Saved save() const { return {missed_, missed_somebody_}; }
  void restore(Saved saved) {
    missed_ = std::move(saved.missed);
    missed_somebody_ = saved.missed_somebody;
  }

 private:
  static constexpr std::size_t kNamedUsers = 8;

  static std::uint64_t hash(const ProcessId& process) noexcept {
    return process.unique * 0x9E37'79B9'7F4A'7C15ULL ^ static_cast<std::uint64_t>(process.pid);
  }

  std::unordered_multimap<std::uint64_t, EntryNumber> by_process_;
  std::map<uid_t, std::size_t> listed_;
  std::set<uid_t> missed_;
  bool missed_somebody_ = false;  // of whom, there was no memory to say
};

}  // namespace muster::core
