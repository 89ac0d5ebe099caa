// Operation keys: which broadcast a user's `--key` stands for.
//
// A key belongs to the user who used it. It is kept for as long as its report, and for an hour at
// least, also over a restart of the broker: the same request is then not sent twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <sys/types.h>
#include <unordered_map>
#include <utility>

#include "muster/broker_view.h"

#include "core/types.h"

namespace muster::core {

// As it is kept on disk.
struct UsedKey {
  uid_t uid = 0;
  std::string key;
  BroadcastId broadcast = 0;  // 0: the broker ended before it wrote down which
  std::string request;        // request_text() of what it was used for
  std::uint64_t used_unix_ms = 0;

  friend bool operator==(const UsedKey&, const UsedKey&) = default;
};

// The parts of a request that must be equal for the same key: operation and selection, and that it
// is verified or held: nobody who asks for that is given a broadcast without.
[[nodiscard]] std::string request_text(const BroadcastRequest& request);

class OperationKeys {
 public:
  // Of one user: over them no more are taken until some have expired.
  static constexpr std::size_t kMaxPerUser = 4096;
  static constexpr std::size_t kMaxBytesPerUser = 4UL << 20U;
  // Of one request_text(): the longest path, each byte written as \xNN, and 8 KiB of selectors.
  static constexpr std::size_t kMaxRequestText = 24UL * 1024;

  struct Use {
    BroadcastId broadcast = 0;
    std::string request;
    std::uint64_t used_unix_ms = 0;
    SteadyTime used;

    friend bool operator==(const Use&, const Use&) = default;
  };

  // Null when the user has not used it.
  [[nodiscard]] const Use* find(uid_t uid, const std::string& key) const;
  [[nodiscard]] bool has_room(uid_t uid) const;
  // Nothing happens when the user uses it already.
  void add(UsedKey key, SteadyTime used);
  // REQUIRES: the user uses it.
  void set_broadcast(uid_t uid, const std::string& key, BroadcastId id) noexcept;
  void remove(uid_t uid, const std::string& key) noexcept;
  friend bool operator==(const OperationKeys&, const OperationKeys&) = default;
  // Forgets those that were used at or before `before`, but for those with is_kept(broadcast).
  template <class IsKept>
  void expire(SteadyTime before, IsKept is_kept) {
    for (auto use = uses_.begin(); use != uses_.end();) {
      if (use->second.used > before || is_kept(use->second.broadcast)) {
        ++use;
        continue;
      }
      give_back(*use);
      use = uses_.erase(use);
    }
  }

 private:
  using Uses = std::map<std::pair<uid_t, std::string>, Use>;
  struct Share {
    std::size_t keys = 0;
    std::size_t bytes = 0;

    friend bool operator==(const Share&, const Share&) = default;
  };
  [[nodiscard]] static std::size_t bytes_of(const Uses::value_type& use) noexcept {
    return use.first.second.size() + use.second.request.size();
  }
  [[nodiscard]] Uses::iterator place_of(uid_t uid, const std::string& key) noexcept;
  void give_back(const Uses::value_type& use) noexcept;

  Uses uses_;
  std::unordered_map<uid_t, Share> shares_;
};

}  // namespace muster::core
