#include "core/quota.h"

#include <algorithm>
#include <string_view>

namespace muster::core {
namespace {

struct Kind {
  std::uint64_t Accounts::Account::*used;
  std::uint64_t Quota::*limit;
  std::string_view one;
  std::string_view many;
};

Kind kind_of(Resource resource) noexcept {
  using Account = Accounts::Account;
  switch (resource) {
    case Resource::kConnection:
      return {&Account::connections, &Quota::connections, "connection", "connections"};
    case Resource::kRegistration:
      return {&Account::registrations, &Quota::registrations, "registered backend",
              "registered backends"};
    case Resource::kBroadcast:
      break;
  }
  return {&Account::broadcasts, &Quota::broadcasts, "broadcast in flight", "broadcasts in flight"};
}

}  // namespace

Quota Quotas::of(uid_t uid) const {
  const auto found = of_uid.find(uid);
  if (found == of_uid.end()) return each;
  const QuotaOverride& own = found->second;
  Quota quota;
  quota.connections = own.connections.value_or(each.connections);
  quota.registrations = own.registrations.value_or(each.registrations);
  quota.queued_bytes = own.queued_bytes.value_or(each.queued_bytes);
  quota.broadcasts = own.broadcasts.value_or(each.broadcasts);
  return quota;
}

std::optional<std::string> Accounts::refusal(Resource resource, uid_t uid) const {
  const Kind kind = kind_of(resource);
  const Account* const account = find(uid);
  const std::uint64_t used = account == nullptr ? 0 : account->*kind.used;
  const std::uint64_t limit = (account == nullptr ? quotas_.of(uid) : account->quota).*kind.limit;
  if (used < limit) return std::nullopt;
  std::string text = "uid " + std::to_string(uid) + " has " + std::to_string(used) + " ";
  text.append(used == 1 ? kind.one : kind.many);
  return text + ", and its quota is " + std::to_string(limit);
}

void Accounts::take(Resource resource, uid_t uid) {
  const auto [place, is_new] = accounts_.try_emplace(uid);
  Account& account = place->second;
  if (is_new) {
    account.quota = quotas_.of(uid);
    account.queue.limit = account.quota.queued_bytes;
  }
  ++(account.*kind_of(resource).used);
}

void Accounts::give_back(Resource resource, uid_t uid) noexcept {
  const auto found = accounts_.find(uid);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  --(account.*kind_of(resource).used);
  if (account.connections + account.registrations + account.broadcasts == 0) accounts_.erase(found);
}

const Accounts::Account* Accounts::find(uid_t uid) const noexcept {
  const auto found = accounts_.find(uid);
  return found == accounts_.end() ? nullptr : &found->second;
}

std::vector<uid_t> Accounts::users() const {
  std::vector<uid_t> users;
  users.reserve(accounts_.size());
  for (const auto& [uid, account] : accounts_) users.push_back(uid);
  std::sort(users.begin(), users.end());
  return users;
}

}  // namespace muster::core
