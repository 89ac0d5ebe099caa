// Who comes and goes. Each change is over when the broker knows of it.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "soak/soak.h"

namespace muster::soak {

void Soak::change_members() {
  for (auto left = rng_.below(4); left > 0; --left) change(rng_.below(kKeys));
  if (!rng_.chance(1)) return;
  const auto slot = rng_.below(kSlots);
  look_at_sleepers();
  hosts_.kill(slot);
  await_deaths(slot);
  replace(slot);
}

void Soak::change(std::uint32_t key) {
  // What a sleeper was asked is open for a while.
  if (kind_of(key) == Kind::kAsleep) look_at_sleepers();
  const auto slot = holder_[key];
  if (!members_.is_live(key)) return join(key, slot);
  const auto end = [&](Order::Kind how) {
    (void)hosts_.ask(slot, {how, key, 0}, Reply::Kind::kEnded);
  };
  switch (rng_.below(9)) {
    case 0:
      end(Order::Kind::kLeave);
      return members_.left(key);
    case 1:
      end(Order::Kind::kClose);
      await_disconnected(key);
      return members_.lost(key);
    case 2:
      end(Order::Kind::kGarbage);
      return members_.lost(key);
    default:  // the same process, on a second connection
      return join(key, slot);
  }
}

void Soak::join(std::uint32_t key, std::uint32_t slot) {
  (void)hosts_.ask(slot, {Order::Kind::kJoin, key, 0}, Reply::Kind::kJoined);
  holder_[key] = slot;
  members_.joined(key);
  ++progress_.joins;
}

void Soak::join_all() {
  std::array<std::uint32_t, kSlots> told{};
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    if (members_.is_live(key)) continue;
    holder_[key] = home_of(key);
    hosts_.tell(holder_[key], {Order::Kind::kJoin, key, 0});
    ++told[holder_[key]];
  }
  // They came side by side; the broker's count says in which order.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> joined;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    for (; told[slot] > 0; --told[slot]) {
      const auto reply = hosts_.hear(slot, Reply::Kind::kJoined);
      joined.emplace_back(reply.value, reply.key);
    }
  }
  std::sort(joined.begin(), joined.end());
  for (const auto& [incarnation, key] : joined) members_.joined(key);
  progress_.joins += joined.size();
}

std::vector<std::uint32_t> Soak::held_by(std::uint32_t slot) const {
  std::vector<std::uint32_t> keys;
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    if (holder_[key] == slot) keys.push_back(key);
  }
  return keys;
}

void Soak::await_deaths(std::uint32_t slot) {
  ++progress_.deaths;
  const auto keys = held_by(slot);
  const auto patience = Clock::now() + std::chrono::seconds(60);
  const auto lives = [&](const BackendInfo& info) {
    if (info.state == BackendState::kDead) return false;
    return std::any_of(keys.begin(), keys.end(),
                       [&](std::uint32_t key) { return backend_key(key) == info.key; });
  };
  for (;;) {
    const auto all = client_->backends();
    if (std::none_of(all.begin(), all.end(), lives)) break;
    if (Clock::now() > patience) {
      throw std::runtime_error("a process was killed and its backends are live after a minute");
    }
  }
  for (const auto key : keys) members_.died(key);
}

void Soak::await_disconnected(std::uint32_t key) {
  const auto patience = Clock::now() + std::chrono::seconds(60);
  const auto is_live = [&](const BackendInfo& info) {
    return info.state == BackendState::kLive && backend_key(key) == info.key;
  };
  for (;;) {
    const auto all = client_->backends();
    if (std::none_of(all.begin(), all.end(), is_live)) return;
    if (Clock::now() > patience) {
      throw std::runtime_error("a connection was closed and its backend is live after a minute");
    }
  }
}

void Soak::replace(std::uint32_t slot) {
  hosts_.start(slot);
  for (const auto key : held_by(slot)) {
    if (members_.is_listed(key) && rng_.chance(70)) join(key, slot);
  }
}

std::uint32_t Soak::some_slot(Kind kind) {
  for (;;) {
    const auto slot = rng_.below(kSlots);
    if (kind_of_slot(slot) == kind) return slot;
  }
}

void Soak::silence(std::uint32_t slot, bool on) {
  (void)hosts_.ask(slot, {Order::Kind::kSilence, 0, on ? 1U : 0U}, Reply::Kind::kDone);
}

}  // namespace muster::soak
