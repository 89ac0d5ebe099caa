// Messages of the control lane against golden bytes, from both sides: a fixture for the tests that
// have a file of golden frames each. And the values that several of them have.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "support/wire_golden.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::test {

inline BackendKey golden_key(std::string service, Instance instance = {},
                             std::string replica = {}) {
  return {std::move(instance), std::move(service), "1.4.2", std::move(replica)};
}

class WireGolden : public testing::Test {
 protected:
  explicit WireGolden(std::string_view file) : golden_(load_golden(file)) {}

  // Every entry of the file was looked at.
  void TearDown() override {
    for (const auto& [name, frame] : golden_) EXPECT_TRUE(seen_.contains(name)) << name;
  }

  // The body of the golden frame `name`, which must be what `encoded` is.
  std::string_view same(std::string_view name, const std::string& encoded) {
    seen_.emplace(name, "");
    const auto entry = golden_.find(name);
    if (entry == golden_.end()) {
      ADD_FAILURE() << "no such entry; it would be\n" << golden_entry(name, encoded);
      return {};
    }
    EXPECT_EQ(golden_entry(name, entry->second), golden_entry(name, encoded));
    return wire::next_frame(entry->second, wire::kMaxControlBody).body;
  }

 private:
  GoldenFrames golden_;
  GoldenFrames seen_;
};

class WireGoldenControl : public WireGolden {
 protected:
  explicit WireGoldenControl(std::string_view file) : WireGolden(file) {}

  template <typename Message>
  void request(std::string_view name, const Message& message) {
    const wire::ControlRequestFrame frame{9, message};
    wire::ControlRequestFrame out;
    EXPECT_EQ(wire::ControlRequestDecoder().decode(same(name, wire::encode(frame)), out), "")
        << name;
    EXPECT_EQ(out.request_id, 9u) << name;
    EXPECT_TRUE(out.message == frame.message) << name;
  }
  void response(std::string_view name, const wire::ControlResponse& message) {
    std::optional<wire::ControlAnswerFrame> out;
    EXPECT_EQ(wire::ControlAnswerDecoder().decode(same(name, wire::encode(9, message)), out), "")
        << name;
    ASSERT_TRUE(out) << name;
    EXPECT_EQ(out->request_id, 9u) << name;
    EXPECT_TRUE(out->message == decltype(out->message)(message)) << name;
  }
  void event(std::string_view name, const Event& message) {
    std::optional<wire::ControlAnswerFrame> out;
    EXPECT_EQ(wire::ControlAnswerDecoder().decode(same(name, wire::encode(9, message)), out), "")
        << name;
    ASSERT_TRUE(out) << name;
    EXPECT_EQ(out->request_id, 9u) << name;
    EXPECT_TRUE(out->message == decltype(out->message)(message)) << name;
  }
};

inline Holder backend_that_holds() {
  Holder holder;
  holder.pid = 4242;
  holder.started = 81'233;
  holder.uid = 1000;
  holder.command = "cached";
  holder.unit = "sync.service";
  holder.unit_user = 1000;
  holder.held = {{HeldBy::kDescriptor, 3}, {HeldBy::kMapping, 1}};
  holder.example = "/cache/\xFF";
  holder.deleted = true;
  holder.backend = golden_key("zccache");
  return holder;
}

inline HolderScan scan_that_found() {
  Holder kernel;
  kernel.command = "kernel";
  kernel.object = "/merged";
  kernel.inside = 814;
  kernel.held = {{HeldBy::kOverlayLayer, 1}};
  kernel.possibly = true;
  HolderScan scan;
  scan.prefix = "/cache";
  scan.verdict = HolderVerdict::kHeld;
  scan.holders = {backend_that_holds(), kernel};
  scan.more_holders = 7;
  scan.unseen = {{1, 0, "init", "its descriptors: Permission denied"}};
  scan.more_unseen = 2;
  scan.leases = {187, 185, 1, 1, "/cache/b", "Permission denied", false, "stopped at 187 files"};
  scan.processes = 123;
  scan.descriptors = 4567;
  scan.at_unix_ms = 1'700'000'000'000;
  scan.took_us = 43'786;
  return scan;
}

}  // namespace muster::test
