// Reports and events are written without Protobuf's objects: the bytes are those that Protobuf
// would write.
#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "muster/v1/control.pb.h"

#include "support/key_of.h"
#include "support/wire_golden_lane.h"
#include "support/wire_random.h"
#include "wire/control_lane.h"
#include "wire/protobuf.h"
#include "wire/views.h"

namespace muster::wire {
namespace {

// What Protobuf reads in the bytes, written by Protobuf.
template <typename Proto>
std::string written_by_protobuf(const std::string& bytes) {
  Proto message;
  EXPECT_TRUE(message.ParseFromString(bytes));
  return serialize(message);
}

using test::key_of;

BackendOutcome outcome(OutcomeKind kind) {
  BackendOutcome outcome;
  outcome.key = key_of("zccache");
  outcome.outcome = kind;
  return outcome;
}

TEST(WireReportEncode, EveryFieldIsWrittenAsProtobufWouldWriteIt) {
  BroadcastReport report(BroadcastOperation::release_handles("/a/\xFF"));
  report.broadcast_id = ~std::uint64_t{0};
  report.state = BroadcastState::kCancelled;
  for (int i = 0; i < 300; ++i) {
    const auto name = "service-" + std::to_string(i);
    report.result.acks.push_back({key_of(name)});
    report.result.skipped_dead.push_back(key_of(name));
    report.result.timeouts.push_back({key_of(name), std::chrono::milliseconds(i * 1000)});
    report.result.failures.push_back({key_of(name), BroadcastFailureReason::kRejected});
    auto& backend = report.backends.emplace_back(outcome(static_cast<OutcomeKind>(i % 5)));
    backend.incarnation = static_cast<std::uint64_t>(i) << 40;
    backend.pid = i - 150;
    backend.uid = ~0U;
    backend.reason = BroadcastFailureReason::kBackendError;
    backend.detail = std::string(static_cast<std::size_t>(i) * 5, 'd');
    backend.note = "caf\xC3";
    backend.ack_timeout = std::chrono::milliseconds(i);
    backend.latency = std::chrono::microseconds(i);
    if (i % 2 == 0) backend.percent = i;
    backend.extensions = static_cast<std::uint32_t>(i);
    backend.redeliveries = 1;
  }
  report.late_acks = {{key_of("late"), std::chrono::microseconds(1500), {}, ""}};
  report.late_failures = {
      {key_of("later"), std::chrono::seconds(2), BroadcastFailureReason::kRejected, "no"}};
  report.started_unix_ms = 1'700'000'000'000;
  report.duration = std::chrono::microseconds(1);
  report.operation_key = "nightly";
  for (const Texts texts : {Texts::kAll, Texts::kNone}) {
    const std::string bytes = message_of(report, texts);
    EXPECT_EQ(bytes, written_by_protobuf<v1::BroadcastReport>(bytes));
    v1::BroadcastReport read;
    ASSERT_TRUE(read.ParseFromString(bytes));
    ASSERT_EQ(read.backends_size(), 300);
    EXPECT_EQ(read.backends(299).detail().size(), texts == Texts::kAll ? 1024u : 0u);
    EXPECT_EQ(read.backends(1).note(), texts == Texts::kAll ? "caf\xEF\xBF\xBD" : "");
    EXPECT_EQ(read.backends(0).pid(), -150);
    EXPECT_TRUE(read.backends(0).has_percent()) << "although it is 0";
    EXPECT_FALSE(read.backends(1).has_percent());
    EXPECT_EQ(read.backends(299).key().service_name(), "zccache");
    EXPECT_EQ(read.result().timeouts(7).timeout_ms(), 7000u);
    EXPECT_EQ(read.late_failures(0).lateness_ms(), 2000.0);
    EXPECT_EQ(read.broadcast_id(), ~std::uint64_t{0});
  }
}

BroadcastReport verified_and_held() {
  BroadcastReport report(BroadcastOperation::release_handles("/cache"));
  report.broadcast_id = 7;
  report.state = BroadcastState::kFinished;
  report.verify = true;
  report.verification = Verification{test::scan_that_found(), 3, std::chrono::microseconds(43'786)};
  HoldState& hold = report.hold.emplace();
  hold.leased = true;
  hold.since_unix_ms = 1'700'000'000'000;
  hold.violations = {{test::backend_that_holds(), 1'700'000'050'000}};
  hold.ended = HoldEnd::kExpired;
  return report;
}

TEST(WireReportEncode, AVerificationAndAHoldAreWrittenAsProtobufWouldWriteThem) {
  BroadcastReport report = verified_and_held();
  for (const Texts texts : {Texts::kAll, Texts::kNone}) {
    const std::string bytes = message_of(report, texts);
    EXPECT_EQ(bytes, written_by_protobuf<v1::BroadcastReport>(bytes));
    v1::BroadcastReport read;
    ASSERT_TRUE(read.ParseFromString(bytes));
    EXPECT_TRUE(read.verify());
    EXPECT_EQ(read.verification().scans(), 3u);
    EXPECT_EQ(read.verification().took_us(), 43'786u);
    EXPECT_EQ(read.verification().scan().verdict(), v1::HolderScan::HELD);
    EXPECT_EQ(read.verification().scan().holders(0).pid(), 4242);
    EXPECT_TRUE(read.hold().leased());
    EXPECT_EQ(read.hold().since_unix_ms(), 1'700'000'000'000u);
    EXPECT_EQ(read.hold().violations(0).holder().backend().service_name(), "zccache");
    EXPECT_EQ(read.hold().ended(), v1::HoldEnded::EXPIRED);
  }
  // Empty ones are not none.
  report.verification = Verification{};
  report.hold = HoldState{};
  const std::string bytes = message_of(report, Texts::kAll);
  EXPECT_EQ(bytes, written_by_protobuf<v1::BroadcastReport>(bytes));
  v1::BroadcastReport read;
  ASSERT_TRUE(read.ParseFromString(bytes));
  EXPECT_TRUE(read.has_verification());
  EXPECT_TRUE(read.has_hold());
  report.verification.reset();
  report.hold.reset();
  ASSERT_TRUE(read.ParseFromString(message_of(report, Texts::kAll)));
  EXPECT_FALSE(read.has_verification());
  EXPECT_FALSE(read.has_hold());
}

TEST(WireReportEncode, AnEmptyReportIsWrittenAsProtobufWouldWriteIt) {
  const std::string bytes = message_of(
      BroadcastReport(BroadcastOperation::quiesce(QuiesceReason::kMaintenance)), Texts::kAll);
  EXPECT_EQ(bytes, written_by_protobuf<v1::BroadcastReport>(bytes));
}

TEST(WireReportEncode, AnEventIsWrittenAsProtobufWouldWriteIt) {
  Event event;
  event.kind = Event::Kind::kOutcome;
  event.unix_ms = 1'700'000'000'000;
  event.broadcast_id = 7;
  event.key = key_of("zccache");
  event.pid = -1;
  event.uid = ~0U;
  event.detail = std::string(2000, 'd') + '\xFF';
  event.backend_outcome = outcome(OutcomeKind::kTimeout);
  event.targets = 1;
  event.acks = 200;
  event.timeouts = 3;
  event.failures = 4;
  event.skipped_dead = 5;
  event.operation = "release-handles /a/\xFF";
  event.joined = true;
  event.backends_unknown = true;
  const std::string bytes = message_of(event);
  EXPECT_EQ(bytes, written_by_protobuf<v1::ControlEvent>(bytes));
  v1::ControlEvent read;
  ASSERT_TRUE(read.ParseFromString(bytes));
  EXPECT_EQ(read.kind(), v1::ControlEvent::OUTCOME);
  EXPECT_EQ(read.unix_ms(), 1'700'000'000'000u);
  EXPECT_EQ(read.broadcast_id(), 7u);
  EXPECT_EQ(read.key().service_name(), "zccache");
  EXPECT_EQ(read.pid(), -1);
  EXPECT_EQ(read.uid(), ~0U);
  EXPECT_EQ(read.detail(), std::string(1024, 'd'));
  EXPECT_EQ(read.backend_outcome().outcome(), v1::BackendOutcome::TIMEOUT);
  EXPECT_EQ(read.targets(), 1u);
  EXPECT_EQ(read.acks(), 200u);
  EXPECT_EQ(read.timeouts(), 3u);
  EXPECT_EQ(read.failures(), 4u);
  EXPECT_EQ(read.skipped_dead(), 5u);
  EXPECT_TRUE(read.joined());
  EXPECT_TRUE(read.backends_unknown());
  EXPECT_EQ(read.operation(), "release-handles /a/\xEF\xBF\xBD");
}

TEST(WireReportEncode, AnEmptyEventIsWrittenAsProtobufWouldWriteIt) {
  const std::string bytes = message_of(Event{});
  EXPECT_EQ(bytes, written_by_protobuf<v1::ControlEvent>(bytes));
}

class ListedRows final : public ReportSource {
 public:
  [[nodiscard]] ReportHead head() const override {
    ReportHead head;
    head.broadcast_id = 7;
    head.state = BroadcastState::kCancelled;
    head.operation = &operation;
    head.started_unix_ms = 1'700'000'000'000;
    head.duration = std::chrono::microseconds(1500);
    head.operation_key = "nightly";
    head.verify = verify;
    head.verification = verification ? &*verification : nullptr;
    head.hold = hold ? &*hold : nullptr;
    return head;
  }
  void for_each_backend(const std::function<void(const OutcomeView&)>& visit) const override {
    std::for_each(backends.begin(), backends.end(), visit);
  }
  void for_each_late(const std::function<void(const LateView&)>& visit) const override {
    std::for_each(late.begin(), late.end(), visit);
  }

  BroadcastOperation operation = BroadcastOperation::release_handles("/a/\xFF");
  bool verify = false;
  std::optional<Verification> verification;
  std::optional<HoldState> hold;
  std::vector<OutcomeView> backends;
  std::vector<LateView> late;
};

TEST(WireReportEncode, RowsWithAVerificationAndAHoldAreWrittenAsTheValueThatTheyMake) {
  const std::uint64_t seed = test::random_seed();
  SCOPED_TRACE("MUSTER_TEST_SEED=" + std::to_string(seed));
  test::WireRandom random(seed);
  for (int i = 0; i < 200 && !testing::Test::HasFailure(); ++i) {
    ListedRows rows;
    rows.verify = random.chance();
    if (random.chance()) rows.verification = random.verification();
    if (random.chance()) rows.hold = random.hold_state();
    const BroadcastReport value = to_value(rows);
    EXPECT_EQ(value.verify, rows.verify);
    EXPECT_EQ(value.verification, rows.verification);
    EXPECT_EQ(value.hold, rows.hold);
    ReportKeys keys;
    EXPECT_EQ(encode(9, rows, keys), encode(9, ControlResponse(value)));
  }
}

TEST(WireReportEncode, RowsAreWrittenAsTheValueThatTheyMake) {
  std::vector<BackendKey> keys;
  for (int i = 0; i < 300; ++i) keys.push_back(key_of("service-" + std::to_string(i)));
  keys[1].instance = Instance::private_to("soldr");
  keys[2].replica = "two";
  const std::string detail(2000, 'd');
  ListedRows rows;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    OutcomeView row;
    row.key = &keys[i];
    row.incarnation = std::uint64_t{i} << 40;
    row.pid = static_cast<pid_t>(i) - 150;
    row.uid = ~0U;
    row.outcome = static_cast<OutcomeKind>(i % 5);
    if (row.outcome == OutcomeKind::kFailure) {
      row.reason = BroadcastFailureReason::kUnsupportedOperation;
      row.detail = std::string_view(detail).substr(0, i * 5);
    }
    row.ack_timeout = std::chrono::milliseconds(i);
    row.in_force = std::chrono::milliseconds(i * 1000);
    row.latency = std::chrono::microseconds(i);
    row.note = "caf\xC3";
    if (i % 2 == 0) row.percent = static_cast<std::uint32_t>(i);
    row.extensions = static_cast<std::uint32_t>(i);
    row.redeliveries = 1;
    rows.backends.push_back(row);
    rows.late.push_back(
        {&keys[i], std::chrono::microseconds(i),
         i % 2 == 0 ? std::optional<BroadcastFailureReason>() : BroadcastFailureReason::kRejected,
         detail});
  }
  const BroadcastReport value = to_value(rows);
  EXPECT_EQ(value.result.timeouts.at(1).timeout, std::chrono::seconds(7));
  EXPECT_EQ(value.late_failures.size(), 150u);
  for (const Texts texts : {Texts::kAll, Texts::kNone}) {
    MessageWriter out;
    ReportKeys known;
    write(RowsOfReport{rows, known}, texts, out);
    EXPECT_EQ(std::move(out).take(), message_of(value, texts));
  }
  ReportKeys known;
  const std::string encoded = encode(9, ControlResponse(value));
  EXPECT_EQ(encode(9, rows, known), encoded);
  EXPECT_EQ(encode(9, rows, known), encoded) << "with keys that are known";
}

// Keys of every length, in reports of every size, with incarnations that share places: whatever is
// remembered of a key is that incarnation's.
TEST(WireReportEncode, AKeyThatIsRememberedIsThatOfItsIncarnation) {
  std::vector<BackendKey> keys;
  for (std::size_t i = 0; i < 2000; ++i) {
    keys.push_back(key_of("s-" + std::to_string(i)));
    keys.back().replica = std::string(i % 65, 'r');
  }
  ReportKeys known;
  const std::pair<std::size_t, std::size_t> kReports[] = {{0, 3},    {0, 64},      {40, 200},
                                                          {0, 2000}, {1999, 2000}, {0, 2000}};
  for (const std::uint64_t step : {1U, 64U, 16'384U}) {
    for (const auto& [begin, end] : kReports) {
      ListedRows rows;
      for (std::size_t i = begin; i < end; ++i) {
        OutcomeView row;
        row.key = &keys[(i + step) % keys.size()];
        row.incarnation = step * 100'000'000 + (i + 1) * step;
        rows.backends.push_back(row);
      }
      EXPECT_EQ(encode(9, rows, known), encode(9, ControlResponse(to_value(rows))))
          << "step " << step << ", rows " << begin << " to " << end;
    }
  }
}

TEST(WireMessageWriter, ALengthHasAsManyBytesAsItNeeds) {
  for (const std::size_t inside : {0u, 1u, 125u, 126u, 127u, 128u, 16'380u, 16'381u, 3'000'000u}) {
    MessageWriter writer;
    const std::string text(inside, 't');
    writer.message(2, [&] { writer.text(1, text); });
    v1::Pong pong;
    pong.set_broker_version(text);
    v1::ControlResponse wanted;
    *wanted.mutable_pong() = pong;
    EXPECT_EQ(std::move(writer).take(), serialize(wanted)) << inside;
  }
}

}  // namespace
}  // namespace muster::wire
