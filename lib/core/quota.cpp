#include "core/quota.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unistd.h>

namespace muster::core {
namespace {

struct Kind {
  std::uint64_t Accounts::Account::*used;
  std::uint64_t Quota::*limit;
  std::string_view one;
  std::string_view many;
};

using Account = Accounts::Account;

// By Resource.
constexpr std::array<Kind, 6> kKinds{{
    {&Account::connections, &Quota::connections, "connection", "connections"},
    {&Account::registrations, &Quota::registrations, "registered backend", "registered backends"},
    {&Account::broadcasts, &Quota::broadcasts, "broadcast in flight", "broadcasts in flight"},
    {&Account::operators, &Quota::operators, "connected operator", "connected operators"},
    {&Account::followers, &Quota::followers, "request that follows events",
     "requests that follow events"},
    {&Account::holds, &Quota::holds, "hold", "holds"},
}};

const Kind& kind_of(Resource resource) noexcept {
  return kKinds[static_cast<std::size_t>(resource)];
}

struct Limit {
  std::uint64_t Quota::*limit;
  std::optional<std::uint64_t> QuotaOverride::*own;
};

constexpr std::array<Limit, 9> kLimits{{
    {&Quota::connections, &QuotaOverride::connections},
    {&Quota::registrations, &QuotaOverride::registrations},
    {&Quota::queued_bytes, &QuotaOverride::queued_bytes},
    {&Quota::broadcasts, &QuotaOverride::broadcasts},
    {&Quota::operators, &QuotaOverride::operators},
    {&Quota::followers, &QuotaOverride::followers},
    {&Quota::answer_bytes, &QuotaOverride::answer_bytes},
    {&Quota::report_bytes, &QuotaOverride::report_bytes},
    {&Quota::holds, &QuotaOverride::holds},
}};

bool is_bounded_in_all_alone(Resource resource, uid_t uid) noexcept {
  return (resource == Resource::kOperator || resource == Resource::kFollower) && is_privileged(uid);
}

}  // namespace

bool is_privileged(uid_t uid) noexcept { return uid == 0 || uid == ::geteuid(); }

std::size_t most_for(uid_t uid, std::size_t most) noexcept {
  constexpr std::size_t kMostReserved = 16;
  return is_privileged(uid) ? most : most - std::min(kMostReserved, most / 4);
}

bool is_reserved(uid_t uid, std::size_t used, std::size_t most) noexcept {
  return used <= most / 4 && is_privileged(uid);
}

Quota Quotas::of(uid_t uid) const {
  const auto found = of_uid.find(uid);
  if (found == of_uid.end()) return each;
  Quota quota = each;
  for (const Limit& limit : kLimits) {
    quota.*limit.limit = (found->second.*limit.own).value_or(quota.*limit.limit);
  }
  return quota;
}

std::optional<std::string> Accounts::refusal(Resource resource, uid_t uid) const {
  const Kind kind = kind_of(resource);
  const Account* const account = find(uid);
  const std::uint64_t used = account == nullptr ? 0 : account->*kind.used;
  const std::uint64_t limit = (account == nullptr ? quotas_.of(uid) : account->quota).*kind.limit;
  if (used < limit || is_bounded_in_all_alone(resource, uid)) return std::nullopt;
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
  if (resource == Resource::kOperator && account.answers == nullptr) {
    try {
      account.answers = std::make_shared<QueueAccount>();
    } catch (...) {
      if (is_new) accounts_.erase(place);
      throw;
    }
    account.answers->limit = account.quota.answer_bytes;
  }
  ++(account.*kind_of(resource).used);
}

void Accounts::give_back(Resource resource, uid_t uid) noexcept {
  const auto found = accounts_.find(uid);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  --(account.*kind_of(resource).used);
  std::uint64_t in_use = 0;
  for (const Kind& kind : kKinds) in_use += account.*kind.used;
  if (in_use == 0) accounts_.erase(found);
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
