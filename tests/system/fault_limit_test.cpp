// Texts at their limits are carried whole; with one byte more they are refused, and whoever sent
// them is the only one who notices.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "muster/path.h"
#include "muster/registration.h"
#include "muster/v1/lifecycle.pb.h"

#include "support/wire_frames.h"
#include "system/fault_fixture.h"
#include "wire/backend_lane.h"
#include "wire/framing.h"

namespace muster::test {
namespace {

using testing::HasSubstr;

// As no decent encoder would: with texts of any length.
std::string answer(BroadcastId id, const v1::BackendMessage& message) {
  v1::Frame frame = frame_of(wire::kBackendLane, kResponse, message.SerializeAsString());
  frame.set_request_id(id);
  const std::string body = frame.SerializeAsString();
  std::string bytes(wire::kHeaderBytes, '\0');
  wire::put_header(bytes.data(), body.size());
  return bytes + body;
}

TEST_F(FaultTest, APathAtItsLimitIsCarriedAndOneByteMoreIsRefused) {
  inflict([](FaultHost& host) {
    TestBackend backend = host.join("a");
    EXPECT_THROW(static_cast<void>(host.release(path_of(kMaxPathBytes + 1))), ControlFailure);
    EXPECT_EQ(backend.has_heard(), "nothing");
    const Finished told = host.ctl({"release-handles", path_of(kMaxPathBytes + 1)});
    EXPECT_EQ(told.status, 2);
    EXPECT_THAT(told.err, HasSubstr("4096"));

    const BroadcastId id = host.release(path_of(kMaxPathBytes));
    EXPECT_THAT(backend.hears(), HasSubstr(path_of(kMaxPathBytes)));
    host.at_its_worst();
    backend.acks(id);
    EXPECT_EQ(host.result(id), "release-handles " + path_of(kMaxPathBytes) + ": acked a 1.0.0");
  });
}

TEST_F(FaultTest, ADetailAtItsLimitIsCarriedAndOneByteMoreEndsThatConnection) {
  inflict([](FaultHost& host) {
    TestBackend wordy = host.join("wordy");
    TestBackend wordier = host.join("wordier");
    const BroadcastId id = host.release("/cache");
    EXPECT_THAT(wordier.hears(), HasSubstr("operation"));
    v1::BackendMessage message;
    message.mutable_failure()->set_reason(v1::Failure::REJECTED);
    message.mutable_failure()->set_detail(std::string(kMaxDetailBytes + 1, 'd'));
    wordier.send(answer(id, message));
    EXPECT_EQ(wordier.hears(),
              "refused (protocol): a failure's detail has 1025 bytes; the most is 1024");
    EXPECT_EQ(wordier.hears(), "end of stream");
    host.at_its_worst();
    message.mutable_failure()->set_detail(std::string(kMaxDetailBytes, 'd'));
    wordy.send(answer(id, message));
    const BroadcastReport report = host.operators().report(id, true);
    EXPECT_EQ(to_string(report.result),
              "release-handles /cache: failed wordy 1.0.0 (rejected), wordier 1.0.0 "
              "(backend error)");
    EXPECT_EQ(report.backends.at(0).detail, std::string(kMaxDetailBytes, 'd'));
  });
}

TEST_F(FaultTest, ANoteAtItsLimitIsCarriedAndOneByteMoreEndsThatConnection) {
  inflict([](FaultHost& host) {
    TestBackend backend = host.join("wordy");
    const BroadcastId id = host.release("/cache");
    EXPECT_THAT(backend.hears(), HasSubstr("operation"));
    backend.works(id, std::chrono::hours(1), std::string(kMaxNoteBytes, 'n'));
    static_cast<void>(host.operators().ping());
    host.at_its_worst();
    EXPECT_EQ(host.operators().report(id).backends.at(0).note, std::string(kMaxNoteBytes, 'n'));
    v1::BackendMessage message;
    message.mutable_working()->set_extend_ms(1000);
    message.mutable_working()->set_note(std::string(kMaxNoteBytes + 1, 'n'));
    backend.send(answer(id, message));
    EXPECT_EQ(backend.hears(),
              "refused (protocol): a Working's note has 1025 bytes; the most is 1024");
    EXPECT_EQ(host.result(id), "release-handles /cache: failed wordy 1.0.0 (backend error)");
  });
}

}  // namespace
}  // namespace muster::test
