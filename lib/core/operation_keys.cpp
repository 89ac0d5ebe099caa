#include "core/operation_keys.h"

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
  const bool is_new = uses_.try_emplace({key.uid, std::move(key.key)}, std::move(use)).second;
  if (is_new) ++count_[key.uid];
}

}  // namespace muster::core
