#include "soak/members.h"

#include <algorithm>
#include <string>

namespace muster::soak {

const BackendKey& backend_key(std::uint32_t key) {
  static const auto kTable = [] {
    std::vector<BackendKey> table;
    for (std::uint32_t i = 0; i < kKeys; ++i) table.push_back(registration_of(i).key);
    return table;
  }();
  return kTable[key];
}

Selection Selected::selection() const {
  // Values are taken from what a backend registers, so that they are written once.
  std::uint32_t example = 0;
  while (example + 1 < kKeys && !has(example)) ++example;
  const auto registration = registration_of(example);
  std::string text;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!text.empty()) text += ',';
    text.append(name).append(1, '=').append(value);
  };
  if (kind) add("label.kind", registration.labels.at("kind"));
  if (group) add("label.group", registration.labels.at("group"));
  if (one) add("replica", registration.key.replica);
  if (text.empty()) return {};
  return {Selector::parse(text).selector};
}

void Members::joined(std::uint32_t key) {
  for (auto& member : listed_) {
    if (member.key != key) continue;
    member.state = BackendState::kLive;
    return;
  }
  listed_.push_back({key, BackendState::kLive});
}

void Members::died(std::uint32_t key) {
  for (auto& member : listed_) {
    if (member.key == key) member.state = BackendState::kDead;
  }
}

void Members::lost(std::uint32_t key) {
  for (auto& member : listed_) {
    if (member.key == key) member.state = BackendState::kLost;
  }
}

void Members::left(std::uint32_t key) {
  std::erase_if(listed_, [&](const Member& member) { return member.key == key; });
}

bool Members::is_listed(std::uint32_t key) const {
  return std::any_of(listed_.begin(), listed_.end(),
                     [&](const Member& member) { return member.key == key; });
}

bool Members::is_live(std::uint32_t key) const {
  return std::any_of(listed_.begin(), listed_.end(), [&](const Member& member) {
    return member.key == key && member.state == BackendState::kLive;
  });
}

std::size_t Members::live() const { return asked({}).size(); }

std::vector<std::uint32_t> Members::asked(const Selected& selected) const {
  std::vector<std::uint32_t> keys;
  for (const auto& member : listed_) {
    if (member.state == BackendState::kLive && selected.has(member.key)) keys.push_back(member.key);
  }
  return keys;
}

BroadcastResult Members::expected(const BroadcastOperation& operation, const Selected& selected,
                                  std::optional<std::chrono::milliseconds> ack_timeout,
                                  const Respond& respond) const {
  LifecycleBroadcastModel model;
  std::vector<std::uint32_t> late;
  for (const auto& member : listed_) {
    if (!selected.has(member.key)) continue;
    const auto& key = backend_key(member.key);
    if (member.state == BackendState::kDead) {
      model.register_backend(BroadcastBackend::dead(key));
      continue;
    }
    if (member.state == BackendState::kLost) {
      model.register_backend(BroadcastBackend::live(key).with_response(
          BroadcastBackendResponse::failure(BroadcastFailureReason::kBackendError)));
      continue;
    }
    const auto response = respond(member.key);
    if (!response.is_ack() && !response.failure_reason()) late.push_back(member.key);
    model.register_backend(BroadcastBackend::live(key).with_response(response));
  }
  auto result = model.broadcast(operation);
  // The model has one budget for all; here each has its own.
  for (std::size_t i = 0; i < late.size(); ++i) {
    result.timeouts[i].timeout = ack_timeout.value_or(budget_of(late[i]));
  }
  return result;
}

}  // namespace muster::soak
