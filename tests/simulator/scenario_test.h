// Two backends and a broker, for cases that are written by hand.
#pragma once

#include <optional>

#include <gtest/gtest.h>

#include "simulator/scenario.h"

namespace muster::simulator {

// alpha and beta are two backends: connections 1 and 2, processes 1 and 2, keys 0 and 3.
constexpr int kAlpha = 0;
constexpr int kBeta = 3;

class ScenarioTest : public ::testing::Test {
 protected:
  // Everything comes to its end, and nothing may be left.
  void TearDown() override {
    if (!scenario) return;
    EXPECT_NO_THROW(scenario->simulation().wind_down());
  }
  Scenario& with(const Knobs& knobs = {}) { return scenario.emplace(knobs); }
  // alpha and beta are there and read that they are.
  Scenario& with_two(const Knobs& knobs = {}) {
    auto& s = with(knobs);
    s.join(1, 1, kAlpha);
    s.join(2, 2, kBeta);
    EXPECT_EQ(s.reads(1), "registered");
    EXPECT_EQ(s.reads(2), "registered");
    return s;
  }

  std::optional<Scenario> scenario;
};

}  // namespace muster::simulator
