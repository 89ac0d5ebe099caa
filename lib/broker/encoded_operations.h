// The bytes of the operations that were sent last: one broadcast goes to many, mostly with the same
// budget. Bounded; what is not here (any more) is encoded again. The loop's thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>

#include "muster/operation.h"

#include "broker/transport.h"
#include "wire/backend_lane.h"

namespace muster::broker {

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

}  // namespace muster::broker
