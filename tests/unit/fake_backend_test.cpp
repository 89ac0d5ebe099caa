// What may be written for a fake backend's behaviour, and what comes of it.
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "fake_backend/behaviour.h"
#include "fake_backend/duration.h"
#include "fake_backend/garbage.h"
#include "wire/backend_lane.h"
#include "wire/framing.h"

namespace muster::fake {
namespace {

using namespace std::chrono_literals;

Behaviour parsed(std::string_view text) {
  const Behaviour::Parsed result = Behaviour::parse(text);
  EXPECT_EQ(result.problem, "") << text;
  return result.behaviour;
}

std::string problem_of(std::string_view text) { return Behaviour::parse(text).problem; }

TEST(FakeBackendDuration, IsAtMostADayAndZeroNeedsNoUnit) {
  EXPECT_EQ(read_duration("200ms"), 200ms);
  EXPECT_EQ(read_duration("24h"), 24h);
  EXPECT_EQ(read_duration("1d"), 24h);
  EXPECT_EQ(read_duration("0"), 0ms);
  for (const char* bad : {"", "5", "-1s", "25h", "1d1ms"}) {
    EXPECT_EQ(read_duration(bad), std::nullopt) << bad;
  }
}

TEST(FakeBackendBehaviour, WithoutArgumentsIsItsName) {
  EXPECT_EQ(parsed("ack"), (Behaviour{Act::kAck}));
  EXPECT_EQ(parsed("silent"), (Behaviour{Act::kSilent}));
  EXPECT_EQ(parsed("stop-reading"), (Behaviour{Act::kStopReading}));
  EXPECT_EQ(parsed("second-connection"), (Behaviour{Act::kSecondConnection}));
}

TEST(FakeBackendBehaviour, TakesDelaysAndCounts) {
  EXPECT_EQ(parsed("ack-after:200ms"), (Behaviour{Act::kAckAfter, 200ms}));
  EXPECT_EQ(parsed("late:1s"), (Behaviour{Act::kLate, 1s}));
  EXPECT_EQ(parsed("work:300ms:3"), (Behaviour{Act::kWork, 300ms, 3}));
}

TEST(FakeBackendBehaviour, HasDefaultsForWhatMayBeLeftOut) {
  EXPECT_EQ(parsed("drop-return"), (Behaviour{Act::kDropReturn, 0ms}));
  EXPECT_EQ(parsed("drop-return:50ms"), (Behaviour{Act::kDropReturn, 50ms}));
  EXPECT_EQ(parsed("byte-by-byte"), (Behaviour{Act::kByteByByte, 1ms}));
  EXPECT_EQ(parsed("flood"), (Behaviour{Act::kFlood, 0ms, 10'000}));
  EXPECT_EQ(parsed("flood:7"), (Behaviour{Act::kFlood, 0ms, 7}));
  EXPECT_EQ(parsed("garbage"), (Behaviour{Act::kGarbage, 0ms, 0, "bytes"}));
}

TEST(FakeBackendBehaviour, TakesATextWithColonsInIt) {
  EXPECT_EQ(parsed("reject"), (Behaviour{Act::kReject}));
  EXPECT_EQ(parsed("reject:busy: try later"), (Behaviour{Act::kReject, 0ms, 0, "busy: try later"}));
}

TEST(FakeBackendBehaviour, SaysWhatIsWrongWithABadOne) {
  EXPECT_EQ(problem_of("akc"), "\"akc\" is no behaviour: see --help for all of them");
  EXPECT_EQ(problem_of("ack:1s"), "\"ack\" takes nothing behind a colon");
  EXPECT_EQ(problem_of("late"), "\"\" is no duration: write late:D, D like 200ms or 2s");
  EXPECT_EQ(problem_of("work:300ms"), "\"work\" needs two: write work:D:N, D like 200ms or 2s");
  EXPECT_EQ(problem_of("work:300ms:0"),
            "\"0\" is no count from 1 to 1000000: write work:D:N, D like 200ms or 2s");
  EXPECT_EQ(problem_of("work:300ms:3x"),
            "\"3x\" is no count from 1 to 1000000: write work:D:N, D like 200ms or 2s");
  EXPECT_EQ(problem_of("garbage:nice"), "\"nice\" is no kind of garbage: see --help");
}

TEST(FakeBackendBehaviour, IsAllInTheHelp) {
  const std::string help = behaviours_help();
  for (const char* name :
       {"ack ", "ack-after:D", "work:D:N", "garbage[:KIND]", "drop-return[:D]"}) {
    EXPECT_NE(help.find(name), std::string::npos) << name;
  }
}

// The broker's own decoder refuses every kind that can be cut into a frame at all.
TEST(FakeBackendGarbage, IsRefusedByTheWire) {
  const std::string registration = wire::encode(1, Registration{});
  for (const char* kind : {"bytes", "framing", "length", "huge"}) {
    ASSERT_TRUE(is_garbage_kind(kind));
    EXPECT_EQ(wire::next_frame(garbage(kind, 7, registration), wire::kMaxBackendBody).status,
              wire::FrameView::Status::kBad)
        << kind;
  }
  wire::BackendFrameDecoder decoder;
  wire::BackendFrame frame;
  for (const char* kind : {"body", "lane", "version", "encoding", "kind", "message"}) {
    ASSERT_TRUE(is_garbage_kind(kind));
    const std::string bytes = garbage(kind, 7, registration);
    const auto view = wire::next_frame(bytes, wire::kMaxBackendBody);
    ASSERT_EQ(view.status, wire::FrameView::Status::kComplete) << kind;
    EXPECT_NE(decoder.decode(view.body, frame), "") << kind;
  }
  EXPECT_EQ(garbage("register", 7, registration), registration);
}

// Each kind is wrong in one thing only: without it, it is the ack that a backend sends.
TEST(FakeBackendGarbage, IsAnAckButForOneThing) {
  std::string almost = garbage("framing", 7, "");
  almost[0] = 1;
  wire::BackendFrameDecoder decoder;
  wire::BackendFrame frame;
  const auto view = wire::next_frame(almost, wire::kMaxBackendBody);
  ASSERT_EQ(view.status, wire::FrameView::Status::kComplete);
  EXPECT_EQ(decoder.decode(view.body, frame), "");
  EXPECT_EQ(frame.request_id, 7u);
  EXPECT_TRUE(std::holds_alternative<Ack>(frame.message));
}

}  // namespace
}  // namespace muster::fake
