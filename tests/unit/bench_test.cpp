// The bench's own parts: a client that handles frames without Protobuf must do as Protobuf would.
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bench/frames.h"
#include "bench/json_writer.h"
#include "bench/measure.h"
#include "bench/options.h"
#include "bench/run.h"
#include "bench/text.h"
#include "wire/backend_lane.h"
#include "wire/framing.h"

namespace muster::bench {
namespace {

TEST(BenchFrames, AnAckIsWhatTheWireWouldWrite) {
  AckWriter writer;
  for (const std::uint64_t id :
       {std::uint64_t{1}, std::uint64_t{127}, std::uint64_t{128}, std::uint64_t{1'000'000},
        std::uint64_t{1} << 40, std::numeric_limits<std::uint64_t>::max()}) {
    EXPECT_EQ(writer.write(id), wire::encode(id, Ack{})) << id;
  }
}

TEST(BenchFrames, AnOperationIsToldFromEverythingElse) {
  const std::string operation = sample_operation_frame();
  const Seen seen = see_frame(operation + "rest");
  EXPECT_EQ(seen.kind, Seen::Kind::kOperation);
  EXPECT_EQ(seen.bytes, operation.size());
  EXPECT_EQ(seen.request_id, 1'000'000u);

  const std::string registered = sample_registered_frame();
  EXPECT_EQ(see_frame(registered).kind, Seen::Kind::kRegistered);
  EXPECT_EQ(see_frame(registered).bytes, registered.size());
  EXPECT_EQ(see_frame(wire::encode_cancel(wire::kBackendLane, 7)).kind, Seen::Kind::kOther);
}

TEST(BenchFrames, APieceOfAFrameIsWaitedForAndAWrongOneIsBad) {
  const std::string operation = sample_operation_frame();
  for (std::size_t size = 0; size < operation.size(); ++size) {
    EXPECT_EQ(see_frame(std::string_view(operation).substr(0, size)).kind, Seen::Kind::kPartial);
  }
  EXPECT_EQ(see_frame("\x02" + operation.substr(1)).kind, Seen::Kind::kBad);
}

// The floor sends and gets what musterd does, so it must be of the size that the comparison is
// about: some 100 bytes there.
TEST(BenchFrames, AnOperationHasTheSizeThatIsCompared) {
  EXPECT_GE(sample_operation_frame().size(), 80u);
  EXPECT_LE(sample_operation_frame().size(), 120u);
}

TEST(BenchMeasure, MedianAndQuantile) {
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({9, 1, 5}), 5);
  EXPECT_EQ(median({4, 1, 2, 9}), 3);
  EXPECT_EQ(mean({}), 0);
  EXPECT_EQ(mean({1, 2, 6}), 3);
  EXPECT_EQ(quantile({}, 0.99), 0);
  EXPECT_EQ(quantile({5, 4, 3, 2, 1}, 0.5), 3);
  EXPECT_EQ(quantile({5, 4, 3, 2, 1}, 0.99), 5);
  EXPECT_EQ(quantile({5, 4, 3, 2, 1}, 0), 1);
}

TEST(BenchRun, ATurnHasRoundsForItsTimeAndNoMoreThanTheBrokerRemembers) {
  EXPECT_EQ(rounds_for(1'000, 150), 25u);
  EXPECT_EQ(rounds_for(10'000, 150), 5u);
  EXPECT_EQ(rounds_for(10, 150), 500u);
  EXPECT_EQ(rounds_for(1'000, 60'000), 500u);
  EXPECT_EQ(rounds_for(10'000, 60'000), 50u);
}

TEST(BenchRun, SaysWhyACountCannotBeHad) {
  EXPECT_EQ(why_impossible(Mode::kOneProcess, 10'000, 20'000), "");
  EXPECT_EQ(why_impossible(Mode::kProcessEach, 9'900, 20'000), "");
  EXPECT_EQ(why_impossible(Mode::kProcessEach, 10'000, 20'000),
            "a server needs 20128 descriptors for 10000 backends and may have 20000");
}

TEST(BenchOptions, AMusterdIsNamedWithItsProgramAndItsArguments) {
  const NamedMusterd uring = parse_named("uring=--transport io_uring");
  EXPECT_EQ(uring.name, "uring");
  EXPECT_EQ(uring.words, (std::vector<std::string>{"--transport", "io_uring"}));
  EXPECT_EQ(parse_named("old=/opt/old/musterd").words,
            std::vector<std::string>{"/opt/old/musterd"});
  EXPECT_THROW(static_cast<void>(parse_named("nothing")), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(parse_named("=--transport epoll")), std::invalid_argument);
}

TEST(BenchText, NumbersHaveThreeDigitsAndTheirUnits) {
  EXPECT_EQ(three_digits(0.0714), "0.071");
  EXPECT_EQ(three_digits(4.712), "4.71");
  EXPECT_EQ(three_digits(34.02), "34.0");
  EXPECT_EQ(three_digits(4483.8), "4484");
  EXPECT_EQ(grouped(10), "10");
  EXPECT_EQ(grouped(1'000), "1,000");
  EXPECT_EQ(grouped(1'234'567), "1,234,567");
  EXPECT_EQ(figure("lateness_worst_ms", 1.5), "lateness worst 1.50 ms");
  EXPECT_EQ(figure("floor_per_s", 63'000), "floor 63000/s");
  EXPECT_EQ(figure("context_switches", 0), "context switches 0");
}

TEST(BenchJson, NestsAndEscapes) {
  JsonWriter json;
  json.begin_object().member("text", "a \"b\" \\ \n").member("number", 0.25).member("count", 3U);
  json.key("list").begin_array();
  json.begin_object().member("x", 1).key("none").begin_array().end().end();
  json.begin_object().member("infinite", 1.0 / 0.0).end().end();
  EXPECT_EQ(json.end().take(),
            "{\n"
            "  \"text\": \"a \\\"b\\\" \\\\ \\u000a\",\n"
            "  \"number\": 0.25,\n"
            "  \"count\": 3,\n"
            "  \"list\": [\n"
            "    {\"x\": 1, \"none\": []},\n"
            "    {\"infinite\": null}\n"
            "  ]\n"
            "}\n");
}

}  // namespace
}  // namespace muster::bench
