// A core with a shell that keeps what it was asked for, for tests of verifications and holds.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "core/broker.h"
#include "support/keeping_shell.h"

namespace muster::core {

inline HolderScan scan_of(HolderVerdict verdict, std::vector<Holder> holders = {}) {
  HolderScan scan;
  scan.prefix = "/cache";
  scan.verdict = verdict;
  scan.holders = std::move(holders);
  return scan;
}

class ProofFixture : public ::testing::Test {
 protected:
  static constexpr ConnectionId kFirst{1, 1};
  static constexpr ConnectionId kSecond{2, 1};

  void join(ConnectionId id) {
    ASSERT_TRUE(broker.connection_opened(id, {{static_cast<pid_t>(id.slot), 1}, 0, 0}, now));
    Registration registration;
    registration.key = {Instance::shared(), "s" + std::to_string(id.slot), "1.0.0", ""};
    broker.registration(id, 1, std::move(registration), now);
  }
  static BroadcastRequest release() {
    BroadcastRequest request;
    request.operation = BroadcastOperation::release_handles("/cache");
    request.verify = true;
    request.mount_namespace = 77;
    return request;
  }
  BroadcastId start(BroadcastRequest request) {
    return std::get<Started>(broker.start_broadcast(std::move(request), now, Operator{5, 50, "rm"}))
        .id;
  }
  [[nodiscard]] BroadcastReport report(BroadcastId id) const {
    return to_value(std::get<BroadcastRows>(broker.report(id, now)));
  }
  void later(std::chrono::milliseconds time) { now.steady += time; }
  // What is due by now happens.
  void let_pass() { let_pass_in(broker); }
  void let_pass_in(Broker& of) {
    for (const auto& [id, at] : std::vector(shell.deadlines)) {
      if (at > now.steady) continue;
      shell.cancel(id);
      of.deadline_passed(id, now);
    }
  }
  [[nodiscard]] std::vector<Event::Kind> kinds() const {
    std::vector<Event::Kind> all;
    for (const Event& event : shell.events) all.push_back(event.kind);
    return all;
  }

  Now now{SteadyTime(std::chrono::hours(1)), 1'000'000};
  test::KeepingShell shell;
  Broker broker{{}, shell};
};

}  // namespace muster::core
