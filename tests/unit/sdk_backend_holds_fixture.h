// A backend that is asked to keep to holds, told of them, and told of their end.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "support/backend_core_fixture.h"

namespace muster::test {

inline constexpr char kEpochAfterHold[] = "the next broker.";

inline ActiveHold hold_on(HoldId id, std::string path, std::string alias = {}) {
  return {id, std::move(path), 0, std::move(alias)};
}

class BackendHoldTest : public BackendCoreTest {
 protected:
  BackendHoldTest() { listen(); }

  // Its handlers acknowledge, and what happened until then is forgotten.
  void joined() {
    handle_with([](Request&) {});
    started_and_registered();
  }
  void asks(BroadcastOperation operation, HoldId id, std::uint64_t expires_unix_ms = 0) {
    OutgoingOperation message;
    message.broadcast_id = id;
    message.operation = std::move(operation);
    message.ack_timeout = std::chrono::seconds(5);
    message.deadline_unix_ms = port_.now_unix_ms() + 5000;
    message.hold_id = id;
    message.hold_expires_unix_ms = expires_unix_ms;
    says(id, std::move(message));
  }
  void asks_to_hold(HoldId id, std::string path = "/cache", std::string alias = {}) {
    asks(BroadcastOperation::release_handles(std::move(path), std::move(alias)), id);
  }
  void quiesces(HoldId id, QuiesceReason reason = QuiesceReason::kMaintenance) {
    asks(BroadcastOperation::quiesce(reason), id);
  }
  void acks(std::size_t request) {
    pending_.at(request).ack();
    run_handlers();
  }
  void ends(HoldId id, HoldEnd why = HoldEnd::kCompleted) { says(0, HoldEnded{id, why}); }
  // What handlers hear from the registration on.
  std::string comes_back(std::vector<ActiveHold> holds, std::string epoch = kEpoch) {
    reconnects();
    (void)happened();
    registered(2, std::move(epoch), std::move(holds));
    return happened();
  }
  [[nodiscard]] bool held(const char* path = "/cache/x") const { return core_.is_held(path); }
};

}  // namespace muster::test
