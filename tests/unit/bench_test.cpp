// The bench's own parts: a client that handles frames without Protobuf must do as Protobuf would.
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "bench/frames.h"
#include "bench/measure.h"
#include "bench/run.h"
#include "bench/table.h"
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
  const SeenFrame seen = see_frame(operation + "rest");
  EXPECT_EQ(seen.kind, SeenFrame::Kind::kOperation);
  EXPECT_EQ(seen.bytes, operation.size());
  EXPECT_EQ(seen.request_id, 1'000'000u);

  const std::string registered = sample_registered_frame();
  EXPECT_EQ(see_frame(registered).kind, SeenFrame::Kind::kOther);
  EXPECT_EQ(see_frame(registered).bytes, registered.size());
  EXPECT_EQ(see_frame(wire::encode_cancel(wire::kBackendLane, 7)).kind, SeenFrame::Kind::kOther);
}

TEST(BenchFrames, APieceOfAFrameIsBad) {
  const std::string operation = sample_operation_frame();
  for (std::size_t size = 0; size < operation.size(); ++size) {
    EXPECT_EQ(see_frame(std::string_view(operation).substr(0, size)).kind, SeenFrame::Kind::kBad);
  }
  EXPECT_EQ(see_frame("\x02" + operation.substr(1)).kind, SeenFrame::Kind::kBad);
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
  EXPECT_EQ(why_impossible(9'900, 20'000), "");
  EXPECT_EQ(why_impossible(10'000, 20'000),
            "musterd needs 20064 descriptors for 10000 backends (a socket and a pidfd each) and "
            "may have 20000");
}

TEST(BenchTable, WritesWhatWasMeasuredAndWhatWasLeftOut) {
  Case measured;
  measured.options.count = 100;
  measured.floor.median_ms = 0.5;
  measured.musterd.median_ms = 0.75;
  measured.musterd.rounds_ms = {0.7, 0.75, 0.8};
  measured.ratio = 1.5;
  measured.cpu_ratio = 1.25;
  Case left_out;
  left_out.options.mode = Mode::kProcessEach;
  left_out.options.count = 10'000;
  left_out.skipped = "too many";
  EXPECT_EQ(to_json({measured, left_out}, true),
            "{\"cases\": [\n"
            "  {\"peers\": \"one process\", \"n\": 100, \"floor\": {\"median_ms\": 0.500000, "
            "\"p99_ms\": 0.000000, \"cpu_us_each\": 0.0000, \"idle_bytes_each\": 0, "
            "\"registrations_per_s\": 0, \"operator_ms\": 0.000000, \"rounds\": 0}, "
            "\"musterd\": {\"median_ms\": 0.750000, \"p99_ms\": 0.000000, "
            "\"cpu_us_each\": 0.0000, \"idle_bytes_each\": 0, \"registrations_per_s\": 0, "
            "\"operator_ms\": 0.000000, \"rounds\": 3}, \"ratio\": 1.5000, "
            "\"cpu_ratio\": 1.2500},\n"
            "  {\"peers\": \"a process each\", \"n\": 10000, \"skipped\": \"too many\"}\n]}\n");
}

}  // namespace
}  // namespace muster::bench
