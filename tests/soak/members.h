// Who is registered, by what the soak did and saw: the model's view. Says what a broadcast's result
// must be, by LifecycleBroadcastModel.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "muster/broker_view.h"
#include "muster/lifecycle_broadcast_model.h"
#include "muster/selector.h"

#include "soak/behaviour.h"

namespace muster::soak {

// Whom a broadcast asks.
struct Selected {
  std::optional<Kind> kind;
  std::optional<std::uint32_t> group;
  std::optional<std::uint32_t> one;  // this key alone

  [[nodiscard]] bool has(std::uint32_t key) const {
    return (!one || *one == key) && (!kind || kind_of(key) == *kind) &&
           (!group || group_of(key) == *group);
  }
  [[nodiscard]] Selection selection() const;
};

class Members {
 public:
  // A key that is listed keeps its place.
  void joined(std::uint32_t key);
  void died(std::uint32_t key);
  // Disconnected, and its process lives.
  void lost(std::uint32_t key);
  void left(std::uint32_t key);
  void broker_restarted() { listed_.clear(); }

  [[nodiscard]] bool is_listed(std::uint32_t key) const;
  [[nodiscard]] bool is_live(std::uint32_t key) const;
  [[nodiscard]] std::size_t live() const;
  // Live ones that the broadcast asks.
  [[nodiscard]] std::vector<std::uint32_t> asked(const Selected& selected) const;

  using Respond = std::function<BroadcastBackendResponse(std::uint32_t key)>;
  // `ack_timeout`: what the operator said for all.
  [[nodiscard]] BroadcastResult expected(const BroadcastOperation& operation,
                                         const Selected& selected,
                                         std::optional<std::chrono::milliseconds> ack_timeout,
                                         const Respond& respond) const;

 private:
  struct Member {
    std::uint32_t key = 0;
    BackendState state = BackendState::kDead;
  };
  std::vector<Member> listed_;  // in registration order
};

[[nodiscard]] const BackendKey& backend_key(std::uint32_t key);

}  // namespace muster::soak
