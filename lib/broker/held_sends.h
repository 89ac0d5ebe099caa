// Backends whose Registered waits until it is written down that they are there: a broker that is
// killed and starts again must expect everybody who was told that it is registered.
//
// What is sent to such a connection meanwhile waits behind it, in order. The loop's thread.
#pragma once

#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "muster/backend_key.h"

#include "broker/transport.h"

namespace muster::broker {

class HeldSends {
 public:
  void hold(ConnectionId connection, const BackendKey& key) {
    by_slot_[connection.slot] = {connection, key, {}};
    by_key_[key] = connection;
  }
  // The connection that is held for the key; nothing when none is.
  [[nodiscard]] std::optional<ConnectionId> of(const BackendKey& key) const {
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? std::nullopt : std::optional(found->second);
  }
  // Where a frame for the connection waits; null when it is not held.
  [[nodiscard]] std::vector<FramePtr>* frames_of(ConnectionId connection) noexcept {
    if (by_slot_.empty()) return nullptr;
    const auto found = by_slot_.find(connection.slot);
    const bool held = found != by_slot_.end() && found->second.connection == connection;
    return held ? &found->second.frames : nullptr;
  }
  // Not held any more; what waited.
  std::vector<FramePtr> take(ConnectionId connection) noexcept {
    if (frames_of(connection) == nullptr) return {};
    const auto found = by_slot_.find(connection.slot);
    std::vector<FramePtr> frames = std::move(found->second.frames);
    const auto key = by_key_.find(found->second.key);
    if (key != by_key_.end() && key->second == connection) by_key_.erase(key);
    by_slot_.erase(found);
    return frames;
  }
  [[nodiscard]] std::vector<ConnectionId> all() const {
    std::vector<ConnectionId> connections;
    connections.reserve(by_slot_.size());
    for (const auto& [slot, held] : by_slot_) connections.push_back(held.connection);
    return connections;
  }

 private:
  struct Held {
    ConnectionId connection;
    BackendKey key;
    std::vector<FramePtr> frames;
  };
  std::unordered_map<std::uint32_t, Held> by_slot_;
  std::unordered_map<BackendKey, ConnectionId, BackendKeyHash> by_key_;
};

}  // namespace muster::broker
