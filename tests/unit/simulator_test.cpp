// The simulator: random scripts against the oracle, scripts that once failed, and whether it finds
// what it should.
#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "simulator/run.h"
#include "simulator/simulation.h"

namespace muster::simulator {
namespace {

constexpr std::uint64_t kSeedsEach = 2'600;
constexpr std::uint64_t kParts = 8;  // 20,800 scripts, in parts that run side by side

class RandomScriptsTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomScriptsTest, TheCoreDoesWhatTheOracleSays) {
  const auto first = 1 + GetParam() * kSeedsEach;
  for (auto seed = first; seed < first + kSeedsEach; ++seed) {
    if (!run_seed(seed).good()) FAIL() << explain(seed);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomScriptsTest, ::testing::Range<std::uint64_t>(0, kParts));

// Each once failed, made short.
const char* const kRegressions[] = {
    // The last CANCEL went out after the broker had said that it drained.
    R"(
      knobs ack_timeout=300
      connect connection=6 process=4
      register connection=6 key=0 ack=200 idle=-1 flags=0
      deliver connection=6
      shut_down
      advance us=200000
      fire which=0
    )",
    // So did the answer to Deregister.
    R"(
      knobs
      connect connection=1 process=1
      register connection=1 key=0 ack=-1 idle=-1 flags=0
      deliver connection=1
      shut_down
      deregister connection=1
      deliver connection=1
    )",
    // A backend that died twice in one moment was taken for the longest dead.
    R"(
      knobs max_dead=2
      connect connection=6 process=2
      register connection=6 key=0 ack=-1 idle=-1 flags=0
      deliver connection=6
      connect connection=9 process=0
      register connection=9 key=1 ack=-1 idle=-1 flags=0
      deliver connection=9
      exit process=0 child=0
      exit process=2 child=0
      connect connection=19 process=9
      register connection=19 key=7 ack=-1 idle=-1 flags=0
      exit process=9 child=0
      deliver connection=19
      gone connection=19
      gone connection=6
      connect connection=21 process=5
      register connection=21 key=7 ack=-1 idle=-1 flags=0
      exit process=5 child=0
      deliver connection=21
      gone connection=21
      gone connection=9
    )",
    // A queue that overflowed on a connection that was gone already counted as a slow reader.
    R"(
      knobs
      connect connection=1 process=1
      close connection=1
      deliver connection=1
      ghost connection=1 what=7
    )",
    // A process that registered again took the place of a second one that could not be seen.
    R"(
      knobs
      connect connection=3 process=0
      register connection=3 key=1 ack=-1 idle=-1 flags=0
      deliver connection=3
      connect connection=4 process=8
      register connection=4 key=1 ack=-1 idle=-1 flags=0
      deliver connection=4
      restart keep=0 no_roster=0 in=1
      connect connection=6 process=1
      register connection=6 key=1 ack=-1 idle=-1 flags=0
      deregister connection=6
      deliver connection=6
      deliver connection=6
      connect connection=7 process=1
      register connection=7 key=1 ack=-1 idle=-1 flags=0
      deliver connection=7
    )",
    // One that nothing tells apart was refused again, and listed a second time.
    R"(
      knobs
      connect connection=5 process=3
      register connection=5 key=0 ack=-1 idle=-1 flags=0
      deliver connection=5
      connect connection=16 process=8
      register connection=16 key=0 ack=-1 idle=-1 flags=0
      deliver connection=16
      restart keep=1 no_roster=0 in=1
      connect connection=25 process=8
      register connection=25 key=0 ack=-1 idle=-1 flags=0
      deliver connection=25
      connect connection=26 process=8
      register connection=26 key=0 ack=-1 idle=-1 flags=0
      deliver connection=26
    )",
    // The end of a quiesce with a time was told twice to who had acked it.
    R"(
      knobs
      connect connection=4 process=2
      register connection=4 key=7 ack=-1 idle=-1 flags=0
      deliver connection=4
      start id=4 operation=4 ack=-1 selection=0 key=0 by=2 deadline=0 verify=0 hold=2 ttl=50
      ack connection=4 id=4
      deliver connection=4
      advance us=50000
      fire which=0
    )",
    // So was that it is resumed, to who had acked it and come back.
    R"(
      knobs
      connect connection=1 process=1
      register connection=1 key=0 ack=-1 idle=-1 flags=0
      deliver connection=1
      start id=1 operation=4 ack=-1 selection=0 key=0 by=1 deadline=0 verify=0 hold=1 ttl=0
      ack connection=1 id=1
      deliver connection=1
      connect connection=2 process=1
      register connection=2 key=0 ack=-1 idle=-1 flags=0
      deliver connection=2
      resume id=1 selection=0
    )",
    // A broker that verified a release when it was told to go down had drained before it quiesced
    // anybody.
    R"(
      knobs
      start id=1 operation=0 ack=-1 selection=0 key=0 by=1 deadline=0 verify=1 hold=0 ttl=0
      connect connection=1 process=1
      register connection=1 key=0 ack=-1 idle=-1 flags=0
      deliver connection=1
      shut_down restart=0
    )",
    // The report of a hold that went on had to make room.
    R"(
      knobs max_reports=1
      start id=1 operation=0 ack=-1 selection=0 key=0 by=1 deadline=0 verify=0 hold=1 ttl=0
      start id=2 operation=0 ack=-1 selection=0 key=0 by=1 deadline=0 verify=0 hold=0 ttl=0
      list selection=0
    )",
};

// What is recorded of a seed is the whole of it.
TEST(ReplayTest, ARecordedRunGoesAsItWent) {
  for (std::uint64_t seed = 1; seed < 50; ++seed) {
    Script script;
    const auto live = run_seed(seed, &script);
    std::string bad_line;
    const auto read = parse_script(to_string(script), bad_line);
    ASSERT_TRUE(read) << bad_line;
    EXPECT_EQ(*read, script);
    std::ostringstream out;
    const auto again = replay(*read, out);
    EXPECT_EQ(again.steps, live.steps);
    EXPECT_EQ(again.counters, live.counters);
    EXPECT_EQ(again.problem, "");
  }
}

TEST(ReplayTest, EachStepIsShownWithWhatTheBrokerDid) {
  std::string bad_line;
  const auto script = parse_script(
      "connect connection=1 process=1\nclose connection=9\n"
      "garbage connection=1\ndeliver connection=1\nsave\n",
      bad_line);
  ASSERT_TRUE(script) << bad_line;
  std::ostringstream out;
  EXPECT_EQ(replay(*script, out).problem, "");
  EXPECT_EQ(out.str(), R"(connect connection=1 process=1
garbage connection=1
deliver connection=1
  sends
    connection 1: refused 1 3
    connection 1: hang up 0
  reports
    peer refused broadcast 0 key 8 pid 100 uid 54000 more 0
save
)");
}

TEST(RegressionTest, WhatOnceFailedIsGoodNow) {
  for (const auto* text : kRegressions) {
    std::string bad_line;
    const auto script = parse_script(text, bad_line);
    ASSERT_TRUE(script) << "no step: " << bad_line;
    const auto outcome = run_script(*script);
    EXPECT_TRUE(outcome.good()) << outcome.problem << "\n" << text;
    Simulation simulation(script->knobs);
    for (const auto& step : script->steps) {
      EXPECT_TRUE(simulation.apply(step)) << to_string(step) << " does nothing in\n" << text;
    }
  }
}

TEST(ScriptTest, ASeedGivesTheSameScriptEveryTime) {
  Script once;
  Script again;
  Script other;
  const auto first = run_seed(77, &once);
  const auto second = run_seed(77, &again);
  (void)run_seed(78, &other);
  EXPECT_EQ(once, again);
  EXPECT_EQ(first.steps, second.steps);
  EXPECT_EQ(first.counters, second.counters);
  EXPECT_NE(once, other);
}

TEST(ScriptTest, ARecordedScriptRunsAsItsSeedDid) {
  for (std::uint64_t seed = 500; seed < 600; ++seed) {
    Script script;
    const auto ran = run_seed(seed, &script);
    const auto replayed = run_script(script);
    EXPECT_EQ(ran.steps, replayed.steps) << seed;
    EXPECT_EQ(ran.counters, replayed.counters) << seed;
    EXPECT_EQ(ran.problem, replayed.problem) << seed;
  }
}

TEST(ScriptTest, AScriptReadsBackAsItWasWritten) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Script script;
    (void)run_seed(seed, &script);
    const auto text = to_string(script);
    std::string bad_line;
    const auto read = parse_script(text, bad_line);
    ASSERT_TRUE(read) << bad_line;
    EXPECT_EQ(*read, script) << text;
  }
}

TEST(ScriptTest, CommentsAndEmptyLinesAreLeftOut) {
  std::string bad_line;
  const auto script =
      parse_script("# a comment\n\n  knobs grace=7 # why\n\tclose connection=4\n", bad_line);
  ASSERT_TRUE(script) << bad_line;
  EXPECT_EQ(script->knobs.grace, 7);
  EXPECT_EQ(to_string(*script), "knobs grace=7\nclose connection=4\n");
}

TEST(ScriptTest, ALineThatIsNoStepIsNamed) {
  for (const std::string line :
       {"open connection=1", "close", "close connection=", "close connection=x", "close process=1",
        "close connection=1 process=1", "close connection=1x", "knobs nothing=1", "knobss"}) {
    std::string bad_line;
    EXPECT_FALSE(parse_script("knobs\n" + line + "\n", bad_line)) << line;
    EXPECT_EQ(bad_line, line);
  }
}

// A run without what makes the cases hard would prove little.
TEST(RandomScriptsCoverTest, EveryKindOfThingHappensOften) {
  Counters sum;
  Cases cases;
  std::set<StepKind> kinds;
  for (std::uint64_t seed = 1; seed <= 10'000; ++seed) {
    Script script;
    const auto outcome = run_seed(seed, &script);
    add(sum, outcome.counters);
    cases.add(outcome.cases);
    for (const auto& step : script.steps) kinds.insert(step.kind);
  }
  EXPECT_EQ(kinds.size(), kStepKinds);
  for (std::size_t i = 0; i < kCases; ++i) {
    const auto what = static_cast<Case>(i);
    EXPECT_GE(cases.of(what), 5u) << to_string(what);
  }
  EXPECT_GT(sum.acks, 600u);
  EXPECT_GT(sum.timeouts, 600u);
  EXPECT_GT(sum.failures, 400u);
  EXPECT_GT(sum.skipped_dead, 300u);
  EXPECT_GT(sum.redeliveries, 50u);
  EXPECT_GT(sum.late_answers, 20u);
  EXPECT_GT(sum.duplicate_answers, 40u);
  EXPECT_GT(sum.unmatched_answers, 100u);
  EXPECT_GT(sum.slow_readers, 50u);
  EXPECT_GT(sum.protocol_errors, 60u);
  EXPECT_GT(sum.refusals, 400u);
}

TEST(ShrinkTest, OnlyWhatMattersIsLeft) {
  Script script;
  for (std::int64_t i = 0; i < 100; ++i) script.steps.push_back({StepKind::kAdvance, {i}});
  script.knobs.grace = 3;
  script.knobs.queue = 9;
  // Fails when 30 comes before 71 and the grace is not the usual one.
  const auto fails = [](const Script& candidate) {
    const auto at = [&](std::int64_t us) {
      return std::find(candidate.steps.begin(), candidate.steps.end(),
                       Step{StepKind::kAdvance, {us}});
    };
    const auto end = candidate.steps.end();
    return at(30) != end && at(71) != end && at(30) < at(71) && candidate.knobs.grace == 3;
  };
  EXPECT_EQ(to_string(shrink(script, fails)), "knobs grace=3\nadvance us=30\nadvance us=71\n");
}

}  // namespace
}  // namespace muster::simulator
