#include "core/operation_keys.h"

#include <algorithm>

namespace muster::core {

std::string request_text(const BroadcastRequest& request) {
  std::string text = request.operation.to_string();
  for (const Selector& selector : request.selection) text += '\n' + selector.to_string();
  // No selector is without a sign. How long a proof may take makes no other request.
  if (request.verify) text += "\nverify";
  if (request.hold) {
    text += "\nhold";
    if (request.hold->leased) text += " leased";
    if (request.hold->ttl) text += ' ' + std::to_string(request.hold->ttl->count()) + " ms";
  }
  return text;
}

const OperationKeys::Use* OperationKeys::find(uid_t uid, const std::string& key) const {
  const auto found = uses_.find({uid, key});
  return found == uses_.end() ? nullptr : &found->second;
}

bool OperationKeys::has_room(uid_t uid) const {
  const auto found = shares_.find(uid);
  return found == shares_.end() ||
         (found->second.keys < kMaxPerUser && found->second.bytes < kMaxBytesPerUser);
}

void OperationKeys::add(UsedKey key, SteadyTime used) {
  Use use{key.broadcast, std::move(key.request), key.used_unix_ms, used};
  const auto user = shares_.try_emplace(key.uid).first;
  try {
    const auto [place, is_new] = uses_.try_emplace({key.uid, std::move(key.key)}, std::move(use));
    if (!is_new) return;
    ++user->second.keys;
    user->second.bytes += bytes_of(*place);
  } catch (...) {
    if (user->second.keys == 0) shares_.erase(user);
    throw;
  }
}

void OperationKeys::give_back(const Uses::value_type& use) noexcept {
  const auto user = shares_.find(use.first.first);
  user->second.bytes -= bytes_of(use);
  if (--user->second.keys == 0) shares_.erase(user);
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
  give_back(*found);
  uses_.erase(found);
}

}  // namespace muster::core
