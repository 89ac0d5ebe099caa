#include "core/operation_keys.h"

#include <algorithm>

namespace muster::core {

std::string request_text(const BroadcastRequest& request) {
  std::string text = request.operation.to_string();
  for (const Selector& selector : request.selection) text += '\n' + selector.to_string();
  return text;
}

const OperationKeys::Use* OperationKeys::find(uid_t uid, const std::string& key) const {
  const auto found = uses_.find({uid, key});
  return found == uses_.end() ? nullptr : &found->second;
}

bool OperationKeys::has_room(uid_t uid) const {
  const auto found = count_.find(uid);
  return found == count_.end() || found->second < kMaxPerUser;
}

void OperationKeys::add(UsedKey key, SteadyTime used) {
  Use use{key.broadcast, std::move(key.request), key.used_unix_ms, used};
  const auto user = count_.try_emplace(key.uid).first;
  try {
    const bool is_new = uses_.try_emplace({key.uid, std::move(key.key)}, std::move(use)).second;
    if (is_new) ++user->second;
  } catch (...) {
    if (user->second == 0) count_.erase(user);
    throw;
  }
}

// Looking up by a pair needs a key of its own; this runs when memory may have run out.
auto OperationKeys::place_of(uid_t uid, const std::string& key) noexcept -> Uses::iterator {
  return std::find_if(uses_.begin(), uses_.end(), [&](const auto& use) {
    return use.first.first == uid && use.first.second == key;
  });
}

void OperationKeys::set_broadcast(uid_t uid, const std::string& key, BroadcastId id) noexcept {
  const auto found = place_of(uid, key);
  if (found != uses_.end()) found->second.broadcast = id;
}

void OperationKeys::remove(uid_t uid, const std::string& key) noexcept {
  const auto found = place_of(uid, key);
  if (found == uses_.end()) return;
  uses_.erase(found);
  if (const auto user = count_.find(uid); --user->second == 0) count_.erase(user);
}

}  // namespace muster::core
