// How operations leave: encoded once, a part in each turn of the loop, held back for a backend that
// registers or leaves.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "muster/backend_key.h"
#include "muster/operation.h"

#include "broker/handler_memory.h"
#include "broker/transport.h"
#include "core/quota.h"
#include "wire/backend_lane.h"

namespace muster::broker {

// The bytes of the operations that were sent last: one broadcast goes to many, mostly with the same
// budget. Bounded; what is not here (any more) is encoded again. The loop's thread.
class EncodedOperations {
 public:
  // Good until the next call.
  [[nodiscard]] const FramePtr& frame_of(const OutgoingOperation& operation) {
    Encoded& place = places_[static_cast<std::size_t>(operation.ack_timeout.count()) % kPlaces];
    if (place.id != operation.broadcast_id || place.budget != operation.ack_timeout) {
      place.frame = std::make_shared<const OutboundBytes>(wire::encode(operation));
      place.id = operation.broadcast_id;
      place.budget = operation.ack_timeout;
    }
    return place.frame;
  }

 private:
  // A prime: round budgets lie in places of their own.
  static constexpr std::size_t kPlaces = 13;
  struct Encoded {
    BroadcastId id = 0;
    std::chrono::milliseconds budget{};
    FramePtr frame;
  };
  std::array<Encoded, kPlaces> places_;
};

// Backends that wait until what became of them is written down: a broker that is killed and starts
// again must expect everybody who was told that it is registered, and nobody who was told that it
// is not any more.
//
// What is sent to such a connection meanwhile waits, in order; one that leaves stays open until it
// was told, and counts as its user's so long. The loop's thread.
class HeldSends {
 public:
  struct Held {
    ConnectionId connection;
    BackendKey key;
    std::vector<FramePtr> frames;
    std::optional<core::Taken> leaves;  // its share of the account until it is closed
  };

  void hold(ConnectionId connection, const BackendKey& key) {
    by_slot_[connection.slot] = {connection, key, {}, std::nullopt};
    by_key_.emplace(key, connection);
  }
  // It has deregistered: nothing but confirm() ends the connection from now on.
  void hold_until_left(ConnectionId connection, const BackendKey& key, core::Taken share) {
    if (find(connection) == nullptr) hold(connection, key);
    find(connection)->leaves.emplace(std::move(share));
  }
  // The connections that are held for the key.
  [[nodiscard]] std::vector<ConnectionId> of(const BackendKey& key) const {
    std::vector<ConnectionId> connections;
    const auto [begin, end] = by_key_.equal_range(key);
    for (auto at = begin; at != end; ++at) connections.push_back(at->second);
    return connections;
  }
  // Where a frame for the connection waits; null when it is not held.
  [[nodiscard]] std::vector<FramePtr>* frames_of(ConnectionId connection) noexcept {
    Held* const held = find(connection);
    return held == nullptr ? nullptr : &held->frames;
  }
  [[nodiscard]] bool leaves(ConnectionId connection) noexcept {
    const Held* const held = find(connection);
    return held != nullptr && held->leaves.has_value();
  }
  // Not held any more; what waited.
  Held take(ConnectionId connection) noexcept {
    if (find(connection) == nullptr) return {};
    const auto found = by_slot_.find(connection.slot);
    Held held = std::move(found->second);
    by_slot_.erase(found);
    const auto [begin, end] = by_key_.equal_range(held.key);
    for (auto at = begin; at != end; ++at) {
      if (at->second != connection) continue;
      by_key_.erase(at);
      break;
    }
    return held;
  }
  [[nodiscard]] std::vector<ConnectionId> all() const {
    std::vector<ConnectionId> connections;
    connections.reserve(by_slot_.size());
    for (const auto& [slot, held] : by_slot_) connections.push_back(held.connection);
    return connections;
  }

 private:
  [[nodiscard]] Held* find(ConnectionId connection) noexcept {
    if (by_slot_.empty()) return nullptr;
    const auto found = by_slot_.find(connection.slot);
    const bool held = found != by_slot_.end() && found->second.connection == connection;
    return held ? &found->second : nullptr;
  }

  std::unordered_map<std::uint32_t, Held> by_slot_;
  std::unordered_multimap<BackendKey, ConnectionId, BackendKeyHash> by_key_;
};

// What one broadcast sends to very many, a part in each turn of the loop, so that others are served
// in between.
//
// Everything that is sent goes through here, so each connection gets its frames in their order. A
// broadcast to few leaves at once: waiting would cost it more than it costs others. Of one to many,
// whose preparation has taken its time already, a slice leaves at once. What waits is bounded: over
// the bound, the oldest leave for the new. One thread, the io_context's.
class PacedSends {
 public:
  static constexpr std::size_t kFew = 1024;     // two milliseconds of system calls
  static constexpr std::size_t kSlice = 256;    // half a millisecond: in each turn that follows
  static constexpr std::size_t kMost = 16'384;  // that wait

  PacedSends(asio::io_context& context, Transport& transport, Transport::Events& events)
      : context_(context),
        transport_(transport),
        events_(events),
        memory_(asio::use_service<HandlerMemory>(context)) {}

  // As Transport::send().
  void send(ConnectionId connection, const FramePtr& frame) {
    if (!goes_at_once()) return wait(connection, frame);
    transport_.send(connection, frame);
  }
  void send(ConnectionId connection, std::string frame) {
    if (!goes_at_once()) {
      return wait(connection, std::make_shared<const OutboundBytes>(std::move(frame)));
    }
    transport_.send(connection, std::move(frame));
  }

  // A turn of the loop begins.
  void turn_begins() noexcept {
    sent_ = 0;
    at_once_ = kFew;
  }
  // So many sends come at most, one after another.
  void begin(std::size_t most) noexcept {
    if (most > kFew) at_once_ = kSlice;
  }

  // What waits for it leaves now: it is about to be hung up.
  void send_all_to(ConnectionId connection) noexcept {
    for (std::size_t i = first_; i < waiting_.size(); ++i) {
      if (waiting_[i].connection == connection) send_now(std::exchange(waiting_[i], {}));
    }
  }
  // Whatever waits leaves now.
  void send_all() noexcept {
    while (waiting() != 0) send_oldest();
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size() - first_; }

 private:
  struct Waiting {
    ConnectionId connection;
    FramePtr frame;
  };

  [[nodiscard]] bool goes_at_once() noexcept { return waiting() == 0 && sent_++ < at_once_; }

  void wait(ConnectionId connection, FramePtr frame) {
    waiting_.push_back({connection, std::move(frame)});
    if (waiting() > kMost) send_oldest();
    schedule();
  }

  void send_oldest() noexcept {
    const Waiting oldest = std::move(waiting_[first_++]);
    if (first_ == waiting_.size()) {
      waiting_.clear();
      first_ = 0;
    } else if (first_ >= kMost) {  // more came before it was ever empty
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
    send_now(oldest);
  }

  void send_now(const Waiting& one) noexcept {
    if (one.connection.generation == 0) return;  // it left before its turn
    try {
      transport_.send(one.connection, one.frame);
    } catch (const std::exception& e) {
      events_.handling_failed(one.connection, e.what());
    }
  }

  void schedule() {
    if (std::exchange(scheduled_, true)) return;
    asio::post(context_, PooledHandler{&memory_, [this] { turn(); }});
  }

  void turn() {
    scheduled_ = false;
    for (std::size_t i = std::min(kSlice, waiting()); i > 0; --i) send_oldest();
    sent_ = at_once_;
    transport_.flush();
    if (waiting() != 0) schedule();
  }

  asio::io_context& context_;
  Transport& transport_;
  Transport::Events& events_;
  HandlerMemory& memory_;
  std::vector<Waiting> waiting_;  // from first_ on; it keeps its room from round to round
  std::size_t first_ = 0;
  std::size_t sent_ = 0;        // in this turn
  std::size_t at_once_ = kFew;  // of a turn
  bool scheduled_ = false;
};

}  // namespace muster::broker
