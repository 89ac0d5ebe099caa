// What must hold after every fault, in one place so that no test can forget it.
//
// A test calls inflict() once. The fault runs at a tenth of its strength, then in full; after that,
// with everybody gone, the broker answers, has the descriptors that it had before the first run,
// and its memory is within a tenth of what it was after the first (not looked at under sanitizers,
// whose allocators keep what was freed). Then the fault runs once more against another broker,
// which gets SIGTERM at its worst and must end by itself, with status 0.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "support/broker_holdings.h"
#include "support/fault_host.h"
#include "support/holdings.h"
#include "support/sanitized.h"

namespace muster::test {

class FaultTest : public ::testing::Test {
 protected:
  using Fault = std::function<void(FaultHost&)>;

  void inflict(BrokerSetup setup, Fault fault) {
    setup_ = std::move(setup);
    fault_ = std::move(fault);
    stage_.emplace(setup_, false);
    static_cast<void>(stage_->operators().ping());
    descriptors_ = holdings_of(stage_->broker().pid());
    run(FaultHost::Run::kWarmUp);
    if (HasFailure()) return;
    EXPECT_EQ(recovery(), "") << "after a tenth of the fault";
    memory_kib_ = resident_kib(stage_->broker().pid());
    run(FaultHost::Run::kFull);
  }
  void inflict(Fault fault) { inflict({}, std::move(fault)); }

  void TearDown() override {
    if (IsSkipped() || HasFailure()) return;
    ASSERT_TRUE(fault_) << "no fault was inflicted";
    EXPECT_EQ(recovery(), "");
    if (HasFailure()) return;
    stage_.reset();
    stage_.emplace(setup_, true);
    run(FaultHost::Run::kSigterm);
  }

 private:
  static constexpr std::chrono::seconds kRecoversWithin{10};
  static constexpr std::size_t kMayGrowBy = 10;  // percent
  // Of the history: its file's pages (at most 1 MiB), and what stands beside them.
  static constexpr std::size_t kHistoryCacheKib = 1536;

  void run(FaultHost::Run run) {
    stage_->begin(run);
    try {
      fault_(*stage_);
      if (run == FaultHost::Run::kSigterm) ADD_FAILURE() << "the fault has no worst moment";
    } catch (const FaultHost::BrokerEnded&) {
      // Nothing to do: at_its_worst() has looked at how it ended.
    }
    stage_->clear();
  }

  // What is not as it was before, empty when all is. The broker hears of peers that are gone in its
  // own time, so it is asked again and again.
  std::string recovery() {
    const auto until = std::chrono::steady_clock::now() + kRecoversWithin;
    const pid_t broker = stage_->broker().pid();
    for (;;) {
      forget_lost(stage_->operators());
      const auto ping = ping_time(stage_->operators());
      const Holdings now = holdings_of(broker);
      const std::size_t memory_kib = resident_kib(broker);
      // What it was about to close when it was looked at first.
      if (now.descriptors.size() < descriptors_.descriptors.size()) descriptors_ = now;
      std::string problem;
      if (ping >= FaultHost::kAnswersWithin) {
        problem = "a ping takes " + std::to_string(ping.count()) + " us; ";
      }
      if (now.descriptors.size() > descriptors_.descriptors.size()) {
        problem += leaked(descriptors_, now) + "; ";
      }
      if (!kSanitized && memory_kib_ != 0 &&
          memory_kib > memory_kib_ + memory_kib_ * kMayGrowBy / 100 + kHistoryCacheKib) {
        problem += std::to_string(memory_kib) + " KiB of memory are in use, after the warm-up " +
                   std::to_string(memory_kib_);
      }
      if (problem.empty() || std::chrono::steady_clock::now() >= until) {
        RecordProperty("memory_kib_before", static_cast<int>(memory_kib_));
        RecordProperty("memory_kib_after", static_cast<int>(memory_kib));
        return problem;
      }
    }
  }

  BrokerSetup setup_;
  Fault fault_;
  std::optional<FaultHost> stage_;
  Holdings descriptors_;        // before the first run
  std::size_t memory_kib_ = 0;  // after the warm-up
};

}  // namespace muster::test
