// Peers that break the rules: each is told once what was wrong and closed, and nobody else notices.
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "component/broker_hostile_fixture.h"
#include "wire/control_lane.h"
#include "wire/framing.h"

namespace muster::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A frame around `body`, whatever that is.
std::string framed(std::string_view body) {
  std::string frame(wire::kHeaderBytes, '\0');
  wire::put_header(frame.data(), body.size());
  return frame.append(body);
}

// An envelope by hand: field 1 version, 2 kind, 3 lane, 4 payload.
std::string envelope(char version, std::uint32_t lane, std::string_view payload) {
  std::string body = {'\x08', version, '\x18'};
  for (; lane >= 0x80; lane >>= 7) body += static_cast<char>((lane & 0x7F) | 0x80);
  body += static_cast<char>(lane);
  body += '\x22';
  body += static_cast<char>(payload.size());
  return framed(body.append(payload));
}

TEST_F(HostileTest, BytesThatAreNoFramesAreRefusedOnceAndTheConnectionEnds) {
  EXPECT_THAT(answers_to("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
              ElementsAre("refused (protocol): framing version 71 is not known: every message "
                          "begins with the byte 1",
                          "end of stream"));
  EXPECT_EQ(counters().protocol_errors, 1u);
  ASSERT_EQ(sink_.events.back().kind, Event::Kind::kPeerRefused);
  EXPECT_EQ(sink_.events.back().pid, ::getpid());
  EXPECT_EQ(sink_.events.back().uid, ::getuid());
  EXPECT_THAT(sink_.events.back().detail, HasSubstr("framing version 71"));
}

TEST_F(HostileTest, ABackendOfTheSameProcessSaysWhichRefusalsWereItsOwn) {
  const auto some_are_unknown = [&] {
    BrokerStatus status;
    core().fill_status(status);
    return !status.problems.empty();
  };
  const auto registers_after = [&](std::optional<std::uint32_t> refused_before) {
    TestBackend& peer = connect();
    peer.send(wire::encode(1, registration_of("beside"), refused_before));
    EXPECT_EQ(peer.hears(), "registered");
    peer.deregisters(2);
    EXPECT_EQ(peer.hears(), "deregistered");
    return some_are_unknown();
  };
  EXPECT_FALSE(some_are_unknown());
  answers_to("GET / HTTP/1.1");
  EXPECT_TRUE(registers_after(0));
  EXPECT_TRUE(registers_after(std::nullopt));
  EXPECT_FALSE(registers_after(1));
}

TEST_F(HostileTest, ALengthOverTheLimitIsRefusedBeforeTheBodyComes) {
  std::string header(wire::kHeaderBytes, '\0');
  wire::put_header(header.data(), wire::kMaxFirstBody + 1);
  EXPECT_THAT(answers_to(header),
              ElementsAre("refused (protocol): a body of 65537 bytes is over the limit of 65536",
                          "end of stream"));
  EXPECT_THAT(answers_to("\x01\xff\xff\xff\xff"),
              ElementsAre(HasSubstr("a body of 4294967295 bytes"), "end of stream"));
}

TEST_F(HostileTest, ABodyAtTheLimitIsReadAndOneByteMoreIsNot) {
  // An unknown field of the envelope fills it up; unknown fields are ignored.
  const auto padded = [](std::size_t body_bytes) {
    const auto plain = wire::encode(1, registration_of("padded"));
    std::string body = plain.substr(wire::kHeaderBytes);
    const std::size_t padding = body_bytes - body.size() - 5;  // tag of 2, length of 3
    body += "\xa2\x06";                                        // field 100, bytes
    body += static_cast<char>((padding & 0x7F) | 0x80);
    body += static_cast<char>((padding >> 7 & 0x7F) | 0x80);
    body += static_cast<char>(padding >> 14);
    body.append(padding, 'x');
    return framed(body);
  };
  auto& peer = connect();
  peer.send(padded(wire::kMaxFirstBody));
  EXPECT_EQ(peer.hears(), "registered");
  peer.send(padded(wire::kMaxBackendBody + 1));
  EXPECT_THAT(peer.hears(), StartsWith("refused (protocol): a body of 65537 bytes"));
}

TEST_F(HostileTest, ABodyThatIsNoEnvelopeIsRefused) {
  EXPECT_THAT(answers_to(framed("\xff\xff\xff\xff")),
              ElementsAre(StartsWith("refused (protocol): "), "end of stream"));
  EXPECT_THAT(answers_to(framed("")),
              ElementsAre(StartsWith("refused (protocol): "), "end of stream"));
}

TEST_F(HostileTest, AnotherEnvelopeVersionIsRefused) {
  EXPECT_THAT(answers_to(envelope(2, wire::kBackendLane, "")),
              ElementsAre(AllOf(StartsWith("refused (protocol): "), HasSubstr("version 2")),
                          "end of stream"));
}

TEST_F(HostileTest, AMessageOfTheControlLaneIsRefused) {
  wire::ControlRequestFrame ping;
  ping.request_id = 1;
  EXPECT_THAT(
      answers_to(wire::encode(ping)),
      ElementsAre(AllOf(StartsWith("refused (protocol): "), HasSubstr("0xFB02")), "end of stream"));
}

TEST_F(HostileTest, AnUnknownMessageIsRefused) {
  // Field 15 of the payload, empty.
  EXPECT_THAT(answers_to(envelope(1, wire::kBackendLane, std::string_view("\x7a\x00", 2))),
              ElementsAre(StartsWith("refused (protocol): "), "end of stream"));
}

TEST_F(HostileTest, AnAnswerBeforeRegisterIsRefused) {
  EXPECT_THAT(
      answers_to(wire::encode(1, Ack{})),
      ElementsAre("refused (protocol): Ack came before Register; register first", "end of stream"));
}

TEST_F(HostileTest, ASecondRegisterOnAConnectionIsRefused) {
  auto& peer = join("zccache");
  peer.registers("soldr");
  EXPECT_THAT(rest_of(peer),
              ElementsAre("refused (protocol): a second Register came on this connection; one "
                          "connection is one backend",
                          "end of stream"));
}

TEST_F(HostileTest, ABadKeyIsRefusedWithTheRuleThatItBreaks) {
  auto& peer = connect();
  peer.registers(registration_of("Not A Service"));
  EXPECT_THAT(rest_of(peer), ElementsAre(StartsWith("refused (invalid): "), "end of stream"));
}

TEST_F(HostileTest, AfterARefusalNothingMoreIsRead) {
  // The first is refused; the Register behind it, in the same bytes, is not looked at.
  EXPECT_THAT(answers_to(wire::encode(1, Ack{}) + wire::encode(2, registration_of("behind"))),
              ElementsAre(StartsWith("refused (protocol): Ack"), "end of stream"));
  EXPECT_EQ(backends(), "live witness 1.0.0");
}

TEST_F(HostileTest, WhoSendsMuchBehindAMistakeStillFindsTheRefusalAndAnOrderlyEnd) {
  auto& peer = connect();
  // More than the broker reads at once: the rest is unread when it closes.
  const std::string rest(150'000, 'x');
  const int size = 400'000;
  ASSERT_EQ(::setsockopt(peer.fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
  ASSERT_EQ(::send(peer.fd(), rest.data(), rest.size(), MSG_DONTWAIT),
            static_cast<ssize_t>(rest.size()));
  EXPECT_THAT(rest_of(peer), ElementsAre(StartsWith("refused (protocol): "), "end of stream"));
}

TEST_F(HostileTest, AConnectionThatDoesNotRegisterInTimeIsToldAndClosed) {
  options_.core.register_timeout = std::chrono::milliseconds(20);
  start();
  witness_ = &join("witness");
  EXPECT_THAT(answers_to(""),
              ElementsAre("refused (too slow): no Register came within 0.02 s", "end of stream"));
}

TEST_F(HostileTest, OneByteAtATimeIsReadLikeAllAtOnce) {
  auto& peer = connect();
  for (const char byte : wire::encode(1, registration_of("slow"))) {
    peer.send(std::string_view(&byte, 1));
    settle();
  }
  EXPECT_EQ(peer.hears(), "registered");
  const auto id = release_handles("/cache");
  for (const char byte : wire::encode(id, Ack{})) {
    EXPECT_EQ(outcome(id, "slow").outcome, OutcomeKind::kOpen);
    peer.send(std::string_view(&byte, 1));
    settle();
  }
  EXPECT_EQ(outcome(id, "slow").outcome, OutcomeKind::kAck);
}

TEST_F(HostileTest, ManyFramesInOneWriteAreAllRead) {
  auto& peer = join("busy");
  std::string answers;
  for (int i = 0; i < 200; ++i) answers += wire::encode(release_handles("/cache"), Ack{});
  peer.send(answers);
  settle();
  EXPECT_EQ(counters().acks, 200u);
}

TEST_F(HostileTest, AFrameThatIsCutAnywhereIsPutTogetherAgain) {
  auto& peer = join("cut");
  std::string answers;
  for (int i = 0; i < 20; ++i) answers += wire::encode(release_handles("/cache"), Ack{});
  // Pieces of 1, 2, 3, ... bytes, so that cuts fall everywhere, in headers too.
  std::size_t at = 0;
  for (std::size_t size = 1; at < answers.size(); ++size) {
    peer.send(std::string_view(answers).substr(at, size));
    at += size;
    settle();
  }
  EXPECT_EQ(counters().acks, 20u);
}

TEST_F(HostileTest, ABackendThatDoesNotReadIsClosedAndNobodyElseWaits) {
  options_.max_queued_bytes = 16 * 1024;
  options_.core.reconnect_grace = kFires;
  start();
  witness_ = &join("witness");
  join("deaf");
  const std::string long_path = "/" + std::string(4000, 'x');
  BroadcastId id = 0;
  while (counters().slow_readers == 0 && id < 1000) {
    id = release_handles(long_path);
    EXPECT_THAT(witness_->hears(), StartsWith("operation"));
    witness_->acks(id);
    ASSERT_TRUE(run_until([&] { return outcome(id, "witness").outcome == OutcomeKind::kAck; }));
    settle();
  }
  EXPECT_EQ(counters().slow_readers, 1u);
  ASSERT_TRUE(run_until_told(Event::Kind::kBackendLost));
  const std::string slow = "connection closed by the broker: slow reader";
  EXPECT_EQ(backends(), "live witness 1.0.0, lost deaf 1.0.0 (" + slow + ")");
  ASSERT_TRUE(run_until([&] { return !is_running(id); }));
  EXPECT_EQ(outcome(id, "deaf").detail,
            slow + "; process " + std::to_string(::getpid()) + " is still running");
  // What it does find when it reads at last are whole messages.
  std::string last;
  std::size_t whole = 0;
  for (std::string heard; heard != "end of stream" && heard != "reset";) {
    last = std::exchange(heard, backends_.back().has_heard());
    ASSERT_NE(heard, "nothing");
    whole += heard.starts_with("operation") ? 1 : 0;
    if (heard.starts_with("end of stream in")) break;  // cut in the middle of the last one
  }
  EXPECT_GT(whole, 10u);
}

TEST_F(HostileTest, ABackendThatReadsLateGetsEverythingInOrder) {
  auto& late = join("late");
  const std::string path = "/" + std::string(4000, 'x');
  constexpr int kMany = 80;  // more than the socket takes, less than the queue holds
  for (int i = 0; i < kMany; ++i) release_handles(path + std::to_string(i));
  settle();
  for (int i = 0; i < kMany; ++i) {
    ASSERT_EQ(late.hears(), "operation " + std::to_string(i + 1) + ": release-handles " + path +
                                std::to_string(i));
  }
  EXPECT_EQ(late.has_heard(), "nothing");
  EXPECT_EQ(counters().slow_readers, 0u);
}

TEST_F(HostileTest, TwoHundredBackendsThatNeverReadDisturbNobody) {
  options_.max_queued_bytes = 4 * 1024;
  start();
  witness_ = &join("witness");
  constexpr std::size_t kMany = 200;
  for (std::size_t i = 0; i < kMany; ++i) join("deaf-" + std::to_string(i));
  const std::string long_path = "/" + std::string(4000, 'x');
  for (int i = 0; i < 500 && counters().slow_readers < kMany; ++i) {
    const auto id = release_handles(long_path);
    EXPECT_THAT(witness_->hears(), StartsWith("operation"));
    witness_->acks(id);
    ASSERT_TRUE(run_until([&] { return outcome(id, "witness").outcome == OutcomeKind::kAck; }));
    settle();
  }
  EXPECT_EQ(counters().slow_readers, kMany);
  EXPECT_EQ(server_->connection_count(), 1u);
}

TEST_F(HostileTest, AFloodOfFramesFromOneStarvesNobody) {
  auto& flood = join("flood");
  std::string activities;
  while (activities.size() < 60'000) activities += wire::encode(0, Activity{});
  for (int i = 0; i < 20; ++i) flood.send(activities);
  settle();
  EXPECT_EQ(flood.has_heard(), "nothing");
}

TEST_F(HostileTest, AnExceptionWhileOneConnectionIsHandledEndsThatOneAlone) {
  sink_.on_each = [](const Event& event) {
    if (event.key == key_of("unlucky")) throw std::logic_error("planted");
  };
  auto& unlucky = connect();
  unlucky.registers("unlucky");
  auto& lucky = connect();
  lucky.registers("lucky");
  EXPECT_EQ(unlucky.hears(), "registered");
  EXPECT_EQ(unlucky.hears(), "end of stream");
  EXPECT_EQ(lucky.hears(), "registered");
  EXPECT_EQ(sink_.troubles.front(),
            "a connection was closed because of an internal error: planted");
  sink_.on_each = {};
  // The key is not lost with it.
  EXPECT_EQ(join("unlucky").has_heard(), "nothing");
}

TEST_F(HostileTest, AnEventThatThereIsNoMemoryForIsLostAndNothingElse) {
  auto& backend = join("zccache");
  sink_.on_each = [](const Event&) { throw std::bad_alloc(); };
  const auto id = release_handles("/cache");
  backend.acks(id);
  witness_->acks(id);
  ASSERT_TRUE(run_until([&] { return !is_running(id); }));
  sink_.on_each = {};
  EXPECT_EQ(outcome(id, "zccache").outcome, OutcomeKind::kAck);
  EXPECT_EQ(witness_->hears(), "operation 1: release-handles /cache");
}

}  // namespace
}  // namespace muster::test
