// Does the simulator find what is wrong, and show it in a script that a person can read? Each fault
// here is put into the broker's configuration on purpose.
#include <algorithm>
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "simulator/run.h"
#include "simulator/simulation.h"
#include "simulator/universe.h"

namespace muster::simulator {
namespace {

using std::chrono::milliseconds;

struct Planted {
  const char* name = "";
  Fault fault;
};

std::ostream& operator<<(std::ostream& out, const Planted& planted) { return out << planted.name; }

class PlantedFaultTest : public ::testing::TestWithParam<Planted> {};

TEST_P(PlantedFaultTest, IsFoundSoonAndShownAsAShortScript) {
  constexpr std::uint64_t kEnoughSeeds = 2'000;
  constexpr std::ptrdiff_t kShort = 16;
  const auto& fault = GetParam().fault;
  std::uint64_t seed = 1;
  while (seed < kEnoughSeeds && run_seed(seed, nullptr, fault).good()) ++seed;
  const auto shown = explain(seed, fault);
  ASSERT_NE(shown, "seed " + std::to_string(seed) + ": good") << "not found";
  EXPECT_TRUE(shown.starts_with("seed " + std::to_string(seed) + ": ")) << shown;

  // What is shown is a script: it fails with the fault, and is good without.
  std::string bad_line;
  const auto script = parse_script(shown.substr(shown.rfind("\n\nknobs")), bad_line);
  ASSERT_TRUE(script) << bad_line << '\n' << shown;
  EXPECT_FALSE(run_script(*script, fault).good()) << shown;
  EXPECT_TRUE(run_script(*script).good()) << shown;
  EXPECT_LE(static_cast<std::ptrdiff_t>(script->steps.size()), kShort) << shown;
  // Nothing can be left out.
  for (std::size_t i = 0; i < script->steps.size(); ++i) {
    auto less = *script;
    less.steps.erase(less.steps.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_TRUE(run_script(less, fault).good()) << to_string(script->steps[i]) << '\n' << shown;
  }
}

template <class Member, class Value>
Planted off_by(const char* name, Member core::Config::*member, Value by) {
  return {name, {[=](core::Config& config) { config.*member += by; }}};
}

Planted quota(const char* name, std::uint64_t core::Quota::*member) {
  return {name, {[=](core::Config& config) { ++(config.quotas.each.*member); }}};
}

Planted wrong(const char* name, WrongTransition transition) { return {name, {{}, transition}}; }

INSTANTIATE_TEST_SUITE_P(
    Transitions, PlantedFaultTest,
    ::testing::Values(
        wrong("a lost backend counts as dead", WrongTransition::kLostIsDead),
        wrong("a disconnect is taken for an exit", WrongTransition::kDisconnectIsDeath),
        wrong("an exit is taken for a disconnect", WrongTransition::kDeathIsDisconnect),
        wrong("a child with the connection does not count", WrongTransition::kChildIsNobody),
        wrong("a timeout counts as an ack", WrongTransition::kTimeoutIsAck),
        wrong("a timeout is waited for", WrongTransition::kTimeoutIsWaited),
        wrong("a failure counts as an ack", WrongTransition::kFailureIsAck),
        wrong("an ack counts as a failure", WrongTransition::kAckIsFailure),
        wrong("working gives no time", WrongTransition::kWorkingIsIgnored),
        wrong("working counts as an ack", WrongTransition::kWorkingIsAck),
        wrong("deregistered counts as dead", WrongTransition::kDeregisterIsDeath),
        wrong("garbage counts as a disconnect", WrongTransition::kGarbageIsDisconnect),
        wrong("cancel does nothing", WrongTransition::kCancelIsIgnored),
        wrong("resume does nothing", WrongTransition::kResumeIsIgnored),
        wrong("activity moves nothing", WrongTransition::kActivityIsIgnored),
        wrong("a restart expects nobody", WrongTransition::kRestartForgets),
        wrong("a restart forgets keys", WrongTransition::kRestartForgetsKeys),
        wrong("a restart forgets quiesces", WrongTransition::kRestartForgetsQuiesces),
        wrong("who would quiesce is quiesced", WrongTransition::kPreflightQuiesces),
        wrong("a preflight joins a real request", WrongTransition::kPreflightJoins),
        wrong("a preflight begins a hold", WrongTransition::kPreflightHolds),
        wrong("the deadline of the whole is not kept", WrongTransition::kDeadlineIsIgnored),
        wrong("who asked is not known", WrongTransition::kUserIsIgnored),
        wrong("saving forgets keys", WrongTransition::kSaveForgetsKeys),
        wrong("saving forgets quiesces", WrongTransition::kSaveForgetsQuiesces),
        wrong("saving forgets times", WrongTransition::kSaveForgetsTime),
        wrong("a process that was refused is nobody", WrongTransition::kRefusedIsNobody),
        wrong("one that was turned away is nobody", WrongTransition::kTurnedAwayIsNobody),
        wrong("any registration is all of its process", WrongTransition::kAnyRegistrationIsAll),
        wrong("one that does not say was never refused", WrongTransition::kSaysNotIsNone),
        wrong("a restart forgets that one was refused", WrongTransition::kRestartForgetsRefused),
        wrong("saving forgets who is not listed", WrongTransition::kSaveForgetsMissed),
        wrong("one that cannot be seen is gone", WrongTransition::kUnseenIsGone),
        wrong("one that cannot be seen is seen", WrongTransition::kUnseenIsSeen),
        wrong("one takes the place of all that cannot be seen",
              WrongTransition::kOneReplacesAllUnseen),
        wrong("forgetting who cannot be seen does nothing",
              WrongTransition::kForgetUnseenIsIgnored),
        wrong("saving forgets who cannot be seen", WrongTransition::kSaveForgetsUnseen),
        wrong("saving forgets who took a place", WrongTransition::kSaveForgetsPlaces),
        wrong("half closed counts as closed", WrongTransition::kHalfClosedIsClosed),
        wrong("half closed is taken for an exit", WrongTransition::kHalfClosedIsDeath),
        wrong("who has a half-closed connection does not count",
              WrongTransition::kHalfClosedIsNobodys),
        wrong("a half-closed connection has no end", WrongTransition::kHalfClosedStays)));

INSTANTIATE_TEST_SUITE_P(
    Holds, PlantedFaultTest,
    ::testing::Values(
        wrong("it is verified without a scan", WrongTransition::kScanIsImagined),
        wrong("what could not be seen is clear", WrongTransition::kUnknownIsClear),
        wrong("who may hold something does", WrongTransition::kPossiblyIsSure),
        wrong("a hold is a millisecond longer", WrongTransition::kTimeIsLonger),
        wrong("ending a hold does nothing", WrongTransition::kEndHoldIsIgnored),
        wrong("a lease does not end with its connection", WrongTransition::kLeftIsIgnored),
        wrong("who leaves has ended the hold", WrongTransition::kLeftIsEnd),
        wrong("keeping a hold does nothing", WrongTransition::kKeepIsIgnored),
        wrong("a detached hold stays a lease", WrongTransition::kDetachIsKeep),
        wrong("anybody keeps a hold", WrongTransition::kAnybodyKeeps),
        wrong("the end of a hold is told to nobody", WrongTransition::kEndIsLost),
        wrong("the end of a hold is told twice", WrongTransition::kEndIsToldTwice),
        wrong("a restart forgets holds", WrongTransition::kRestartForgetsHolds),
        wrong("a restart forgets whom holds select", WrongTransition::kRestartHoldsAll),
        wrong("saving forgets holds", WrongTransition::kSaveForgetsHolds),
        wrong("saving forgets who is held", WrongTransition::kSaveForgetsHeld),
        wrong("a violation is told twice", WrongTransition::kSaveForgetsHolders),
        off_by("a hold may be longer", &core::Config::max_hold_ttl, milliseconds(1)),
        off_by("a hold is scanned later", &core::Config::hold_scan_interval, milliseconds(1)),
        off_by("a verification is scanned later", &core::Config::verify_scan_interval,
               milliseconds(1)),
        off_by("an operator has longer to return", &core::Config::restart_grace, milliseconds(1)),
        quota("one hold more of a user", &core::Quota::holds)));

INSTANTIATE_TEST_SUITE_P(
    Faults, PlantedFaultTest,
    ::testing::Values(
        off_by("an answer has a millisecond more", &core::Config::ack_timeout, milliseconds(1)),
        off_by("the longest timeout is longer", &core::Config::max_ack_timeout, milliseconds(1)),
        off_by("the grace is longer", &core::Config::reconnect_grace, milliseconds(1)),
        off_by("registering has more time", &core::Config::register_timeout, milliseconds(1)),
        off_by("one broadcast more", &core::Config::max_broadcasts, 1U),
        off_by("one report more", &core::Config::max_reports, 1U),
        off_by("one target more in the reports", &core::Config::max_report_targets, 1U),
        off_by("bytes more in the reports", &core::Config::max_report_bytes, 700U),
        off_by("one dead entry more", &core::Config::max_dead, 1U),
        off_by("one refused process more", &core::Config::max_refused, 1U),
        off_by("the dead stay longer", &core::Config::dead_age, milliseconds(1)),
        Planted{"no policy", {[](core::Config& config) { config.policy = nullptr; }}},
        Planted{"another policy", {[](core::Config& config) {
                  if (config.policy != nullptr) config.policy = policy_of(1);
                }}},
        quota("one connection more", &core::Quota::connections),
        quota("one registration more", &core::Quota::registrations),
        quota("one broadcast more of a user", &core::Quota::broadcasts),
        quota("a byte more in the reports of a user", &core::Quota::report_bytes),
        quota("one message more of a user", &core::Quota::queued_bytes),
        Planted{"nobody has more", {[](core::Config& config) { config.quotas.of_uid.clear(); }}},
        off_by("ids of this run begin too high", &core::Config::next_id_at_start, 1U),
        off_by("ids of the host begin too high", &core::Config::first_id_ever, 1U)));

}  // namespace
}  // namespace muster::simulator
