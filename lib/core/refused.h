// Processes that were refused and may be in the way: they run, and no broadcast asks them.
//
// One whose key is known has an entry in the registry: lost, with the cause of the refusal, and
// with the mark of its process in the key, so that it is beside the backend that has the key. One
// whose key is not known is watched, and makes every answer incomplete, until it exits or the
// backends of which connections were refused are known. This is the index of both, by process and
// by user. A user has a bounded number of each; that there were more makes every answer incomplete
// until an operator says otherwise.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <sys/types.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include "muster/registration.h"

#include "core/types.h"

namespace muster::core {

// What stands for processes, found by process, and counted by user.
template <class Value>
class ProcessIndex {
 public:
  // Strong.
  void add(const Peer& peer, Value value) {
    std::size_t& of_user = of_users_[peer.uid];
    try {
      by_process_.emplace(hash(peer.process), value);
    } catch (...) {
      if (of_user == 0) of_users_.erase(peer.uid);
      throw;
    }
    ++of_user;
  }
  // Nothing happens when it was not added with that peer.
  void remove(const Peer& peer, Value value) noexcept {
    const auto [begin, end] = by_process_.equal_range(hash(peer.process));
    for (auto at = begin; at != end; ++at) {
      if (at->second != value) continue;
      by_process_.erase(at);
      const auto user = of_users_.find(peer.uid);
      if (--user->second == 0) of_users_.erase(user);
      return;
    }
  }
  // The first of that process, or of one with the same hash, for which `is_meant` holds.
  template <class Predicate>
  [[nodiscard]] std::optional<Value> find(const ProcessId& process, Predicate is_meant) const {
    const auto [begin, end] = by_process_.equal_range(hash(process));
    for (auto at = begin; at != end; ++at) {
      if (is_meant(at->second)) return at->second;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::vector<Value> all() const {
    std::vector<Value> all;
    for (const auto& [process, value] : by_process_) all.push_back(value);
    return all;
  }
  [[nodiscard]] bool empty() const noexcept { return by_process_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return by_process_.size(); }
  [[nodiscard]] std::size_t of_user(uid_t uid) const noexcept {
    const auto user = of_users_.find(uid);
    return user == of_users_.end() ? 0 : user->second;
  }
  // How many each user has, who has any.
  [[nodiscard]] const std::map<uid_t, std::size_t>& users() const noexcept { return of_users_; }

 private:
  static std::uint64_t hash(const ProcessId& process) noexcept {
    return process.unique * 0x9E37'79B9'7F4A'7C15ULL ^ static_cast<std::uint64_t>(process.pid);
  }

  std::unordered_multimap<std::uint64_t, Value> by_process_;
  std::map<uid_t, std::size_t> of_users_;
};

// How many connections of a process were refused before the broker knew whose they were.
//
// A process may have several backends, and each of them only knows of its own connections. What one
// of them says is its own is taken off. One that does not say may have met each limit, as it tries
// again until it is registered; but what spoke wrongly and what registers may be two backends.
struct UnknownRefusals {
  std::uint32_t by_limit = 0;    // too many connections, or it did not register in time
  std::uint32_t by_message = 0;  // its Register was not valid, or it broke the protocol

  void add(RefusalCode code) noexcept {
    const bool is_limit = code == RefusalCode::kQuota || code == RefusalCode::kTooSlow;
    std::uint32_t& count = is_limit ? by_limit : by_message;
    if (count != std::numeric_limits<std::uint32_t>::max()) ++count;
  }
  // `own`: those of the backend that is known now; nothing: it does not say.
  void take_off(std::optional<std::uint32_t> own) noexcept {
    const std::uint32_t limits = std::min(own.value_or(by_limit), by_limit);
    by_limit -= limits;
    if (own) by_message -= std::min(*own - limits, by_message);
  }
  [[nodiscard]] bool empty() const noexcept { return by_limit == 0 && by_message == 0; }

  friend bool operator==(const UnknownRefusals&, const UnknownRefusals&) = default;
};

class RefusedProcesses {
 public:
  using EntryNumber = std::uint32_t;  // an EntryId of the registry

  ProcessIndex<EntryNumber> listed;    // by their entries
  ProcessIndex<ConnectionId> unknown;  // by the connections that watch them: without a key

  [[nodiscard]] bool empty() const noexcept { return listed.empty() && unknown.empty(); }

  // A process of the user was refused and has no entry: there was no room for it.
  void miss(uid_t uid) noexcept {
    try {
      missed_.insert(uid);
    } catch (const std::bad_alloc&) {
      missed_somebody_ = true;
    }
  }
  [[nodiscard]] bool has_missed() const noexcept { return missed_somebody_ || !missed_.empty(); }
  // Whether all that may be in the way have entries.
  [[nodiscard]] bool knows_all() const noexcept { return !has_missed() && unknown.empty(); }
  // Whether one that has no entry may be of a user of whom `is_meant`, which is asked of a few:
  // where there are more users, it may.
  template <class Predicate>
  [[nodiscard]] bool may_be_of(Predicate is_meant) const {
    if (missed_somebody_ || missed_.size() + unknown.users().size() > kMostUsersAsked) return true;
    return std::any_of(missed_.begin(), missed_.end(), is_meant) ||
           std::any_of(unknown.users().begin(), unknown.users().end(),
                       [&](const auto& user) { return is_meant(user.first); });
  }
  // An operator knows that none of them is in the way. False: there was none.
  bool forget_missed() noexcept {
    const bool had = has_missed();
    missed_.clear();
    missed_somebody_ = false;
    return had;
  }
  // Sentences, with what to do.
  void add_problems(std::vector<std::string>& all, std::size_t most) const {
    if (has_missed()) {
      std::string users;
      for (const uid_t uid : missed_) name_user(users, uid);
      if (users.empty()) users = "an unknown user";
      all.push_back(users + " had more refused backends than the broker lists (" +
                    std::to_string(most) +
                    " of a user): they may run and are not asked; look who uses files, then: "
                    "musterctl forget --lost-roster");
    }
    if (!unknown.empty()) {
      std::string users;
      for (const auto& [uid, count] : unknown.users()) name_user(users, uid);
      all.push_back(
          "processes (" + std::to_string(unknown.size()) + " of " + users +
          ") were refused before the broker knew which backends they are: they run and are not "
          "asked; let them register (see the log, and `connections` in [quota]), or stop them, as "
          "one that broke the protocol may count until it exits; or, when you know that they use "
          "no files: musterctl forget --lost-roster");
    }
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
  static constexpr std::size_t kMostUsersAsked = 8;
  static constexpr std::size_t kMostNames = 200;  // characters

  static void name_user(std::string& users, uid_t uid) {
    if (users.ends_with("others")) return;
    if (users.size() > kMostNames) {
      users += " and others";
    } else {
      users += (users.empty() ? "uid " : ", uid ") + std::to_string(uid);
    }
  }

  std::set<uid_t> missed_;
  bool missed_somebody_ = false;  // of whom, there was no memory to say
};

}  // namespace muster::core
