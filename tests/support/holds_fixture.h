// ProofFixture with holds.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/proof_fixture.h"

namespace muster::core {

class HoldsFixture : public ProofFixture {
 protected:
  static constexpr ConnectionId kThird{3, 1};

  static BroadcastRequest held(std::optional<std::chrono::milliseconds> ttl = {},
                               std::string path = "/cache") {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles(std::move(path));
    request.hold = HoldRequest{!ttl, ttl};
    return request;
  }
  static BroadcastRequest quiesced(std::optional<std::chrono::milliseconds> ttl = {}) {
    BroadcastRequest request = held(ttl);
    request.operation = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
    return request;
  }
  // Whom the end was told so far: "1 completed", by the number of the connection.
  [[nodiscard]] std::vector<std::string> told(HoldId id) const {
    std::vector<std::string> all;
    for (const auto& [connection, ended] : shell.holds_ended) {
      if (ended.hold_id != id) continue;
      all.push_back(std::to_string(connection.slot) + ' ' + std::string(to_string(ended.why)));
    }
    return all;
  }
  [[nodiscard]] std::vector<HoldId> active() const {
    std::vector<HoldId> ids;
    for (const HoldInfo& hold : broker.holds()) ids.push_back(hold.id);
    return ids;
  }
  [[nodiscard]] std::vector<HoldId> told_at_registration() const {
    std::vector<HoldId> ids;
    for (const ActiveHold& hold : shell.registered.active_holds) ids.push_back(hold.id);
    return ids;
  }
  [[nodiscard]] ControlError refused(BroadcastRequest request, uid_t uid = 5) {
    auto answer = broker.start_broadcast(std::move(request), now, Operator{uid, 50, "rm"});
    if (const auto* error = std::get_if<ControlError>(&answer)) return *error;
    return {};
  }
};

}  // namespace muster::core
